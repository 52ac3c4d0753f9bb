//! Limits and permissions of requests.
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Limits and permissions of requests.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The API key that every request except health checks has to carry; `None`: no key is needed.
    pub api_key: Option<String>,
    /// The directory that paths and `file:` URLs of images may refer to; `None`: local files are refused.
    pub image_root: Option<PathBuf>,
    /// Whether images may be fetched over http and https.
    pub fetch: bool,
    /// Whether images may be fetched from this machine and private networks.
    pub private_addresses: bool,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// The largest image, in bytes before decoding.
    pub max_image_bytes: usize,
    /// The largest image, in pixels.
    pub max_pixels: u64,
    /// Maximum number of images and videos in one request.
    pub max_images: usize,
    /// Whether the engine's routes that change it (unload, reload, requantise, tune) or store answers (responses) may be used.
    pub admin: bool,
    /// The handler of `POST /v1/replay/reload`; it needs an API key.
    pub reload: Option<Reload>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            api_key: None,
            image_root: None,
            fetch: true,
            private_addresses: false,
            max_body_bytes: 32 << 20,
            max_image_bytes: 20 << 20,
            max_pixels: 50_000_000,
            max_images: 64,
            admin: false,
            reload: None,
        }
    }
}

/// A handler that reloads the configuration. The error is a message for the client; the old configuration then stays in effect.
#[derive(Clone)]
pub struct Reload(Arc<dyn Fn() -> Result<(), String> + Send + Sync>);

impl Reload {
    /// A handler that calls `reload`.
    pub fn new(reload: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(reload))
    }

    /// Reloads the configuration.
    pub(super) fn run(&self) -> Result<(), String> {
        (self.0)()
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reload")
    }
}
