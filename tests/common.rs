//! What the tests share: fixtures, configurations, sessions.
#![allow(unreachable_pub)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use image::{DynamicImage, RgbImage};
use replay_core::Config;
use replay_core::session::{Picture, Prompt};
use replay_mistralrs::MistralrsSession;
use serde_json::Value;

pub const FAMILIES: [&str; 4] = ["qwen2_vl", "qwen2_5_vl", "qwen2_5_vl_wide", "qwen3_vl"];

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

pub fn fixture(name: &str) -> PathBuf {
    repository().join("tests/fixtures").join(name)
}

pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a fixture")).expect("JSON")
}

pub fn tensors(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).expect("safetensors")
}

pub fn image(path: &Path) -> Picture {
    shown(&image::open(path).expect("an image"))
}

/// As a session takes it.
pub fn shown(image: &DynamicImage) -> Picture {
    Picture::rgb8(image.width(), image.height(), image.to_rgb8().into_raw()).expect("a picture")
}

/// Families whose models the engine does not page.
pub const UNPAGED: [&str; 4] = [
    "Qwen2VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration",
    "Gemma3nForConditionalGeneration",
    "MllamaForConditionalGeneration",
];

/// Whether the suite runs with PagedAttention wherever the engine has it: then every test is one of it.
pub fn all_paged() -> bool {
    std::env::var_os("REPLAY_TEST_PAGED").is_some()
}

fn paged(rlvr: &Path) -> &'static str {
    let text = std::fs::read_to_string(rlvr.join("config.json")).unwrap_or_default();
    match all_paged() && !UNPAGED.iter().any(|family| text.contains(family)) {
        true => "paged_attention = { memory = \"64MiB\", block_size = 8 }\n",
        false => "",
    }
}

/// A configuration for a pair of a fixture; `replay` are the lines of `[replay]` and the tables after it.
pub fn toml(base: &Path, rlvr: &Path, replay: &str) -> String {
    toml_with(base, rlvr, paged(rlvr), replay)
}

/// The same with these lines of `[mistralrs]`.
pub fn toml_with(base: &Path, rlvr: &Path, table: &str, replay: &str) -> String {
    format!(
        "adapter = \"mistralrs\"\n[pair]\nrlvr = {:?}\nbase = {:?}\n[mistralrs]\ndevice = \"cpu\"\nmax_seqs = 8\n{table}[replay]\n{replay}\n",
        rlvr.display().to_string(),
        base.display().to_string()
    )
}

pub fn config(base: &Path, rlvr: &Path, replay: &str) -> Config {
    Config::from_str(&toml(base, rlvr, replay), "test.toml").expect("a valid configuration")
}

pub async fn session(family: &str, replay: &str) -> MistralrsSession {
    let pair = fixture(family).join("pair");
    MistralrsSession::open(&config(&pair.join("base"), &pair.join("rlvr"), replay)).await.expect("a session")
}

/// Substitutes some rows everywhere: the settings most tests use. Without a cache, or only the first prompt would be replayed.
pub const SUBSTITUTE: &str =
    "strategy = \"substitute\"\nlayers = 4\ncache.max_bytes = 0\n[replay.rank]\nquantile = 0.5";

/// Learns a delta, without a cache.
pub const LEARNED: &str = "strategy = \"learned\"\nlayers = 4\ncache.max_bytes = 0\n[replay.rank]\nquantile = 0.5\n[replay.learned]\niterations = 6";

pub fn prompt(family: &str, images: &[&str], text: &str) -> Prompt {
    let images = images.iter().map(|name| image(&fixture(family).join(name))).collect();
    Prompt { images, text: text.into(), ..Prompt::default() }
}

/// Its pixels, to be altered.
pub fn pixels(picture: &Picture) -> RgbImage {
    RgbImage::from_raw(picture.width(), picture.height(), picture.pixels().to_vec()).expect("pixels")
}

/// Largest absolute difference.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}

pub fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()?.to_vec1()).expect("values")
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// A pair in a scratch folder, to be altered: the folder, base and RLVR model.
pub fn copied(family: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for role in ["base", "rlvr"] {
        let (from, to) = (fixture(family).join("pair").join(role), folder.path().join(role));
        std::fs::create_dir(&to).expect("a folder");
        for entry in std::fs::read_dir(from).expect("a fixture").flatten() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
    let (base, rlvr) = (folder.path().join("base"), folder.path().join("rlvr"));
    (folder, base, rlvr)
}

/// Alters a JSON file.
pub fn change(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = json(path);
    edit(&mut value);
    std::fs::write(path, value.to_string()).expect("a writable copy");
}

/// A page between two marks must be this, which came out of a run.
pub fn page_section(page: &str, name: &str, wanted: &str) {
    let path = repository().join(page);
    let text = std::fs::read_to_string(&path).expect(page);
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let from = text.find(&begin).expect("the beginning of the section") + begin.len();
    let to = from + text[from..].find(&end).expect("the end of the section");
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(&path, format!("{}{wanted}{}", &text[..from], &text[to..])).expect("a writable page");
        return;
    }
    assert!(text[from..to] == *wanted, "the {name} of {page} are not these; UPDATE_PAGES=1 puts them in:\n{wanted}");
}
