//! A deployment in the small: loads a model with the engine's own loader, asks one question, prints the answer and the bits of the
//! log-probability of each token. With a third argument, and the feature, replay is installed from that file first.
use candle_core::Device;
use mistralrs_core::*;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(feature = "replay")]
    if let Some(file) = arguments.get(2) {
        replay_mistralrs::install(&replay_core::Config::from_file(file)?)?;
    }
    let specific = MultimodalSpecificConfig::default();
    let loader = MultimodalLoaderBuilder::new(specific, None, None, Some(arguments[0].clone()), None).build(None);
    let (dtype, map) = (ModelDType::F32, DeviceMapSetting::dummy());
    let pipeline =
        loader.load_model_from_hf(None, TokenSource::None, &dtype, &Device::Cpu, true, map, None, None)?;
    let method = DefaultSchedulerMethod::Fixed(4.try_into()?);
    let engine = MistralRsBuilder::new(pipeline, SchedulerConfig::DefaultScheduler { method }, false, None).build().await;
    let text = "<|vision_start|><|image_pad|><|vision_end|>How many red shapes?".to_string();
    let message = [("role", "user".to_string()), ("content", text)];
    let message = message.map(|(key, value)| (key.to_string(), either::Either::Left(value)));
    let messages = RequestMessage::MultimodalChat {
        images: vec![image::open(&arguments[1])?],
        audios: vec![],
        videos: vec![],
        messages: vec![message.into_iter().collect()],
        enable_thinking: None,
        reasoning_effort: None,
    };
    let (sender, mut answers) = tokio::sync::mpsc::channel(1);
    let mut params = SamplingParams::deterministic();
    params.max_len = Some(48);
    let mut request = NormalRequest::new_simple(messages, params, sender, engine.next_request_id(), None, None);
    request.return_logprobs = true;
    let queue = engine.get_sender(None).map_err(|e| anyhow::anyhow!("{e:?}"))?;
    queue.send(Request::Normal(Box::new(request))).await?;
    match answers.recv().await {
        Some(Response::Done(done)) => {
            let choice = &done.choices[0];
            let tokens = choice.logprobs.as_ref().and_then(|l| l.content.as_ref());
            let bits: Vec<u32> = tokens.into_iter().flatten().map(|token| token.logprob.to_bits()).collect();
            println!("{:?} {bits:x?}", choice.message.content);
            Ok(())
        }
        _ => anyhow::bail!("no answer"),
    }
}
