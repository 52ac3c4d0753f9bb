//! What a client is told: a status, a stable code, and a sentence without paths, addresses or the inside of the engine.
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use replay_core::session::SessionError;
use serde_json::{Value, json};

/// An answer that is a refusal or a failure, in the form of the OpenAI API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// For programs; never changes its meaning.
    pub code: &'static str,
    /// The field of the request that is meant, if it is one.
    pub param: Option<&'static str>,
    /// For people.
    pub message: String,
}

impl ApiError {
    /// The request cannot be answered as it is.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, param: None, message: message.into() }
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn about(self, param: &'static str) -> Self {
        Self { param: Some(param), ..self }
    }

    /// The engine failed; what it said goes to the log.
    pub(crate) fn engine(why: &dyn std::fmt::Display) -> Self {
        Self::failed(why, "the engine failed to answer this request".into())
    }

    /// A session could not answer. What replay says of it is ours, and written for the client.
    pub(crate) fn session(error: &SessionError) -> Self {
        match error {
            SessionError::Replay(_) => Self::failed(error, error.to_string()),
            _ => Self::engine(error),
        }
    }

    fn failed(why: &dyn std::fmt::Display, message: String) -> Self {
        // An engine quotes what it was given, and that can be an image.
        tracing::error!("a request failed: {}", why.to_string().chars().take(LONGEST_LOGGED).collect::<String>());
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "engine_error", param: None, message }
    }

    /// As the API writes an error.
    pub fn body(&self) -> Value {
        let kind = if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        json!({ "error": { "message": self.message, "type": kind, "param": self.param, "code": self.code } })
    }
}

const LONGEST_LOGGED: usize = 300;

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}
