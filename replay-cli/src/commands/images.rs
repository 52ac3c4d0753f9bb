//! Reads the user's images and videos.
use std::path::Path;

use image::{DynamicImage, ImageReader, Limits};
use mistralrs_core::VideoInput;
use mistralrs_server_core::video::parse_video_url;

use super::exit::InputError;

/// Larger than any published processor's limit; a decoder allocates for what the header says, so this is asked first.
const MAX_SIDE: u32 = 16_384;
const MAX_BYTES: u64 = 1 << 30;

pub(crate) fn read(path: &Path) -> anyhow::Result<DynamicImage> {
    let fail = |why: String| InputError(format!("image {}: {why}", path.display()));
    let mut reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(|e| fail(e.to_string()))?;
    if reader.format().is_none() {
        return Err(fail("it is not an image of a known format".into()).into());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    Ok(reader.decode().map_err(|e| fail(e.to_string()))?)
}

/// As many frames as the engine's own server takes.
pub(crate) async fn read_video(path: &Path) -> anyhow::Result<VideoInput> {
    let fail = |why: String| InputError(format!("video {}: {why}", path.display()));
    // The engine's reader would take anything else for a URL.
    let file = path.canonicalize().map_err(|e| fail(e.to_string()))?;
    let video = parse_video_url(&file.to_string_lossy(), None).await.map_err(|e| fail(format!("{e:#}")))?;
    Ok(video)
}
