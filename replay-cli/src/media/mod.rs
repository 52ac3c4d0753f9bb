//! Decodes pictures and videos from files and bytes, for all commands and routes.
mod base64;
mod image;
mod jpeg;
mod video;

pub use self::base64::embedded;
pub use self::image::{Limits, MediaError, decode, dimensions, plain, read};
pub use video::{decode_gif, read_video};
