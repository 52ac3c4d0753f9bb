//! Decodes pictures and videos from files and bytes, for all commands and routes.
mod image;
mod jpeg;
mod video;

pub use self::image::{Limits, MediaError, decode, dimensions, plain, read};
pub use video::{decode_gif, read_video};
