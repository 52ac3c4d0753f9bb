//! Images and videos of a request. Each is looked at here before an engine sees it: as pixels, or, for an engine's own routes, as a data URL,
//! since the engine itself would open any path of the server and fetch any body.
mod fetch;
mod local;
mod network;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, ImageDecoder, Limits};
use replay_core::session::{Clip, Picture};
use url::Url;

use super::error::ApiError;
use super::options::ServeOptions;
use crate::media::{self, MediaError};

/// Of all images of one request, once decoded.
const MAX_DECODED: u64 = 1 << 30;
/// For all images of one request.
const DEADLINE: Duration = Duration::from_secs(30);
/// Images of one request that are fetched at a time.
const AT_A_TIME: usize = 8;

/// What a URL is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Video,
}

impl Kind {
    /// By the type of a part, or the field that names it; with that field.
    pub(super) fn of(field: &str) -> Option<(&'static str, Self)> {
        match field {
            "image_url" => Some(("image_url", Self::Image)),
            "video_url" => Some(("video_url", Self::Video)),
            _ => None,
        }
    }
}

/// What a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) kind: Kind,
    pub(super) url: String,
}

/// What was admitted, as pixels.
#[derive(Debug, Clone)]
pub(super) enum Medium {
    Image(Picture),
    Video(Clip),
}

/// What was admitted, as it came, and the most bytes that it takes once decoded.
struct Admitted {
    kind: Kind,
    bytes: Vec<u8>,
    decoded: u64,
}

/// What images may be.
#[derive(Debug)]
pub(super) struct Media {
    root: Option<PathBuf>,
    fetch: bool,
    private: bool,
    max_bytes: usize,
    max_pixels: u64,
    max_images: usize,
}

impl Media {
    pub(super) fn new(options: &ServeOptions) -> anyhow::Result<Self> {
        let root = options.image_root.as_ref().map(|root| {
            let found = root.canonicalize().ok().filter(|root| root.is_dir());
            found.ok_or_else(|| anyhow::anyhow!("the image root {} is not a directory", root.display()))
        });
        Ok(Self {
            root: root.transpose()?,
            fetch: options.fetch,
            private: options.private_addresses,
            max_bytes: options.max_image_bytes,
            max_pixels: options.max_pixels,
            max_images: options.max_images,
        })
    }

    /// The media of one request, decoded, in order. `copies` is how often an engine will hold them; `sees_videos` whether the model does.
    pub(super) async fn all(
        &self,
        sources: &[Source],
        copies: u64,
        sees_videos: bool,
    ) -> Result<Vec<Medium>, ApiError> {
        let admitted = self.admitted(sources, copies, sees_videos).await?;
        let decoded = tokio::task::spawn_blocking(move || admitted.into_iter().map(medium).collect());
        decoded.await.map_err(|e| ApiError::engine(&e))?
    }

    /// The same as data URLs.
    pub(super) async fn urls(&self, sources: &[Source]) -> Result<Vec<String>, ApiError> {
        let url = |admitted: Admitted| {
            let media_type = if admitted.kind == Kind::Image { "application/octet-stream" } else { "image/gif" };
            format!("data:{media_type};base64,{}", STANDARD.encode(admitted.bytes))
        };
        Ok(self.admitted(sources, 1, false).await?.into_iter().map(url).collect())
    }

    async fn admitted(&self, sources: &[Source], copies: u64, sees_videos: bool) -> Result<Vec<Admitted>, ApiError> {
        if sources.len() > self.max_images {
            let (most, count) = (self.max_images, sources.len());
            let why = format!("a request may have {most} images and videos, not {count}");
            return Err(ApiError::invalid("too_many_images", why));
        }
        if !sees_videos && sources.iter().any(|source| source.kind == Kind::Video) {
            let why = "this model sees no videos here: send frames as images";
            return Err(ApiError::invalid("unsupported_media", why));
        }
        let admitted = tokio::time::timeout(DEADLINE, self.some_at_a_time(sources, copies)).await;
        admitted.map_err(|_| {
            ApiError::invalid("images_too_slow", format!("the images did not come within {} s", DEADLINE.as_secs()))
        })?
    }

    async fn some_at_a_time(&self, sources: &[Source], copies: u64) -> Result<Vec<Admitted>, ApiError> {
        let one = |source: Source| async move { self.admit(&source).await };
        let mut coming = futures::stream::iter(sources.to_vec().into_iter().map(one)).buffered(AT_A_TIME);
        let (mut admitted, mut bytes) = (Vec::new(), 0u64);
        while let Some(next) = coming.next().await {
            let next = next?;
            bytes = bytes.saturating_add(next.decoded.saturating_mul(copies));
            if bytes > MAX_DECODED {
                return Err(ApiError::invalid("images_too_large", "the images of one request are too large together"));
            }
            admitted.push(next);
        }
        Ok(admitted)
    }

