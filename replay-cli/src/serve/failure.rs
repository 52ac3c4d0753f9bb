//! Maps session errors to API errors.
use axum::http::StatusCode;
use replay_core::session::{Fault, SessionError};

use super::error::ApiError;

/// The API error for a request that a session could not answer.
pub(super) fn api_error(error: &SessionError) -> ApiError {
    let SessionError::Input { fault, message } = error else { return ApiError::session(error) };
    tracing::debug!("a request was refused: {message}");
    match fault {
        Fault::Grammar => {
            ApiError::invalid("invalid_grammar", "the engine cannot use this grammar or schema, or no token fits it")
        }
        Fault::ContextLength { max } => {
            let message = format!("this prompt is longer than the {max} tokens that the model takes");
            ApiError::invalid("context_length_exceeded", message).about("messages")
        }
        Fault::Prompt => ApiError::invalid("invalid_prompt", "the engine cannot process this prompt")
            .with_status(StatusCode::UNPROCESSABLE_ENTITY),
        // These messages are written for clients.
        Fault::Media => ApiError::invalid("unsupported_media", message.as_str()).about("messages"),
        Fault::Unsupported(field) => ApiError::invalid("unsupported_parameter", message.as_str()).about(field),
    }
}
