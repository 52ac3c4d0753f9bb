//! The picture of an item: a file, or bytes that stand in the data set itself.
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// An image of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ItemImage {
    /// An image file.
    File(PathBuf),
    /// The content of an image file.
    Bytes(Arc<[u8]>),
}

/// The bytes that a text holds in base64, of either alphabet, or as a data URL; `None` if it holds none.
pub(super) fn embedded(text: &str) -> Option<Vec<u8>> {
    let (is_url, payload) = match text.strip_prefix("data:") {
        Some(url) => (true, url.split_once(";base64,")?.1),
        None => (false, text),
    };
    // No path is as long as the shortest image.
    if !is_url && payload.len() < 60 {
        return None;
    }
    let payload: String = payload.chars().filter(|c| !c.is_whitespace()).collect();
    let payload = payload.trim_end_matches('=');
    let decoded = STANDARD_NO_PAD.decode(payload).or_else(|_| URL_SAFE_NO_PAD.decode(payload)).ok()?;
    (is_url || image::guess_format(&decoded).is_ok()).then_some(decoded)
}
