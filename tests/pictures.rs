//! Pictures as people have them: turned by their metadata, transparent, cut off. Each answers as the picture that a viewer shows.
use std::io::Cursor;
use std::path::Path;

use crate::common::{
    SUBSTITUTE, distance, fixture, image as picture, json as json_file, repository, runtime, session, tensors, toml,
    values,
};
use crate::evidence::{configuration, json, replay, shown};
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat};
use replay_core::session::{Directive, Prompt, Sampling, Session};
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

/// The texts of a prompt's tokens, with the placeholders of each image written once.
fn written(token_ids: &[f32]) -> String {
    let tokenizer = json_file(&fixture("qwen2_5_vl").join("pair/rlvr/tokenizer.json"));
    let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap().iter();
    let known = vocabulary.map(|(text, id)| (id.as_u64().unwrap(), text.replace('Ġ', " ").replace('Ċ', "\n")));
    let added = tokenizer["added_tokens"].as_array().unwrap().iter();
    let added = added.map(|token| (token["id"].as_u64().unwrap(), token["content"].as_str().unwrap().to_owned()));
    let names: std::collections::HashMap<u64, String> = known.chain(added).collect();
    let mut text = String::new();
    for id in token_ids {
        let name = &names[&(*id as u64)];
        if name != "<|image_pad|>" || !text.ends_with("<|image_pad|>") {
            text += name;
        }
    }
    text
}

#[test]
fn the_parts_of_a_message_keep_their_order() {
    const TAG: &str = "<|vision_start|><|image_pad|><|vision_end|>";
    runtime().block_on(async {
        let session = session("qwen2_5_vl", SUBSTITUTE).await;
        let images =
            || ["image_small.png", "image_wide.png"].map(|name| picture(&fixture("qwen2_5_vl").join(name))).to_vec();
        let traced = Directive { trace: true, ..Directive::default() };
        let sampling = Sampling { max_tokens: Some(1), ..Sampling::default() };
        let text = "First: second: same?";
        for (places, expected) in [
            (vec![], format!("{TAG}{TAG}{text}")),
            (vec![6, 14], format!("First:{TAG} second:{TAG} same?")),
            (vec![0, 20], format!("{TAG}{text}{TAG}")),
        ] {
            let prompt = Prompt { images: images(), places, text: text.into(), ..Prompt::default() };
            let trace = session.answer(prompt, sampling, traced).await.unwrap().trace.unwrap();
            let expected = format!("<|im_start|>user\n{expected}<|im_end|>\n<|im_start|>assistant\n");
            assert_eq!(written(&values(trace.get("token_ids").unwrap())), expected);
        }
    });
}

#[test]
fn a_seed_gives_the_same_samples_again_and_different_ones_of_each_other() {
    runtime().block_on(async {
        let session = session("qwen2_5_vl", SUBSTITUTE).await;
        let ask = async |samples, seed, top_p| -> Vec<String> {
            let prompt = crate::common::prompt("qwen2_5_vl", &["image.png"], "What is it?");
            let sampling =
                Sampling { samples, seed, top_p, temperature: Some(1.0), max_tokens: Some(12), ..Sampling::default() };
            let answer = session.answer(prompt, sampling, Directive::default()).await.unwrap();
            answer.choices.into_iter().map(|choice| choice.text).collect()
        };
        let three = ask(3, Some(7), None).await;
        assert_eq!(three, ask(3, Some(7), None).await);
        assert_eq!(three[..1], ask(1, Some(7), None).await);
        assert_eq!(three[1..2], ask(1, Some(8), None).await);
        assert!(three[0] != three[1] && three[1] != three[2], "{three:?}");
        // The limits hold with a seed too: only the likeliest token is left.
        assert_eq!(ask(1, Some(7), Some(0.0)).await, ask(1, Some(8), Some(0.0)).await);
    });
}
