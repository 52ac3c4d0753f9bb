//! Text completions: the engine's, under the names and with the refusals of chat completions. A text has no image, so replay has nothing to
//! do, and says so.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use mistralrs_server_core::completions::parse_request;
use mistralrs_server_core::openai::CompletionRequest;

use super::asked::{Asked, invalid, unreadable};
use super::{ApiError, Shared};

pub(super) async fn completions(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    answer(&shared, &body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(shared: &Shared, body: &[u8]) -> Result<Response, ApiError> {
    let mut asked = Asked::read(shared, body)?;
    let request: CompletionRequest = serde_json::from_value(asked.body.take()).map_err(|e| invalid(e.to_string()))?;
    let streamed = request.stream.unwrap_or(false);
    let (mut requests, mut calls) = (Vec::new(), Vec::new());
    for (sender, call) in asked.open() {
        let parsed = parse_request(request.clone(), shared.served.engine().clone(), sender);
        requests.push(parsed.map_err(|e| unreadable(&e))?.0);
        calls.push(call);
    }
    asked.answered(shared, requests, calls, streamed).await
}
