//! Replay in a server of somebody's own on mistralrs-server-core: one line, and an environment variable.
//!
//!     ACTIVATION_REPLAY_CONFIG=examples/configs/substitute.toml cargo seam run --example existing_server [ADDRESS:PORT]
use std::path::Path;

use mistralrs_core::{AutoDeviceMapParams, ModelDType, ModelSelected};
use mistralrs_server_core::mistralrs_for_server_builder::MistralRsForServerBuilder;
use mistralrs_server_core::mistralrs_server_router_builder::MistralRsServerRouterBuilder;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:1234".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app().await?).await?;
    Ok(())
}

async fn app() -> anyhow::Result<axum::Router> {
    // The one addition: every pipeline of the file's `pair.rlvr` that is loaded from here on is replayed. Without the variable, none.
    replay_mistralrs::install_from_env()?;

    // The deployment's own code, unchanged.
    let rlvr = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models/counting/rlvr");
    let model = ModelSelected::MultimodalPlain {
        model_id: rlvr.display().to_string(),
        tokenizer_json: None,
        arch: None,
        dtype: ModelDType::F32,
        topology: None,
        write_uqff: None,
        from_uqff: None,
        max_edge: None,
        calibration_file: None,
        imatrix: None,
        max_seq_len: AutoDeviceMapParams::DEFAULT_MAX_SEQ_LEN,
        max_batch_size: AutoDeviceMapParams::DEFAULT_MAX_BATCH_SIZE,
        max_num_images: 1,
        max_image_length: 1024,
        hf_cache_path: None,
        matformer_config_path: None,
        matformer_slice_name: None,
        organization: None,
    };
    let engine = MistralRsForServerBuilder::new().with_model(model).with_cpu(true).build().await?;
    MistralRsServerRouterBuilder::new().with_mistralrs(engine).build().await
}
