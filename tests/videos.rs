//! Videos through HTTP, for a family that sees them and for one that does not.
use std::io::Cursor;

use base64::Engine;
use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, Rgba, RgbaImage};
use replay_cli::serve::{ServeOptions, Served, ServedModel, router};
use serde_json::{Value, json};

use crate::common::{config, fixture, runtime};
use crate::families::Spec;
use crate::server::{Server, said};

const REPLAY: &str = "strategy = \"substitute\"\nlayers = 4\n[replay.rank]\nquantile = 0.5";

/// A dot on its way, as a data URL.
fn gif(frames: u32, width: u32, height: u32) -> String {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for number in 0..frames {
        let dot =
            |x: u32, y: u32| if x / 12 == number && y / 12 == 1 { [200, 20, 30, 255] } else { [250, 250, 250, 255] };
        let frame = RgbaImage::from_fn(width, height, |x, y| Rgba(dot(x, y)));
        let delay = Delay::from_numer_denom_ms(500, 1);
        encoder.encode_frame(Frame::from_parts(frame, 0, 0, delay)).expect("a frame");
    }
    drop(encoder);
    url("image/gif", &bytes)
}

fn url(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn ask(model: &str, media: &[(&str, String)], more: Value) -> Value {
    let part = |(kind, url): &(&str, String)| json!({ "type": kind, *kind: { "url": url } });
    let mut parts: Vec<Value> = media.iter().map(part).collect();
    parts.push(json!({ "type": "text", "text": "What moves?" }));
    let mut body = json!({ "model": model, "temperature": 0, "max_tokens": 4, "messages": [{ "role": "user", "content": parts }] });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

#[test]
fn a_model_that_sees_videos_is_sent_them_and_replayed() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (base, rlvr) = Spec::read("gemma4").write_pair(folder.path());
        let other = fixture("qwen2_5_vl").join("pair");
        let models = [
            ServedModel { name: "sees".into(), config: config(&base, &rlvr, REPLAY) },
            ServedModel { name: "blind".into(), config: config(&other.join("base"), &other.join("rlvr"), REPLAY) },
        ];
        let served = Served::open(&models).await.expect("two models");
        let options = ServeOptions { max_pixels: 100_000, max_images: 2, ..ServeOptions::default() };
        let server = Server::of(router(served, options).await.expect("a router")).await;
        let chat = async |body: &Value| server.post("/v1/chat/completions", body).await;

        let mut png = Cursor::new(Vec::new());
        RgbaImage::new(60, 50).write_to(&mut png, image::ImageFormat::Png).expect("a picture");
        let picture = ("image_url", url("image/png", png.get_ref()));
        let clip = ("video_url", gif(3, 60, 40));
        let (status, answer) = chat(&ask("sees", std::slice::from_ref(&clip), json!({}))).await;
        assert_eq!((status, &answer["replay"]["status"]), (200, &json!("replayed")), "{answer}");
        let rows = |answer: &Value| answer["replay"]["visual_rows"].as_u64().expect("rows");
        assert_eq!(rows(&answer), 3 * rows_of_a_frame(), "{answer}");
        let (_, again) = chat(&ask("sees", std::slice::from_ref(&clip), json!({}))).await;
        assert_eq!((&again["replay"]["cache_hits"], said(&again)), (&json!(1), said(&answer)));
        let (_, longer) = chat(&ask("sees", &[("video_url", gif(4, 60, 40))], json!({}))).await;
        assert_eq!((&longer["replay"]["cache_hits"], rows(&longer)), (&json!(0), 4 * rows_of_a_frame()));
        let (status, both) = chat(&ask("sees", &[picture.clone(), clip.clone()], json!({}))).await;
        assert_eq!((status, &both["replay"]["status"]), (200, &json!("replayed")), "{both}");
        assert!(rows(&both) > rows(&answer));
        let (status, off) = chat(&ask("sees", std::slice::from_ref(&clip), json!({ "replay": false }))).await;
        assert_eq!((status, &off["replay"]["status"]), (200, &json!("passthrough")));

        for (model, media, code) in [
            ("blind", vec![clip.clone()], "unsupported_media"),
            ("sees", vec![("video_url", picture.1.clone())], "invalid_video"),
            ("sees", vec![("video_url", url("image/gif", b"GIF89a"))], "invalid_video"),
            ("sees", vec![("video_url", url("video/mp4", &[0; 64]))], "invalid_video"),
            ("sees", vec![("video_url", "/etc/passwd".into())], "local_path_refused"),
            ("sees", vec![("video_url", gif(42, 60, 40))], "video_too_large"),
            ("sees", vec![clip.clone(), clip.clone(), picture.clone()], "too_many_images"),
            ("sees", vec![("audio_url", clip.1.clone())], "unsupported_media"),
        ] {
            let (status, refusal) = chat(&ask(model, &media, json!({}))).await;
            assert_eq!((status, &refusal["error"]["code"]), (400, &json!(code)), "{refusal}");
        }
        let (status, alone) =
            chat(&json!({ "model": "sees", "max_tokens": 2, "messages": [{ "role": "user", "content": [
            { "type": "video_url", "video_url": { "url": clip.1 } }] }] }))
            .await;
        assert_eq!((status, &alone["replay"]["status"]), (200, &json!("replayed")), "{alone}");
    });
}

/// Of 60 by 40 pixels: the ratio is kept in at most 70 cells.
fn rows_of_a_frame() -> u64 {
    let scale = (70f64 / (60.0 * 40.0)).sqrt();
    ((60.0 * scale).floor() * (40.0 * scale).floor()) as u64
}
