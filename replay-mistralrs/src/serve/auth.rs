//! The API key.
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{ApiError, Shared};

pub(super) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let open = matches!(request.uri().path(), "/health" | "/");
    let Some(key) = shared.options.api_key.as_deref().filter(|_| !open) else { return next.run(request).await };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("");
    // Hashes, so that the time of the comparison tells nothing of the key.
    if blake3::hash(given.as_bytes()) == blake3::hash(key.as_bytes()) {
        return next.run(request).await;
    }
    ApiError::invalid("invalid_api_key", "this server needs an API key: Authorization: Bearer ...")
        .with_status(StatusCode::UNAUTHORIZED)
        .into_response()
}
