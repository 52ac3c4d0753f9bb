//! Replay in a deployment that loads its model with the `mistralrs` crate's builders: one line, and an environment variable.
//!
//!     ACTIVATION_REPLAY_CONFIG=examples/configs/substitute.toml cargo seam run --example existing_builder
use std::path::Path;

use mistralrs::{ModelDType, MultimodalMessages, MultimodalModelBuilder, RequestBuilder, TextMessageRole};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The one addition: every pipeline of the file's `pair.rlvr` that is loaded from here on is replayed. Without the variable, none.
    replay_mistralrs::install_from_env()?;

    // The deployment's own code, unchanged.
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let model = MultimodalModelBuilder::new(examples.join("models/counting/rlvr").display())
        .with_dtype(ModelDType::F32)
        .with_force_cpu()
        .build()
        .await?;
    let image = image::open(examples.join("images/000.png"))?;
    let messages =
        MultimodalMessages::new().add_image_message(TextMessageRole::User, "How many red shapes?", vec![image]);
    let request =
        RequestBuilder::from(messages).set_deterministic_sampler().set_sampler_max_len(48).return_logprobs(true);
    let response = model.send_chat_request(request).await?;
    let choice = &response.choices[0];
    let tokens = choice.logprobs.as_ref().and_then(|logprobs| logprobs.content.as_ref());
    let sum: f32 = tokens.into_iter().flatten().map(|token| token.logprob).sum();
    println!("{} (log-probability {sum})", choice.message.content.as_deref().unwrap_or_default());
    Ok(())
}
