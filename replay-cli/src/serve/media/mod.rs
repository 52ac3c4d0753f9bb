//! Loads and checks the images and videos of a request before an engine gets them, as pixels or, for an engine's own routes, as data
//! URLs. An engine itself would open any path of the server and fetch any URL.
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

/// Bytes that all images of one request may take after decoding.
const MAX_DECODED_BYTES: u64 = 1 << 30;
/// Time for loading all images of one request.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many images of one request are loaded at the same time.
const CONCURRENT_LOADS: usize = 8;

/// The kind of a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Video,
}

impl Kind {
    /// The kind for the type of a message part, which is also the name of its field, and that name.
    pub(super) fn of(field: &str) -> Option<(&'static str, Self)> {
        match field {
            "image_url" => Some(("image_url", Self::Image)),
            "video_url" => Some(("video_url", Self::Video)),
            _ => None,
        }
    }
}

/// A medium that a request refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) kind: Kind,
    pub(super) url: String,
}

/// A decoded medium.
#[derive(Debug, Clone)]
pub(super) enum Medium {
    Image(Picture),
    Video(Clip),
}

/// A loaded and checked medium.
struct Loaded {
    kind: Kind,
    bytes: Vec<u8>,
    /// Upper limit of the bytes that the medium takes after decoding.
    decoded_bytes: u64,
}

