//! The state that all handlers share.
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use replay_core::session::Session;

use super::error::ApiError;
use super::media::Media;
use super::models::Served;
use super::options::ServeOptions;

/// The state that all handlers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) served: Served,
    /// The engines' own routes, by model name, for models whose engine has some.
    pub(super) engine_routes: BTreeMap<String, Router>,
    pub(super) media: Media,
    pub(super) options: ServeOptions,
    /// The start of the server, in seconds since 1970.
    pub(super) started: u64,
}

impl Shared {
    /// The model of that name, or the default model for `None` and `default`.
    pub(super) fn model(&self, name: Option<&str>) -> Result<(&str, &Arc<dyn Session>), ApiError> {
        self.served.model(name.filter(|name| *name != "default")).ok_or_else(|| {
            let known = self.served.names().join(", ");
            ApiError::invalid("model_not_found", format!("there is no such model here; there are: {known}"))
                .about("model")
                .with_status(StatusCode::NOT_FOUND)
        })
    }
}