    async fn admit(&self, source: &Source) -> Result<Admitted, ApiError> {
        let bytes = match Url::parse(&source.url) {
            Ok(url) if url.scheme() == "data" => embedded(&source.url)?,
            Ok(url) if matches!(url.scheme(), "http" | "https") => self.fetched(url).await?,
            Ok(url) if url.scheme() == "file" => {
                let path = url.to_file_path().map_err(|()| local::refused_path())?;
                self.local(&path).await?
            }
            Ok(_) => {
                return Err(ApiError::invalid(
                    "unsupported_url_scheme",
                    "an image URL is a data:, http: or https: URL",
                ));
            }
            Err(_) => self.local(Path::new(&source.url)).await?,
        };
        if bytes.len() > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        match source.kind {
            Kind::Image => Ok(Admitted { kind: Kind::Image, decoded: self.check(&bytes)?, bytes }),
            Kind::Video => {
                let max_pixels = self.max_pixels;
                let looked_at = tokio::task::spawn_blocking(move || Ok((decoded(&bytes, max_pixels)?, bytes))).await;
                let (decoded, bytes) = looked_at.map_err(|e| ApiError::engine(&e))??;
                Ok(Admitted { kind: Kind::Video, bytes, decoded })
            }
        }
    }

    /// Format and size by the header alone: decoding allocates what the header asks for.
    fn check(&self, bytes: &[u8]) -> Result<u64, ApiError> {
        let (width, height) = media::dimensions(bytes).map_err(|e| invalid_image(&e))?;
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.max_pixels {
            return Err(ApiError::invalid(
                "image_too_large",
                format!("an image of {width}x{height} pixels; {} pixels are allowed", self.max_pixels),
            ));
        }
        // Four channels of 16 bits are the widest of the common formats.
        Ok(pixels * 8)
    }
}

/// Its size was looked at.
fn medium(admitted: Admitted) -> Result<Medium, ApiError> {
    let limits = media::Limits { max_side: u32::MAX, max_bytes: admitted.decoded.max(1 << 20) };
    match admitted.kind {
        Kind::Image => media::decode(&admitted.bytes, limits).map(Medium::Image).map_err(|e| invalid_image(&e)),
        Kind::Video => {
            let clip = media::decode_gif(&admitted.bytes);
            clip.map(Medium::Video).map_err(|_| ApiError::invalid("invalid_video", "this video cannot be read"))
        }
    }
}

fn invalid_image(error: &MediaError) -> ApiError {
    let why = match error {
        MediaError::UnknownFormat => "this is not an image of a known format",
        _ => "this image cannot be read",
    };
    ApiError::invalid("invalid_image", why)
}

/// Bytes that a GIF takes once the engine has decoded it, all frames at a time. Its header does not say how many there are. (Other formats
/// the engine would hand to a program of the system's.)
fn decoded(bytes: &[u8], max_pixels: u64) -> Result<u64, ApiError> {
    let not_a_gif = |_| ApiError::invalid("invalid_video", "a video is a GIF, and this is none that can be read");
    let mut limits = Limits::default();
    limits.max_alloc = Some(max_pixels.saturating_mul(4));
    let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(not_a_gif)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let too_large =
        || ApiError::invalid("video_too_large", format!("the frames of a video may have {max_pixels} pixels together"));
    if pixels > max_pixels {
        return Err(too_large());
    }
    decoder.set_limits(limits).map_err(not_a_gif)?;
    let mut frames = 0;
    for frame in decoder.into_frames() {
        frame.map_err(not_a_gif)?;
        frames += 1;
        if pixels * frames > max_pixels {
            return Err(too_large());
        }
    }
    if frames == 0 {
        return Err(ApiError::invalid("invalid_video", "this video has no frames"));
    }
    // Four channels, and the sampled frames once more.
    Ok(pixels * frames * 8)
}

fn embedded(source: &str) -> Result<Vec<u8>, ApiError> {
    let broken = || ApiError::invalid("invalid_data_url", "this data: URL cannot be decoded");
    let url = data_url::DataUrl::process(source).map_err(|_| broken())?;
    Ok(url.decode_to_vec().map_err(|_| broken())?.0)
}

fn too_large(limit: usize) -> ApiError {
    ApiError::invalid("image_too_large", format!("an image may have {limit} bytes"))
}
