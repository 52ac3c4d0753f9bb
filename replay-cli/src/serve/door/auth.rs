//! The API key.
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::arrival;
use crate::serve::error::ApiError;
use crate::serve::shared::Shared;

pub(in crate::serve) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    // A browser asks whether it may ask before it has the key.
    let open = matches!(request.uri().path(), "/health" | "/") || request.method() == Method::OPTIONS;
    let Some(key) = shared.options.api_key.as_deref().filter(|_| !open) else { return next.run(request).await };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // Hashes, so that the time of the comparison tells nothing of the key.
    if blake3::hash(given.and_then(token).unwrap_or("").as_bytes()) == blake3::hash(key.as_bytes()) {
        return next.run(request).await;
    }
    arrival::drained(request.into_body().into_data_stream(), shared.options.max_body).await;
    let refusal = ApiError::invalid("invalid_api_key", "this server needs an API key: Authorization: Bearer ...");
    let mut response = refusal.with_status(StatusCode::UNAUTHORIZED).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// What comes after the scheme, whose letters may be of either case (RFC 9110).
fn token(given: &str) -> Option<&str> {
    let (scheme, token) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn the_scheme_is_known_in_either_case_and_no_other_is() {
        assert_eq!((token("Bearer k"), token("bearer k"), token("BEARER  k")), (Some("k"), Some("k"), Some("k")));
        assert_eq!((token("Basic k"), token("k"), token("Bearerk")), (None, None, None));
    }
}
