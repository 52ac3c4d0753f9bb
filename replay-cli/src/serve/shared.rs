//! What every handler shares.
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use replay_core::session::Session;

use super::error::ApiError;
use super::media::Media;
use super::models::Served;
use super::options::ServeOptions;

/// What every handler shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) served: Served,
    /// Of the models whose engine has routes of its own, by the models' names.
    pub(super) engine_routes: BTreeMap<String, Router>,
    pub(super) media: Media,
    pub(super) options: ServeOptions,
    /// Seconds since 1970.
    pub(super) started: u64,
}

impl Shared {
    /// The model of that name; the default without one.
    pub(super) fn model(&self, name: Option<&str>) -> Result<(&str, &Arc<dyn Session>), ApiError> {
        self.served.model(name.filter(|name| *name != "default")).ok_or_else(|| {
            let known = self.served.names().join(", ");
            ApiError::invalid("model_not_found", format!("there is no such model here; there are: {known}"))
                .about("model")
                .with_status(StatusCode::NOT_FOUND)
        })
    }
}
