//! Errors for clients: a status, a stable code, and a message without paths, addresses or internals of the engine.
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use replay_core::session::SessionError;
use serde_json::{Value, json};

/// An error in the format of the OpenAI API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// A code for programs, with a stable meaning.
    pub code: &'static str,
    /// The field of the request that is wrong, if it is one field.
    pub param: Option<&'static str>,
    /// A message for people.
    pub message: String,
}

impl ApiError {
    /// An error with status 400, for a request that cannot be answered as it is.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, param: None, message: message.into() }
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn about(self, param: &'static str) -> Self {
        Self { param: Some(param), ..self }
    }

    /// The error for a failure of the engine. The engine's message is logged and not sent.
    pub(crate) fn engine(reason: &dyn std::fmt::Display) -> Self {
        Self::failed(reason, "the engine failed to answer this request".into())
    }

    /// The error for a session that could not answer. Messages of replay are sent, those of the engine are not.
    pub(crate) fn session(error: &SessionError) -> Self {
        match error {
            SessionError::Replay(_) => Self::failed(error, error.to_string()),
            _ => Self::engine(error),
        }
    }

    fn failed(reason: &dyn std::fmt::Display, message: String) -> Self {
        // An engine's message may quote the request, which can contain an image.
        tracing::error!("a request failed: {}", reason.to_string().chars().take(MAX_LOGGED_CHARS).collect::<String>());
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "engine_error", param: None, message }
    }

    /// The body of the error response.
    pub fn body(&self) -> Value {
        let kind = if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        json!({ "error": { "message": self.message, "type": kind, "param": self.param, "code": self.code } })
    }
}

/// Characters of an engine's message that are logged.
const MAX_LOGGED_CHARS: usize = 300;

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}
