//! A request's body, taken whole before anything is done with it: up to a size, and as long as it keeps coming.
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

/// The longest pause in a body.
const PAUSE: Duration = Duration::from_secs(15);

pub(in crate::serve) async fn whole(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match taken(body.into_data_stream(), shared.options.max_body).await {
        Ok(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn taken(mut pieces: BodyDataStream, most: usize) -> Result<Bytes, ApiError> {
    let mut body = Vec::new();
    loop {
        let piece = tokio::time::timeout(PAUSE, pieces.next()).await;
        let slow = |_| {
            let message = format!("nothing of the body came for {} s", PAUSE.as_secs());
            ApiError::invalid("body_too_slow", message).with_status(StatusCode::REQUEST_TIMEOUT)
        };
        match piece.map_err(slow)? {
            None => return Ok(body.into()),
            Some(Err(_)) => return Err(ApiError::invalid("invalid_request", "the body broke off")),
            Some(Ok(piece)) if body.len() + piece.len() > most => {
                drained(pieces, most).await;
                return Err(ApiError::invalid("body_too_large", format!("a request may have {most} bytes"))
                    .with_status(StatusCode::PAYLOAD_TOO_LARGE));
            }
            Some(Ok(piece)) => body.extend_from_slice(&piece),
        }
    }
}

/// Takes what is left, up to as much again: a client that is still sending would see a broken connection in place of the answer.
pub(in crate::serve) async fn drained(mut pieces: BodyDataStream, most: usize) {
    let mut left = most;
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(PAUSE, pieces.next()).await {
        match left.checked_sub(piece.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
