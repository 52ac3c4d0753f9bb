//! Sends a request to a session, and its answer to the client, at once or as a stream.
use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use replay_core::session::{Request, Session};

use super::stream;
use crate::serve::error::ApiError;
use crate::serve::failure;
use crate::serve::openai::{Identity, Kind};

pub(in crate::serve) async fn answer(
    session: &Arc<dyn Session>,
    kind: Kind,
    model: &str,
    request: Request,
) -> Result<Response, ApiError> {
    let identity = Identity::new(kind, model);
    if request.stream {
        return Ok(stream::events(session.clone(), request, identity).into_response());
    }
    let log_probs = request.sampling.log_probs.is_some();
    let answer = session.ask(request, &mut |_| ()).await.map_err(|e| failure::api_error(&e))?;
    Ok(Json(identity.answer(&answer, log_probs)).into_response())
}
