//! Decodes images.
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageError, ImageReader};
use replay_core::session::Picture;

/// Limits of the size of a picture. They are checked before decoding, since a decoder allocates what the header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest side, in pixels.
    pub max_side: u32,
    /// The memory that decoding may take, in bytes.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// Larger than any published processor's limit.
    fn default() -> Self {
        Self { max_side: 16_384, max_bytes: 1 << 30 }
    }
}

/// An error of reading a picture or video.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// The bytes are not an image of a known format.
    #[error("it is not an image of a known format")]
    UnknownFormat,
    /// The bytes cannot be decoded.
    #[error("{0}")]
    Decode(#[from] ImageError),
    /// The video has no frames, or cannot be read.
    #[error("{0}")]
    Video(String),
}

/// Reads an image file.
///
/// # Errors
/// If the file cannot be read, is not an image, or is too large.
pub fn read(path: &Path, limits: Limits) -> Result<Picture, MediaError> {
    decode(&std::fs::read(path)?, limits)
}

/// Decodes an image to 8-bit RGB, without its alpha channel.
///
/// # Errors
/// If the bytes are not an image, or the image is too large.
pub fn decode(bytes: &[u8], limits: Limits) -> Result<Picture, MediaError> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    if reader.format().is_none() {
        return Err(MediaError::UnknownFormat);
    }
    let mut limited = image::Limits::default();
    limited.max_image_width = Some(limits.max_side);
    limited.max_image_height = Some(limits.max_side);
    limited.max_alloc = Some(limits.max_bytes);
    reader.limits(limited);
    picture(reader.decode()?)
}

/// Width and height of an image, from its header.
///
/// # Errors
/// If the bytes are not an image, or the header cannot be read.
pub fn dimensions(bytes: &[u8]) -> Result<(u32, u32), MediaError> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    if reader.format().is_none() {
        return Err(MediaError::UnknownFormat);
    }
    Ok(reader.into_dimensions()?)
}

pub(super) fn picture(image: DynamicImage) -> Result<Picture, MediaError> {
    let (width, height) = (image.width(), image.height());
    Picture::rgb8(width, height, image.into_rgb8().into_raw()).map_err(|e| MediaError::Video(e.to_string()))
}
