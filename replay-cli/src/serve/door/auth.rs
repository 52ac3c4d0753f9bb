//! Checks the API key of requests.
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::arrival;
use crate::serve::error::ApiError;
use crate::serve::shared::Shared;

/// How much is read of the body of a request without a key.
const REFUSED_BYTES: usize = 64 << 10;

pub(in crate::serve) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    // Health checks and CORS preflight requests carry no key.
    let without_key = matches!(request.uri().path(), "/health" | "/") || request.method() == Method::OPTIONS;
    let Some(key) = shared.options.api_key.as_deref().filter(|_| !without_key) else { return next.run(request).await };
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // Hashes are compared, so that the time of the comparison does not depend on the key.
    if blake3::hash(header.and_then(token).unwrap_or("").as_bytes()) == blake3::hash(key.as_bytes()) {
        return next.run(request).await;
    }
    // Little is read of a body that nobody may send.
    arrival::discard(request.into_body().into_data_stream(), REFUSED_BYTES).await;
    let error = ApiError::invalid("invalid_api_key", "this server needs an API key: Authorization: Bearer ...");
    let mut response = error.with_status(StatusCode::UNAUTHORIZED).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// The token of a `Bearer` header. The scheme is case-insensitive (RFC 9110).
fn token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn the_bearer_scheme_is_case_insensitive_and_others_are_refused() {
        assert_eq!((token("Bearer k"), token("bearer k"), token("BEARER  k")), (Some("k"), Some("k"), Some("k")));
        assert_eq!((token("Basic k"), token("k"), token("Bearerk")), (None, None, None));
    }
}
