//! A server in this process, with a fixture's pair, and requests for it.
use crate::common::{config, fixture, repository};
use base64::Engine;
use replay_cli::serve::{ServeOptions, Served, ServedModel, router};
use serde_json::{Value, json};

pub(crate) const PROFILES: &str = "strategy = \"learned\"\nlayers = 4\n[replay.rank]\nquantile = 0.5\n[replay.learned]\niterations = 4\n\
     [profiles.swap]\nstrategy = \"substitute\"\nblend = 1.0";

pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) client: reqwest::Client,
}

impl Server {
    /// The replayed pair, and the base of another one without replay.
    pub(crate) async fn start(options: ServeOptions) -> Self {
        let pair = fixture("qwen2_5_vl").join("pair");
        let replayed = config(&pair.join("base"), &pair.join("rlvr"), PROFILES);
        let plain = config(&pair.join("rlvr"), &pair.join("base"), &format!("enabled = false\n{PROFILES}"));
        let models = [
            ServedModel { name: "replayed".into(), config: replayed },
            ServedModel { name: "plain".into(), config: plain },
        ];
        Self::of(router(Served::open(&models).await.unwrap(), options).await.unwrap()).await
    }

    pub(crate) async fn of(app: axum::Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, client: reqwest::Client::new() }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.client.post(format!("{}{path}", self.address));
        let response = response.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn chat(&self, more: Value) -> (u16, Value) {
        self.post("/v1/chat/completions", &request(&image(), more)).await
    }
}

/// Pictures of one size that differ.
pub(crate) fn dots(index: u8) -> String {
    let pixel = |x: u32, y: u32| image::Rgb([(x * 3) as u8, (y * 2) as u8, index.wrapping_mul(37)]);
    let mut png = std::io::Cursor::new(Vec::new());
    image::DynamicImage::from(image::RgbImage::from_fn(56, 56, pixel))
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png.into_inner()))
}

pub(crate) fn image() -> String {
    picture("tests/fixtures/qwen2_5_vl/image.png")
}

/// A file of the repository as a data URL.
pub(crate) fn picture(file: &str) -> String {
    let bytes = std::fs::read(repository().join(file)).unwrap();
    format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

pub(crate) fn request(image: &str, more: Value) -> Value {
    let mut body = json!({
        "model": "default",
        "temperature": 0,
        "max_tokens": 6,
        "messages": [{ "role": "user", "content": [
            { "type": "image_url", "image_url": { "url": image } },
            { "type": "text", "text": "What is in the picture?" },
        ]}],
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

pub(crate) fn said(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{answer}"))
}
