//! Chat completions.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use replay_core::session::{Input, Request};

use super::answer::answer;
use super::body::Body;
use crate::serve::error::ApiError;
use crate::serve::openai::{Kind, read_messages, read_options};
use crate::serve::shared::Shared;

pub(in crate::serve) async fn completions(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    completion(&shared, &body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn completion(shared: &Shared, body: &[u8]) -> Result<Response, ApiError> {
    let body = Body::read(shared, body)?;
    let mut request = Request::new(Input::Chat(Vec::new()));
    read_options(body.fields(), true, &mut request)?;
    let messages = read_messages(body.fields())?;
    // The engine runs each sample of a stream as a request with its own copy of the pixels.
    let copies = if request.stream { request.sampling.samples as u64 } else { 1 };
    let sees_videos = body.session.facts().sees_videos;
    let media = shared.media.decode(&messages.sources, copies, sees_videos).await?;
    request.input = Input::Chat(messages.with_media(media));
    body.set_replay(&mut request);
    answer(&body, Kind::Chat, request).await
}
