//! Pictures as people have them: turned by their metadata, transparent, cut off. Each answers as the picture that a viewer shows.
use std::io::Cursor;
use std::path::Path;

use crate::common::{distance, fixture, repository, tensors, toml, values};
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

/// residual[0] of the image's rows in the RLVR model of a tiny pair, whose processor makes images of at most 12544 pixels.
fn seen(folder: &Path, image: &Path) -> Vec<f32> {
    let pair = fixture("qwen2_5_vl").join("pair");
    let mut models = ["base", "rlvr"].map(|role| (pair.join(role), folder.join(role)));
    for (from, to) in &mut models {
        if to.exists() {
            continue;
        }
        std::fs::create_dir(&*to).unwrap();
        for file in std::fs::read_dir(&*from).unwrap().flatten() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        let settings = std::fs::read_to_string(to.join("preprocessor_config.json")).unwrap();
        std::fs::write(to.join("preprocessor_config.json"), settings.replace("1003520", "12544")).unwrap();
    }
    let (config, out) = (folder.join("replay.toml"), folder.join("trace.safetensors"));
    let policy = "strategy = \"substitute\"\nlayers = 1\n[replay.rank]\nfraction_of_max = 0.9";
    std::fs::write(&config, toml(&models[0].1, &models[1].1, policy)).unwrap();
    let (code, _, log) = replay(&[
        "trace",
        "--config",
        &shown(&config),
        "--out",
        &shown(&out),
        "--prompt",
        "What is it?",
        "--image",
        &shown(image),
    ]);
    assert_eq!(code, 0, "{log}");
    let trace = tensors(&out);
    values(&trace["residual.rlvr.0"].index_select(&trace["visual_rows"], 0).unwrap())
}

#[test]
fn images_are_resized_as_the_published_processors_do() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["smaller", "larger", "wider", "narrow", "dot"] {
        let image = |name: String| fixture("resized").join(name + ".png");
        let (got, expected) =
            (seen(folder.path(), &image(name.into())), seen(folder.path(), &image(format!("{name}_resized"))));
        assert_eq!(got.len(), expected.len(), "{name}: another grid");
        let largest = expected.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        // Some pixels differ by one step of 255, as the filter's fixed-point arithmetic differs from Pillow's.
        let off = distance(&got, &expected) / largest;
        assert!(off < 2e-3, "{name}: off by {off:e}");
    }
}

#[test]
fn small_and_narrow_images_are_seen_and_others_refused_with_their_sides() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.png");
    let config = shown(&configuration("substitute"));
    let ask = |width: u32, height: u32| {
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 99])).save(&file).unwrap();
        replay(&[
            "run",
            "--config",
            &config,
            "--image",
            &shown(&file),
            "--prompt",
            "How many red shapes?",
            "--max-tokens",
            "2",
        ])
    };
    for (width, height) in [(27, 27), (1, 1), (20, 400), (2, 400), (1000, 5)] {
        let (code, _, log) = ask(width, height);
        assert_eq!(code, 0, "{width}x{height}: {log}");
    }
    for (width, height) in [(3000, 14), (28, 5601), (201, 1)] {
        let (code, _, log) = ask(width, height);
        assert!(
            code == 5 && log.contains(&format!("{width} x {height}")) && log.contains("at most 200"),
            "{code} {log}"
        );
    }
}
