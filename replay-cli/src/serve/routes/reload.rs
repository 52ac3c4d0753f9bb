//! A route that has the configuration read again, for where there are no signals. It is there only if it was asked for, and behind the key.
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::serve::error::ApiError;
use crate::serve::shared::Shared;

pub(in crate::serve) async fn again(State(shared): State<Arc<Shared>>) -> Response {
    let Some(reload) = shared.options.reload.clone() else { return refused("there is nothing to read again") };
    match tokio::task::spawn_blocking(move || reload.read()).await {
        Ok(Ok(())) => Json(json!({ "status": "reloaded" })).into_response(),
        Ok(Err(why)) => refused(&why),
        Err(e) => ApiError::engine(&e).into_response(),
    }
}

fn refused(why: &str) -> Response {
    ApiError::invalid("configuration_refused", format!("the configuration stays as it was: {why}")).into_response()
}
