//! Replay in a deployment that loads its model in its own way: one call before the engine starts, and nothing else changes.
//!
//!     cargo seam run --example existing_deployment
use std::path::Path;

use candle_core::Device;
use mistralrs_core::{
    DefaultSchedulerMethod, DeviceMapSetting, MistralRsBuilder, ModelDType, MultimodalLoaderBuilder,
    MultimodalSpecificConfig, NormalRequest, Request, RequestMessage, Response, SamplingParams, SchedulerConfig,
    TokenSource,
};
use replay_core::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("error,replay_mistralrs=info").with_writer(std::io::stderr).init();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");

    // The one addition: every pipeline of `pair.rlvr` whose engine starts from here on is replayed.
    replay_mistralrs::install(&Config::from_file(examples.join("configs/substitute.toml"))?)?;

    // The deployment's own code, unchanged.
    let model = examples.join("models/counting/rlvr").display().to_string();
    let specific = MultimodalSpecificConfig::default();
    let loader = MultimodalLoaderBuilder::new(specific, None, None, Some(model), None).build(None);
    let (dtype, map) = (ModelDType::F32, DeviceMapSetting::dummy());
    let pipeline = loader.load_model_from_hf(None, TokenSource::None, &dtype, &Device::Cpu, true, map, None, None)?;
    let method = DefaultSchedulerMethod::Fixed(8.try_into()?);
    let scheduler = SchedulerConfig::DefaultScheduler { method };
    let engine = MistralRsBuilder::new(pipeline, scheduler, false, None).build().await;

    let text = "<|vision_start|><|image_pad|><|vision_end|>How many red shapes?".to_string();
    let message = [("role", "user".to_string()), ("content", text)];
    let message = message.map(|(key, value)| (key.to_string(), either::Either::Left(value)));
    let messages = RequestMessage::MultimodalChat {
        images: vec![image::open(examples.join("images/000.png"))?],
        audios: vec![],
        videos: vec![],
        messages: vec![message.into_iter().collect()],
        enable_thinking: None,
        reasoning_effort: None,
    };
    let (sender, mut answers) = tokio::sync::mpsc::channel(1);
    let mut params = SamplingParams::deterministic();
    params.max_len = Some(48);
    let request = NormalRequest::new_simple(messages, params, sender, engine.next_request_id(), None, None);
    let queue = engine.get_sender(None).map_err(|e| anyhow::anyhow!("{e:?}"))?;
    queue.send(Request::Normal(Box::new(request))).await?;
    match answers.recv().await {
        Some(Response::Done(done)) => {
            println!("{}", done.choices[0].message.content.as_deref().unwrap_or_default());
            Ok(())
        }
        Some(Response::InternalError(e) | Response::ValidationError(e)) => anyhow::bail!("{e}"),
        _ => anyhow::bail!("no answer"),
    }
}
