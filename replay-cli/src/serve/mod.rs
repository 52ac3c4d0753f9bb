//! An OpenAI-compatible server over any [`Session`](replay_core::session::Session): chat and text completions that know replay, a door in
//! front of everything, and behind it the engines' own routes where their adapters have some.
//!
//! * [`Served`]: the models, some of them replayed;
//! * [`ServeOptions`]: what a request may reach;
//! * [`router`]: everything as one axum router, to be served or nested.
mod door;
mod error;
mod failure;
mod media;
mod models;
mod openai;
mod options;
mod routes;
mod shared;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::adapters;

use door::{arrival, auth, normalize};
use media::Media;
use routes::{chat, completions, engine, listing, metrics, reload};
use shared::Shared;

pub use error::ApiError;
pub use models::{Served, ServedModel};
pub use options::{Reload, ServeOptions};

/// The whole server as a router.
///
/// # Errors
/// If the image root is not a directory, a reload route is to be open to everybody, or metrics are recorded by somebody else in this process.
pub async fn router(served: Served, options: ServeOptions) -> anyhow::Result<Router> {
    anyhow::ensure!(options.reload.is_none() || options.api_key.is_some(), "the reload route needs an API key");
    let metrics = metrics::install()?;
    let mut engine_routes = BTreeMap::new();
    for (name, session) in served.models() {
        if let Some(routes) = adapters::engine_routes(&**session, options.max_body).await? {
            engine_routes.insert(name.to_owned(), routes);
        }
    }
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let shared = Arc::new(Shared { media: Media::new(&options)?, served, engine_routes, options, started });
    // A page that may ask for one route may ask for all.
    let cors = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
        .allow_origin(AllowOrigin::any());
    let ours = Router::new()
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/completions", post(completions::completions))
        .layer(cors)
        .route("/v1/models", get(listing::all))
        // The engines have routes below it that change them.
        .route("/v1/models/{*name}", get(listing::one).fallback(engine::route))
        .route("/health", get(|| async { "OK" }))
        .route("/metrics", get(move |State(shared)| metrics::render(metrics.clone(), shared)));
    let ours = match shared.options.reload {
        Some(_) => ours.route("/v1/replay/reload", post(reload::again)),
        None => ours,
    };
    Ok(ours
        .fallback(engine::route)
        .with_state(shared.clone())
        .layer(from_fn_with_state(shared.clone(), arrival::whole))
        .layer(from_fn_with_state(shared.clone(), auth::check))
        .layer(DefaultBodyLimit::max(shared.options.max_body))
        .layer(from_fn(normalize::normalize_errors)))
}
