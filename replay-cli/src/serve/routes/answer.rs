//! Sends a request to a session, and its answer to the client, at once or as a stream.
use axum::Json;
use axum::response::{IntoResponse, Response};
use replay_core::session::Request;

use super::body::Body;
use super::stream;
use crate::serve::error::ApiError;
use crate::serve::failure;
use crate::serve::openai::{Identity, Kind};

pub(in crate::serve) async fn answer(body: &Body<'_>, kind: Kind, request: Request) -> Result<Response, ApiError> {
    let (session, identity) = (body.session, Identity::new(kind, body.name));
    if request.stream {
        let with_usage = body.wants_usage()?;
        return Ok(stream::events(session.clone(), request, identity, with_usage).into_response());
    }
    let log_probs = request.sampling.log_probs.is_some();
    let answer = session.ask(request, &mut |_| ()).await.map_err(|e| failure::api_error(&e))?;
    Ok(Json(identity.answer(&answer, log_probs)).into_response())
}
