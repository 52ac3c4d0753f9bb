//! Decodes images.
use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader};
use replay_core::session::Picture;

use super::jpeg;

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
    /// The bytes are an image of a format that is known and not read.
    #[error("{0} images are not read: save it as PNG or JPEG")]
    Unsupported(&'static str),
    /// The end of the file is missing.
    #[error("the file is cut off: its end is missing")]
    Cut,
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

/// Decodes an image to 8-bit RGB, the way a viewer shows it: turned as its metadata says, and on white where it is transparent.
///
/// # Errors
/// If the bytes are not an image, or only a part of one, or the image is too large.
pub fn decode(bytes: &[u8], limits: Limits) -> Result<Picture, MediaError> {
    let mut decoder = decoder(bytes, limits)?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    picture(image)
}

/// The image as a program sees it that looks at the pixels only: the bytes themselves, or where metadata or transparency say something else,
/// a PNG file of what [`decode`] gives.
///
/// # Errors
/// As [`decode`].
pub fn plain(bytes: Vec<u8>, limits: Limits) -> Result<Vec<u8>, MediaError> {
    let is_plain = {
        let mut decoder = decoder(&bytes, limits)?;
        decoder.orientation()? == Orientation::NoTransforms && !decoder.color_type().has_alpha()
    };
    if is_plain {
        return Ok(bytes);
    }
    let picture = decode(&bytes, limits)?;
    let mut out = Cursor::new(Vec::new());
    let (width, height) = (picture.width(), picture.height());
    image::write_buffer_with_format(
        &mut out,
        picture.pixels(),
        width,
        height,
        ExtendedColorType::Rgb8,
        ImageFormat::Png,
    )?;
    Ok(out.into_inner())
}

/// A decoder that stands before its pixels.
fn decoder(bytes: &[u8], limits: Limits) -> Result<impl ImageDecoder, MediaError> {
    if !jpeg::is_whole(bytes) {
        return Err(MediaError::Cut);
    }
    let mut reader = reader(bytes)?;
    let mut limited = image::Limits::default();
    limited.max_image_width = Some(limits.max_side);
    limited.max_image_height = Some(limits.max_side);
    limited.max_alloc = Some(limits.max_bytes);
    reader.limits(limited);
    Ok(reader.into_decoder()?)
}

/// Width and height of an image, from its header.
///
/// # Errors
/// If the bytes are not an image, or the header cannot be read.
pub fn dimensions(bytes: &[u8]) -> Result<(u32, u32), MediaError> {
    Ok(reader(bytes)?.into_dimensions()?)
}

/// A reader of the format that the first bytes say, whatever the file is called.
fn reader(bytes: &[u8]) -> Result<ImageReader<Cursor<&[u8]>>, MediaError> {
    match bytes.get(4..12) {
        Some(b"ftypavif" | b"ftypavis") => return Err(MediaError::Unsupported("AVIF")),
        Some(b"ftypheic" | b"ftypheix" | b"ftypheim" | b"ftyphevc" | b"ftypmif1" | b"ftypmsf1") => {
            return Err(MediaError::Unsupported("HEIC"));
        }
        _ => {}
    }
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    match reader.format() {
        Some(_) => Ok(reader),
        None => Err(MediaError::UnknownFormat),
    }
}

/// The pixels of an image, on white where it is transparent.
pub(super) fn picture(image: DynamicImage) -> Result<Picture, MediaError> {
    let (width, height) = (image.width(), image.height());
    let pixels = match image.color().has_alpha() {
        true => image.into_rgba8().pixels().flat_map(|pixel| on_white(pixel.0)).collect(),
        false => image.into_rgb8().into_raw(),
    };
    Picture::rgb8(width, height, pixels).map_err(|e| MediaError::Video(e.to_string()))
}

/// A colour over white, rounded.
fn on_white([red, green, blue, alpha]: [u8; 4]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    [red, green, blue].map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::codecs::png::PngEncoder;
    use image::codecs::webp::WebPEncoder;
    use image::{GrayAlphaImage, ImageEncoder, Rgb, RgbImage, RgbaImage};

    use super::*;

    /// EXIF metadata with an orientation and nothing else.
    fn exif(orientation: u8) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        bytes.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    /// 16 x 8, with another colour in each quarter, so that lossy files keep them apart.
    fn quarters() -> RgbImage {
        let colours = [[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 250]];
        RgbImage::from_fn(16, 8, |x, y| Rgb(colours[usize::from(x >= 8) + 2 * usize::from(y >= 4)]))
    }

    fn decoded(bytes: &[u8]) -> RgbImage {
        let picture = decode(bytes, Limits::default()).unwrap();
        RgbImage::from_raw(picture.width(), picture.height(), picture.pixels().to_vec()).unwrap()
    }

    #[test]
    fn images_are_turned_as_their_metadata_says_in_every_format_that_has_it() {
        for (orientation, turned) in (1..=8).filter_map(|x| Some((x, Orientation::from_exif(x)?))) {
            let mut wanted = DynamicImage::from(quarters());
            wanted.apply_orientation(turned);
            let wanted = wanted.into_rgb8();
            let write = |encoder: &mut dyn FnMut(&mut Vec<u8>)| {
                let mut bytes = Vec::new();
                encoder(&mut bytes);
                bytes
            };
            let png = write(&mut |out| {
                let mut encoder = PngEncoder::new(out);
                encoder.set_exif_metadata(exif(orientation)).unwrap();
                encoder.write_image(&quarters(), 16, 8, ExtendedColorType::Rgb8).unwrap();
            });
            let webp = write(&mut |out| {
                let mut encoder = WebPEncoder::new_lossless(out);
                encoder.set_exif_metadata(exif(orientation)).unwrap();
                encoder.write_image(&quarters(), 16, 8, ExtendedColorType::Rgb8).unwrap();
            });
            let jpeg = write(&mut |out| {
                let mut encoder = JpegEncoder::new_with_quality(out, 100);
                encoder.set_exif_metadata(exif(orientation)).unwrap();
                encoder.write_image(&quarters(), 16, 8, ExtendedColorType::Rgb8).unwrap();
            });
            assert_eq!((decoded(&png), decoded(&webp)), (wanted.clone(), wanted.clone()), "{orientation}");
            let lossy = decoded(&jpeg);
            assert_eq!(lossy.dimensions(), wanted.dimensions(), "{orientation}");
            let close = |(a, b): (&u8, &u8)| a.abs_diff(*b) < 30;
            let corners = [(2, 2), (wanted.width() - 3, 2), (2, wanted.height() - 3)];
            assert!(
                corners.iter().all(|&(x, y)| lossy.get_pixel(x, y).0.iter().zip(&wanted.get_pixel(x, y).0).all(close))
            );
            // For a program that looks at the pixels only.
            for bytes in [png, webp, jpeg] {
                let (seen, shown) = (plain(bytes.clone(), Limits::default()).unwrap(), decoded(&bytes));
                assert_eq!(image::load_from_memory(&seen).unwrap().into_rgb8(), shown);
                assert_eq!(seen == bytes, orientation == 1);
            }
        }
    }

    #[test]
    fn transparent_images_stand_on_white() {
        let png = |image: DynamicImage| {
            let mut bytes = Cursor::new(Vec::new());
            image.write_to(&mut bytes, ImageFormat::Png).unwrap();
            bytes.into_inner()
        };
        // Black that cannot be seen, half of it, and all of it.
        let rgba = RgbaImage::from_raw(3, 1, vec![0, 0, 0, 0, 0, 0, 0, 128, 10, 20, 30, 255]).unwrap();
        assert_eq!(decoded(&png(rgba.into())).into_raw(), [255, 255, 255, 127, 127, 127, 10, 20, 30]);
        let grey = GrayAlphaImage::from_raw(2, 1, vec![0, 0, 40, 255]).unwrap();
        assert_eq!(decoded(&png(grey.into())).into_raw(), [255, 255, 255, 40, 40, 40]);
    }

    #[test]
    fn formats_that_are_not_read_are_named() {
        for (brand, name) in [("heic", "HEIC"), ("mif1", "HEIC"), ("avif", "AVIF")] {
            let bytes = [&[0, 0, 0, 24][..], b"ftyp", brand.as_bytes(), &[0; 12]].concat();
            let message = decode(&bytes, Limits::default()).unwrap_err().to_string();
            assert_eq!(message, format!("{name} images are not read: save it as PNG or JPEG"));
            assert_eq!(dimensions(&bytes).unwrap_err().to_string(), message);
        }
        assert_eq!(
            decode(b"hello", Limits::default()).unwrap_err().to_string(),
            "it is not an image of a known format"
        );
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused_in_every_format() {
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::WebP,
            ImageFormat::Gif,
            ImageFormat::Bmp,
            ImageFormat::Tiff,
        ] {
            let noisy =
                RgbImage::from_fn(64, 48, |x, y| Rgb([((x * 7) ^ (y * 13)) as u8, (x * y) as u8, (y * 31) as u8]));
            let mut bytes = Cursor::new(Vec::new());
            DynamicImage::from(noisy).write_to(&mut bytes, format).unwrap();
            let bytes = bytes.into_inner();
            assert!(decode(&bytes, Limits::default()).is_ok(), "{format:?}");
            assert!(decode(&bytes[..bytes.len() * 3 / 5], Limits::default()).is_err(), "{format:?}");
        }
    }
}
