//! An OpenAI-compatible server over any [`Session`](replay_core::session::Session): chat and text completions with replay, middleware for
//! all routes, and the engines' own routes where their adapters provide them.
//!
//! * [`Served`]: the models, with or without replay;
//! * [`ServeOptions`]: limits and permissions of requests;
//! * [`router`]: the server as an axum router, to be served or nested.
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

/// The server as a router.
///
/// # Errors
/// If the image root is not a directory, the reload route has no API key, or this process has another metrics recorder.
pub async fn router(served: Served, options: ServeOptions) -> anyhow::Result<Router> {
    anyhow::ensure!(options.reload.is_none() || options.api_key.is_some(), "the reload route needs an API key");
    let metrics = metrics::install()?;
    let mut engine_routes = BTreeMap::new();
    for (name, session) in served.models() {
        if let Some(routes) = adapters::engine_routes(&**session, options.max_body_bytes).await? {
            engine_routes.insert(name.to_owned(), routes);
        }
    }
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let shared = Arc::new(Shared { media: Media::new(&options)?, served, engine_routes, options, started });
    // Any web page may use the completion routes.
    let cors = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
        .allow_origin(AllowOrigin::any());
    let routes = Router::new()
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/completions", post(completions::completions))
        .layer(cors)
        .route("/v1/models", get(listing::all))
        // The engines have administrative routes below this one.
        .route("/v1/models/{*name}", get(listing::one).fallback(engine::route))
        .route("/health", get(|| async { "OK" }))
        .route("/metrics", get(move |State(shared)| metrics::render(metrics.clone(), shared)));
    let routes = match shared.options.reload {
        Some(_) => routes.route("/v1/replay/reload", post(reload::reload)),
        None => routes,
    };
    Ok(routes
        .fallback(engine::route)
        .with_state(shared.clone())
        .layer(from_fn_with_state(shared.clone(), arrival::read_bodies))
        .layer(from_fn_with_state(shared.clone(), auth::check))
        .layer(DefaultBodyLimit::max(shared.options.max_body_bytes))
        .layer(from_fn(normalize::normalize_errors)))
}
