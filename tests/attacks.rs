//! Hostile inputs: typed errors with the documented exit codes, nothing lost, and the engine serves the next request.

use std::path::Path;

use crate::common::{SUBSTITUTE, change, copied, distance, fixture, prompt, runtime, session, shown, toml};
use image::{DynamicImage, RgbImage};
use replay_core::session::{Directive, Prompt, Sampling, Session as _, SessionError};

const FAMILY: &str = "qwen2_5_vl";

fn replay(base: &Path, rlvr: &Path, arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replay.toml");
    std::fs::write(&file, toml(base, rlvr, SUBSTITUTE)).unwrap();
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_replay"));
    // No network in any case: a model that is not here must be said so.
    command.env("HF_HUB_OFFLINE", "1").env("HF_ENDPOINT", "http://127.0.0.1:9").env("HF_HUB_CACHE", folder.path());
    command.args(arguments).arg("--config").arg(&file);
    let output = command.output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn check(base: &Path, rlvr: &Path) -> (i32, String) {
    replay(base, rlvr, &["check"])
}

#[test]
fn models_that_are_not_a_pair_end_with_exit_code_3_and_every_mismatch() {
    let (_folder, base, rlvr) = copied(FAMILY);
    change(&base.join("config.json"), |config| {
        config["hidden_size"] = 32.into();
        config["num_attention_heads"] = 1.into();
    });
    change(&base.join("tokenizer.json"), |tokenizer| tokenizer["model"]["vocab"]["!"] = 5.into());
    change(&base.join("preprocessor_config.json"), |preprocessor| preprocessor["patch_size"] = 16.into());
    let (code, message) = check(&base, &rlvr);
    assert_eq!(code, 3, "{message}");
    for what in ["hidden_size", "num_attention_heads", "tokenizer", "patch_size"] {
        assert!(message.contains(what), "no {what} in\n{message}");
    }
}

#[test]
fn other_families_and_families_without_a_profile_are_refused_by_name() {
    let pair = |family: &str| fixture(family).join("pair");
    let (code, message) = check(&pair("qwen2_vl").join("base"), &pair(FAMILY).join("rlvr"));
    assert!(code == 3 && message.contains("Qwen2VLForConditionalGeneration"), "{code} {message}");
    let (_folder, base, rlvr) = copied(FAMILY);
    for (architecture, why) in
        [("NewForConditionalGeneration", "no profile"), ("VoxtralForConditionalGeneration", "takes audio")]
    {
        for model in [&base, &rlvr] {
            change(&model.join("config.json"), |config| {
                config["architectures"] = serde_json::json!([architecture]);
            });
        }
        let (code, message) = check(&base, &rlvr);
        assert!(code == 3 && message.contains(architecture) && message.contains(why), "{code} {message}");
    }
}

#[test]
fn damaged_checkpoints_end_with_exit_code_4_and_name_the_model() {
    type Damage = fn(&Path);
    let damage: [(&str, Damage); 6] = [
        ("truncated", |model| {
            let file = model.join("model.safetensors");
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("garbage", |model| std::fs::write(model.join("model.safetensors"), b"not a checkpoint at all").unwrap()),
        ("huge header", |model| {
            let file = model.join("model.safetensors");
            let mut bytes = std::fs::read(&file).unwrap();
            bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
            std::fs::write(file, bytes).unwrap();
        }),
        ("no weights", |model| std::fs::remove_file(model.join("model.safetensors")).unwrap()),
        ("tokenizer is not JSON", |model| std::fs::write(model.join("tokenizer.json"), "{").unwrap()),
        ("configuration is not JSON", |model| std::fs::write(model.join("config.json"), "{").unwrap()),
    ];
    for (name, damage) in damage {
        for role in ["base", "rlvr"] {
            let (_folder, base, rlvr) = copied(FAMILY);
            damage(if role == "base" { &base } else { &rlvr });
            let (code, message) = check(&base, &rlvr);
            assert_eq!(code, 4, "{name} {role}: {message}");
            let named = if role == "base" { "base model" } else { "RLVR model" };
            assert!(message.contains(named), "{name} {role}: {message}");
            assert!(!message.contains("panicked at"), "{name} {role}: {message}");
        }
    }
}

#[test]
fn models_that_are_not_here_end_with_exit_code_4_and_say_what_to_do() {
    let pair = fixture(FAMILY).join("pair");
    let (code, message) = check(Path::new("./nowhere"), &pair.join("rlvr"));
    assert!(code == 4 && message.contains("no such directory"), "{code} {message}");
    let (code, message) = check(Path::new("Nobody/Nothing-7B"), &pair.join("rlvr"));
    assert!(code == 4 && message.contains("directory") && message.contains("Nobody/Nothing-7B"), "{code} {message}");
    assert!(!message.contains("panicked at"), "{message}");
}

#[test]
fn garbage_images_end_with_exit_code_5() {
    let folder = tempfile::tempdir().unwrap();
    let pair = fixture(FAMILY).join("pair");
    let good = std::fs::read(fixture(FAMILY).join("image.png")).unwrap();
    let bomb = {
        // A valid header of 20000 x 20000 pixels in a few hundred bytes.
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(RgbImage::new(8, 8)).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let mut bytes = bytes.into_inner();
        bytes[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
        bytes
    };
    let cases: [(&str, &[u8]); 4] =
        [("empty", b""), ("text", b"hello, I am an image"), ("cut", &good[..good.len() / 3]), ("bomb", &bomb)];
    for (name, bytes) in cases {
        let file = folder.path().join(format!("{name}.png"));
        std::fs::write(&file, bytes).unwrap();
        let arguments = ["run", "--prompt", "What?", "--image", file.to_str().unwrap()];
        let (code, message) = replay(&pair.join("base"), &pair.join("rlvr"), &arguments);
        assert!(code == 5 && message.contains(name), "{name}: {code} {message}");
    }
    let arguments = ["run", "--prompt", "What?", "--image", "/nowhere.png"];
    assert_eq!(replay(&pair.join("base"), &pair.join("rlvr"), &arguments).0, 5);
}

#[test]
fn bad_requests_are_refused_one_by_one_and_the_engine_serves_the_next() {
    runtime().block_on(async {
        let session = session(FAMILY, SUBSTITUTE).await;
        let good = prompt(FAMILY, &["image.png"], "What is in the picture?");
        let sampling = Sampling { max_tokens: Some(5), ..Sampling::default() };
        let before = session.answer(good.clone(), sampling, Directive::default()).await.unwrap();
        let image = |width, height| shown(&RgbImage::new(width, height).into());
        let with = |images, text: &str| Prompt { images, text: text.into(), ..Prompt::default() };
        let bad = [
            ("a line", with(vec![image(201, 1)], "What?")),
            ("a strip", with(vec![image(9000, 28)], "What?")),
            ("a typed placeholder", with(vec![image(56, 56)], "Is <|image_pad|> a token?")),
            ("a typed tag", with(vec![image(56, 56)], "And <|vision_start|>")),
            ("many typed placeholders", with(vec![image(56, 56)], &"<|image_pad|>".repeat(500))),
        ];
        for (name, bad) in bad {
            // Beside a good one: one request's trouble is not another's.
            let (refused, served) = tokio::join!(
                session.answer(bad, sampling, Directive::default()),
                session.answer(good.clone(), sampling, Directive::default())
            );
            assert!(matches!(refused, Err(SessionError::Input { .. })), "{name}: {refused:?}");
            let off = distance(&served.unwrap().log_probs(), &before.log_probs());
            assert!(off < 1e-5, "{name}: {off:e}");
        }
        // Without an image the same text is text.
        let text = with(vec![], "Is <|image_pad|> a token?");
        session.answer(text, sampling, Directive::default()).await.unwrap();
    });
}
