//! Pictures and videos, from files and bytes to plain pixels: what every command and route shows a model.
mod image;
mod video;

pub use self::image::{Limits, MediaError, decode, dimensions, read};
pub use video::{decode_gif, read_video};
