//! Images as text, in the forms that people send and store them.
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// No path is as long as the shortest image in base64.
const SHORTEST: usize = 60;

/// The bytes that a text holds in base64, of either alphabet, with white space or without padding, bare or as a data URL whatever type it
/// names; `None` if it holds none. A bare text has to be an image of a known format, since it might be a path.
pub fn embedded(text: &str) -> Option<Vec<u8>> {
    let (is_url, payload) = match text.trim_start().strip_prefix("data:") {
        Some(url) => (true, url.split_once(";base64,")?.1),
        None => (false, text),
    };
    if !is_url && payload.len() < SHORTEST {
        return None;
    }
    let payload: String = payload.chars().filter(|c| !c.is_whitespace()).collect();
    let payload = payload.trim_end_matches('=');
    let decoded = STANDARD_NO_PAD.decode(payload).or_else(|_| URL_SAFE_NO_PAD.decode(payload)).ok()?;
    (is_url || image::guess_format(&decoded).is_ok()).then_some(decoded)
}
