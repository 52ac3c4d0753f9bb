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
    // Each sample of a stream is a request of its own in the engine, with pixels of its own.
    let copies = if request.stream { request.sampling.samples as u64 } else { 1 };
    let sees_videos = body.session.facts().sees_videos;
    let media = shared.media.all(&messages.sources, copies, sees_videos).await?;
    request.input = Input::Chat(messages.with(media));
    body.direct(&mut request);
    answer(body.session, Kind::Chat, body.name, request).await
}
