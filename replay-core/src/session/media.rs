//! Pictures and clips as decoded pixels.
use std::fmt;
use std::sync::Arc;

/// A picture of 8-bit RGB pixels. Clones share the pixels.
///
/// # Shapes
/// `pixels`: `[height, width, 3]`, row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Arc<[u8]>,
}

/// The error for pixels that do not match the size of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a picture of {width}x{height} pixels has {} bytes of RGB and at least one pixel; got {got} bytes", bytes_of(*width, *height))]
pub struct PictureError {
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// How many bytes were given.
    pub got: usize,
}

/// How many bytes a picture of this size has. In u128 no two sides overflow.
fn bytes_of(width: u32, height: u32) -> u128 {
    3 * u128::from(width) * u128::from(height)
}

impl Picture {
    /// A picture of these pixels.
    ///
    /// # Errors
    /// If there are not `3 * width * height` bytes, or none.
    pub fn rgb8(width: u32, height: u32, pixels: impl Into<Arc<[u8]>>) -> Result<Self, PictureError> {
        let pixels = pixels.into();
        let expected = bytes_of(width, height);
        if expected == 0 || pixels.len() as u128 != expected {
            return Err(PictureError { width, height, got: pixels.len() });
        }
        Ok(Self { width, height, pixels })
    }

    /// The width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, `[height, width, 3]`, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

/// The frames of a video that the model gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// The sampled frames, in order.
    pub frames: Vec<Picture>,
    /// Frames per second of the video.
    pub frames_per_second: f64,
    /// Number of frames of the video.
    pub total_frames: usize,
    /// The index in the video of each of `frames`.
    pub sampled: Vec<usize>,
}

impl Clip {
    /// A clip with every frame of a video.
    pub fn all_frames(frames: Vec<Picture>, frames_per_second: f64) -> Self {
        let sampled: Vec<usize> = (0..frames.len()).collect();
        Self { frames_per_second, total_frames: frames.len(), sampled, frames }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_as_many_bytes_as_its_size_says() {
        assert_eq!(Picture::rgb8(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap().pixels(), [1, 2, 3, 4, 5, 6]);
        let error = Picture::rgb8(2, 2, vec![0; 11]).unwrap_err().to_string();
        assert_eq!(error, "a picture of 2x2 pixels has 12 bytes of RGB and at least one pixel; got 11 bytes");
        assert!(
            Picture::rgb8(0, 9, vec![]).is_err()
                && Picture::rgb8(u32::MAX, u32::MAX, vec![]).unwrap_err().to_string().contains("4294967295")
        );
    }
}
