//! An OpenAI-compatible server over any [`Session`](replay_core::session::Session): chat and text completions that know replay, a door in
//! front of everything, and behind it the engines' own routes where their adapters have some.
//!
//! * [`Served`]: the models, some of them replayed;
//! * [`ServeOptions`]: what a request may reach;
//! * [`router`]: everything as one axum router, to be served or nested.
mod answer;
mod arrival;
mod auth;
mod body;
mod chat;
mod completions;
mod door;
mod error;
mod failure;
mod listing;
mod media;
mod metrics;
mod models;
mod network;
mod normalize;
mod openai;
mod reload;
mod stream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use error::ApiError;
pub use models::{Served, ServedModel};
pub use reload::Reload;

use crate::adapters;
use media::Media;

/// What a request may reach, and how large it may be.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The key that every request but a health check has to carry; `None`: no key.
    pub api_key: Option<String>,
    /// The directory that paths and `file:` URLs of images may name something in; `None`: no local file at all.
    pub image_root: Option<PathBuf>,
    /// Whether images may be fetched over http and https.
    pub fetch: bool,
    /// Whether they may be fetched from this machine and private networks.
    pub private_addresses: bool,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// The largest image, in bytes as it comes.
    pub max_image_bytes: usize,
    /// The largest image, in pixels as its header says.
    pub max_pixels: u64,
    /// The most images in one request.
    pub max_images: usize,
    /// Whether the engine's routes that change it (unload, reload, requantise, tune) or keep what was said (responses) may be used.
    pub admin: bool,
    /// `POST /v1/replay/reload`; only together with a key.
    pub reload: Option<Reload>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            api_key: None,
            image_root: None,
            fetch: true,
            private_addresses: false,
            max_body: 32 << 20,
            max_image_bytes: 20 << 20,
            max_pixels: 50_000_000,
            max_images: 64,
            admin: false,
            reload: None,
        }
    }
}

/// What every handler shares.
#[derive(Debug)]
struct Shared {
    served: Served,
    /// Of the models whose engine has routes of its own, by the models' names.
    engine_routes: BTreeMap<String, Router>,
    media: Media,
    options: ServeOptions,
    /// Seconds since 1970.
    started: u64,
}

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
        .route("/v1/models/{*name}", get(listing::one).fallback(door::engine_route))
        .route("/health", get(|| async { "OK" }))
        .route("/metrics", get(move |State(shared)| metrics::render(metrics.clone(), shared)));
    let ours = match shared.options.reload {
        Some(_) => ours.route("/v1/replay/reload", post(reload::again)),
        None => ours,
    };
    Ok(ours
        .fallback(door::engine_route)
        .with_state(shared.clone())
        .layer(from_fn_with_state(shared.clone(), arrival::whole))
        .layer(from_fn_with_state(shared.clone(), auth::check))
        .layer(DefaultBodyLimit::max(shared.options.max_body))
        .layer(from_fn(normalize::normalize_errors)))
}
