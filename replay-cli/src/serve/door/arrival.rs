//! Reads a request's body completely before the request is handled, with limits on its size and on pauses.
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;

use crate::serve::error::ApiError;
use crate::serve::shared::Shared;

/// The longest pause between two parts of a body.
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// Reads the body of a request before the next handler gets it.
pub(in crate::serve) async fn read_bodies(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match read_body(body.into_data_stream(), shared.options.max_body_bytes).await {
        Ok(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(error) => error.into_response(),
    }
}

async fn read_body(mut pieces: BodyDataStream, max_bytes: usize) -> Result<Bytes, ApiError> {
    let mut body = Vec::new();
    loop {
        let piece = tokio::time::timeout(MAX_PAUSE, pieces.next()).await;
        let too_slow = |_| {
            let message = format!("no part of the body arrived for {} s", MAX_PAUSE.as_secs());
            ApiError::invalid("body_too_slow", message).with_status(StatusCode::REQUEST_TIMEOUT)
        };
        match piece.map_err(too_slow)? {
            None => return Ok(body.into()),
            Some(Err(_)) => {
                return Err(ApiError::invalid("invalid_request", "the connection ended before the body was complete"));
            }
            Some(Ok(piece)) if body.len() + piece.len() > max_bytes => {
                discard(pieces, max_bytes).await;
                return Err(ApiError::invalid("body_too_large", format!("a request may have {max_bytes} bytes"))
                    .with_status(StatusCode::PAYLOAD_TOO_LARGE));
            }
            Some(Ok(piece)) => body.extend_from_slice(&piece),
        }
    }
}

/// Reads and discards up to `max_bytes` of a body. Without this, a client that is still sending would see a broken connection instead of
/// the answer.
pub(in crate::serve) async fn discard(mut pieces: BodyDataStream, max_bytes: usize) {
    let mut left = max_bytes;
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(MAX_PAUSE, pieces.next()).await {
        match left.checked_sub(piece.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
