//! Chat completions: the engine's, with a `replay` field in requests and answers.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use mistralrs_server_core::chat_completion::parse_request;
use mistralrs_server_core::openai::ChatCompletionRequest;
use serde_json::{Value, json};

use super::asked::{Asked, invalid, unreadable};
use super::{ApiError, Shared, door};

pub(super) async fn completions(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    answer(&shared, &body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(shared: &Shared, body: &[u8]) -> Result<Response, ApiError> {
    let mut asked = Asked::read(shared, body)?;
    let (channels, sees_videos) = (asked.channels as u64, asked.sees_videos());
    if let Some(messages) = asked.body.get_mut("messages") {
        // Each choice of a stream decodes the images for itself.
        door::admit_media(shared, messages, channels, sees_videos).await?;
        with_text(messages);
    }
    let request: ChatCompletionRequest =
        serde_json::from_value(asked.body.take()).map_err(|e| invalid(e.to_string()))?;
    let streamed = request.stream.unwrap_or(false);
    let (mut requests, mut calls) = (Vec::new(), Vec::new());
    for (sender, call) in asked.open() {
        let parsed = parse_request(request.clone(), shared.served.engine().clone(), sender).await;
        requests.push(parsed.map_err(|e| unreadable(&e))?.0);
        calls.push(call);
    }
    asked.answered(shared, requests, calls, streamed).await
}

/// The engine takes a message with one part for text: one image or video alone gets an empty text beside it.
fn with_text(messages: &mut Value) {
    let contents = messages.as_array_mut().into_iter().flatten().filter_map(|message| message.get_mut("content"));
    for parts in contents.filter_map(Value::as_array_mut) {
        if parts.len() == 1 && ["image_url", "video_url"].iter().any(|kind| parts[0].get(kind).is_some()) {
            parts.push(json!({ "type": "text", "text": "" }));
        }
    }
}
