//! A route that has the configuration read again, for where there are no signals. It is there only if it was asked for, and behind the key.
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{ApiError, Shared};

/// What has the configuration read again: whole, or not at all and with the reason, in words for a client.
#[derive(Clone)]
pub struct Reload(Arc<dyn Fn() -> Result<(), String> + Send + Sync>);

impl Reload {
    /// Wraps what it does.
    pub fn new(read: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reload")
    }
}

pub(super) async fn again(State(shared): State<Arc<Shared>>) -> Response {
    let Some(reload) = shared.options.reload.clone() else { return refused("there is nothing to read again") };
    match tokio::task::spawn_blocking(move || (reload.0)()).await {
        Ok(Ok(())) => Json(json!({ "status": "reloaded" })).into_response(),
        Ok(Err(why)) => refused(&why),
        Err(e) => ApiError::engine(&e).into_response(),
    }
}

fn refused(why: &str) -> Response {
    ApiError::invalid("configuration_refused", format!("the configuration stays as it was: {why}")).into_response()
}
