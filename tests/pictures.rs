//! Pictures as people have them: turned by their metadata, transparent, cut off. Each answers as the picture that a viewer shows.
use std::io::Cursor;
use std::path::Path;

use crate::common::repository;
use crate::evidence::{configuration, json, replay, shown};
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat};
use serde_json::Value;

/// EXIF metadata with an orientation and nothing else.
fn exif(orientation: u8) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    bytes.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn answer(image: &Path) -> (Value, Value) {
    let config = shown(&configuration("substitute"));
    let arguments =
        ["run", "--config", &config, "--image", &shown(image), "--prompt", "How many red shapes?", "--json"];
    let answer = json(&arguments);
    (answer["text"].clone(), answer["replay"]["layers"].clone())
}

#[test]
fn a_picture_is_seen_as_a_viewer_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let original = repository().join("examples/images/000.png");
    let plain = answer(&original);
    let pixels = image::open(&original).unwrap();

    // Stored turned to the left, with metadata that turns it back.
    let (turned, file) = (pixels.rotate270().into_rgb8(), folder.path().join("turned.png"));
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif(6)).unwrap();
    encoder.write_image(&turned, turned.width(), turned.height(), ExtendedColorType::Rgb8).unwrap();
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(answer(&file), plain);

    // The same colours over white, half of them transparent: what a viewer shows is another picture than the colours below.
    let mut transparent = pixels.to_rgba8();
    transparent.pixels_mut().filter(|pixel| pixel.0[0] > 128).for_each(|pixel| pixel.0[3] = 0);
    let mut white = pixels.to_rgb8();
    white.pixels_mut().filter(|pixel| pixel.0[0] > 128).for_each(|pixel| pixel.0 = [255; 3]);
    let (over, under) = (folder.path().join("transparent.png"), folder.path().join("white.png"));
    transparent.save(&over).unwrap();
    white.save(&under).unwrap();
    assert_eq!(answer(&over), answer(&under));
    assert_ne!(answer(&over), plain);

    // Cut off after 60 %.
    let mut jpeg = Cursor::new(Vec::new());
    DynamicImage::from(pixels.to_rgb8()).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let (jpeg, cut) = (jpeg.into_inner(), folder.path().join("cut.jpg"));
    std::fs::write(&cut, &jpeg[..jpeg.len() * 3 / 5]).unwrap();
    let config = shown(&configuration("substitute"));
    let (code, _, message) =
        replay(&["run", "--config", &config, "--image", &shown(&cut), "--prompt", "How many red shapes?"]);
    assert!(code == 5 && message.contains("cut.jpg") && message.contains("its end is missing"), "{code} {message}");
}