/// Loads media, within the limits of the server's options.
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
            let directory = root.canonicalize().ok().filter(|root| root.is_dir());
            directory.ok_or_else(|| anyhow::anyhow!("the image root {} is not a directory", root.display()))
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

    /// Loads and decodes the media of one request, in order. `copies` is how many copies of them the engine will hold; `sees_videos` is
    /// whether the model supports videos.
    pub(super) async fn decode(
        &self,
        sources: &[Source],
        copies: u64,
        sees_videos: bool,
    ) -> Result<Vec<Medium>, ApiError> {
        let loaded = self.load_all(sources, copies, sees_videos).await?;
        let decoded = tokio::task::spawn_blocking(move || loaded.into_iter().map(decode_medium).collect());
        decoded.await.map_err(|e| ApiError::engine(&e))?
    }

    /// Loads the media of one request as data URLs, in order, for an engine that looks at the pixels of a file only.
    pub(super) async fn data_urls(&self, sources: &[Source]) -> Result<Vec<String>, ApiError> {
        let loaded = self.load_all(sources, 1, false).await?;
        let urls = tokio::task::spawn_blocking(move || loaded.into_iter().map(data_url).collect());
        urls.await.map_err(|e| ApiError::engine(&e))?
    }

    async fn load_all(&self, sources: &[Source], copies: u64, sees_videos: bool) -> Result<Vec<Loaded>, ApiError> {
        if sources.len() > self.max_images {
            let (max, count) = (self.max_images, sources.len());
            let message = format!("a request may have {max} images and videos, not {count}");
            return Err(ApiError::invalid("too_many_images", message));
        }
        if !sees_videos && sources.iter().any(|source| source.kind == Kind::Video) {
            let message = "this server does not support videos for this model: send frames as images";
            return Err(ApiError::invalid("unsupported_media", message));
        }
        let loaded = tokio::time::timeout(DEADLINE, self.load_concurrently(sources, copies)).await;
        loaded.map_err(|_| {
            ApiError::invalid("images_too_slow", format!("the images did not come within {} s", DEADLINE.as_secs()))
        })?
    }

    async fn load_concurrently(&self, sources: &[Source], copies: u64) -> Result<Vec<Loaded>, ApiError> {
        let load = |source: Source| async move { self.load(&source).await };
        let mut loading = futures::stream::iter(sources.iter().cloned().map(load)).buffered(CONCURRENT_LOADS);
        let (mut loaded, mut bytes) = (Vec::new(), 0u64);
        while let Some(next) = loading.next().await {
            let next = next?;
            bytes = bytes.saturating_add(next.decoded_bytes.saturating_mul(copies));
            if bytes > MAX_DECODED_BYTES {
                return Err(ApiError::invalid("images_too_large", "the images of one request are too large together"));
            }
            loaded.push(next);
        }
        Ok(loaded)
    }

    async fn load(&self, source: &Source) -> Result<Loaded, ApiError> {
        let bytes = match Url::parse(&source.url) {
            Ok(url) if url.scheme() == "data" => decode_data_url(&source.url)?,
            Ok(url) if matches!(url.scheme(), "http" | "https") => self.fetch_url(url).await?,
            Ok(url) if url.scheme() == "file" => {
                let path = url.to_file_path().map_err(|()| local::refused_path())?;
                self.read_local(&path).await?
            }
            Ok(_) => {
                return Err(ApiError::invalid(
                    "unsupported_url_scheme",
                    "an image URL is a data:, http: or https: URL",
                ));
            }
            // Some clients send base64 without the beginning of a data URL.
            Err(_) => match media::embedded(&source.url) {
                Some(bytes) => bytes,
                None => self.read_local(Path::new(&source.url)).await?,
            },
        };
        if bytes.len() > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        match source.kind {
            Kind::Image => Ok(Loaded { kind: Kind::Image, decoded_bytes: self.check_image(&bytes)?, bytes }),
            Kind::Video => {
                let max_pixels = self.max_pixels;
                let checked = tokio::task::spawn_blocking(move || Ok((check_gif(&bytes, max_pixels)?, bytes))).await;
                let (decoded_bytes, bytes) = checked.map_err(|e| ApiError::engine(&e))??;
                Ok(Loaded { kind: Kind::Video, bytes, decoded_bytes })
            }
        }
    }

    /// Checks format and size by the header, since decoding allocates what the header asks for. Returns the bytes that the decoded image
    /// takes.
    fn check_image(&self, bytes: &[u8]) -> Result<u64, ApiError> {
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

impl Loaded {
    /// Limits for a medium whose size was checked.
    fn limits(&self) -> media::Limits {
        media::Limits { max_side: u32::MAX, max_bytes: self.decoded_bytes.max(1 << 20) }
    }
}

fn data_url(loaded: Loaded) -> Result<String, ApiError> {
    let limits = loaded.limits();
    let (media_type, bytes) = match loaded.kind {
        Kind::Image => {
            let plain = media::plain(loaded.bytes, limits).map_err(|e| invalid_image(&e))?;
            ("application/octet-stream", plain)
        }
        Kind::Video => ("image/gif", loaded.bytes),
    };
    Ok(format!("data:{media_type};base64,{}", STANDARD.encode(bytes)))
}

fn decode_medium(loaded: Loaded) -> Result<Medium, ApiError> {
    let limits = loaded.limits();
    match loaded.kind {
        Kind::Image => media::decode(&loaded.bytes, limits).map(Medium::Image).map_err(|e| invalid_image(&e)),
        Kind::Video => {
            let clip = media::decode_gif(&loaded.bytes);
            clip.map(Medium::Video).map_err(|_| ApiError::invalid("invalid_video", "this video cannot be read"))
        }
    }
}

fn invalid_image(error: &MediaError) -> ApiError {
    let why = match error {
        MediaError::UnknownFormat => "this is not an image of a known format".into(),
        MediaError::Unsupported(_) => error.to_string(),
        MediaError::Cut => "this image is cut off: its end is missing".into(),
        _ => "this image cannot be read".to_owned(),
    };
    ApiError::invalid("invalid_image", why)
}

/// Checks a GIF, and returns the bytes that it takes when all its frames are decoded. Its header does not say how many frames there are.
/// (An engine would pass other formats to an external program.)
fn check_gif(bytes: &[u8], max_pixels: u64) -> Result<u64, ApiError> {
    let not_a_gif = |_| ApiError::invalid("invalid_video", "a video has to be a GIF, and this one cannot be decoded");
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

fn decode_data_url(source: &str) -> Result<Vec<u8>, ApiError> {
    let broken = || ApiError::invalid("invalid_data_url", "this data: URL cannot be decoded");
    // Base64 of either alphabet, with or without padding.
    if let Some(bytes) = media::embedded(source) {
        return Ok(bytes);
    }
    let url = data_url::DataUrl::process(source).map_err(|_| broken())?;
    Ok(url.decode_to_vec().map_err(|_| broken())?.0)
}

fn too_large(limit: usize) -> ApiError {
    ApiError::invalid("image_too_large", format!("an image may have {limit} bytes"))
}
