//! What a request may reach, and how large it may be.
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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

/// What has the configuration read again: whole, or not at all and with the reason, in words for a client.
#[derive(Clone)]
pub struct Reload(Arc<dyn Fn() -> Result<(), String> + Send + Sync>);

impl Reload {
    /// Wraps what it does.
    pub fn new(read: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Reads it.
    pub(super) fn read(&self) -> Result<(), String> {
        (self.0)()
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reload")
    }
}
