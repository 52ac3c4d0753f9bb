//! A route that reloads the configuration, for systems without signals. It exists only with `--reload-route`, and needs the API key.
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::serve::error::ApiError;
use crate::serve::shared::Shared;

pub(in crate::serve) async fn reload(State(shared): State<Arc<Shared>>) -> Response {
    let Some(reload) = shared.options.reload.clone() else { return refused("there is nothing to read again") };
    match tokio::task::spawn_blocking(move || reload.run()).await {
        Ok(Ok(())) => Json(json!({ "status": "reloaded" })).into_response(),
        Ok(Err(reason)) => refused(&reason),
        Err(e) => ApiError::engine(&e).into_response(),
    }
}

fn refused(reason: &str) -> Response {
    ApiError::invalid("configuration_refused", format!("the configuration stays as it was: {reason}")).into_response()
}
