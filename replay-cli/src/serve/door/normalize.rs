//! Rewrites the errors of the engine's routes and of the router itself into the API's error format: they are plain text or other JSON,
//! and may contain internal messages of the engine.
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::serve::error::ApiError;

/// Bytes of an error response that are read.
const MAX_ERROR_BYTES: usize = 64 << 10;

pub(in crate::serve) async fn normalize_errors(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_ERROR_BYTES).await.unwrap_or_default();
    if has_code(&bytes) {
        return Response::from_parts(parts, bytes.into());
    }
    let mut response = error_for(status).into_response();
    // Headers that tell the client what to do: which methods are allowed, when to retry.
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = parts.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Whether a body is already an error in the API's format.
fn has_code(body: &[u8]) -> bool {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    body.is_some_and(|body| body["error"]["code"].is_string())
}

fn error_for(status: StatusCode) -> ApiError {
    let (code, message) = match status {
        StatusCode::NOT_FOUND => ("not_found", "there is no such route here"),
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this route does not answer to this method"),
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "the request is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_content_type", "the body has to be application/json"),
        StatusCode::UNPROCESSABLE_ENTITY => ("invalid_request", "the request cannot be processed as it is"),
        status if status.is_client_error() => ("invalid_request", "the request cannot be answered as it is"),
        _ => ("engine_error", "the engine failed to answer this request"),
    };
    ApiError::invalid(code, message).with_status(status)
}
