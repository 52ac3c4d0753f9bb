//! An OpenAI-compatible server: mistral.rs's own router, with chat completions that know replay, and a door in front of it all.
//!
//! * [`Served`]: the models behind one engine, some of them replayed;
//! * [`ServeOptions`]: what a request may reach;
//! * [`EngineFile`]: the engine's own configuration file with our tables in it;
//! * [`router`]: everything as one axum router, to be served or nested.
mod arrival;
mod asked;
mod auth;
mod call;
mod chat;
mod completions;
mod door;
mod engine_file;
mod error;
mod listing;
mod media;
mod metrics;
mod models;
mod network;
mod plain;
mod reload;
mod sampler;
mod sampling;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use mistralrs_server_core::mistralrs_server_router_builder::MistralRsServerRouterBuilder;
use replay_mistralrs::Attached;
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use engine_file::{EngineFile, Server};
pub use error::ApiError;
pub use models::{Served, ServedModel};
pub use reload::Reload;

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
    media: Media,
    options: ServeOptions,
}

/// The whole server as a router.
///
/// # Errors
/// If the image root is not a directory, a reload route is to be open to everybody, or metrics are recorded by somebody else in this process.
pub async fn router(served: Served, options: ServeOptions) -> anyhow::Result<Router> {
    anyhow::ensure!(options.reload.is_none() || options.api_key.is_some(), "the reload route needs an API key");
    let metrics = metrics::install()?;
    let engine = MistralRsServerRouterBuilder::new()
        .with_mistralrs(served.engine().clone())
        .with_max_body_limit(options.max_body)
        .build()
        .await?;
    let bases = served.models().filter_map(|(_, replay)| replay).map(Attached::base_bytes).sum();
    let shared = Arc::new(Shared { media: Media::new(&options)?, served, options });
    let behind = engine.layer(from_fn_with_state(shared.clone(), door::inspect));
    // The engine's router has it on its own routes; a page that may ask for one may ask for all.
    let cors = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
        .allow_origin(AllowOrigin::any());
    let ours = Router::new()
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/completions", post(completions::completions))
        .layer(cors)
        .route("/v1/models/{*name}", get(listing::one).fallback_service(behind.clone()))
        .route("/metrics", get(move |State(shared)| metrics::render(metrics.clone(), shared, bases)));
    let ours = match shared.options.reload {
        Some(_) => ours.route("/v1/replay/reload", post(reload::again)),
        None => ours,
    };
    Ok(ours
        .with_state(shared.clone())
        .fallback_service(behind)
        .layer(from_fn_with_state(shared.clone(), arrival::whole))
        .layer(from_fn_with_state(shared.clone(), auth::check))
        .layer(DefaultBodyLimit::max(shared.options.max_body))
        .layer(from_fn(plain::normalize_errors)))
}
