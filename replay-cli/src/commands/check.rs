//! `replay check`
use replay_core::config::Layers;

use super::args::ConfigFile;
use replay_mistralrs::{AttachError, Directive, Mode, Prompt, Sampling, tables};

use super::open;

pub(crate) async fn check(args: &ConfigFile) -> anyhow::Result<()> {
    let config = open::config(&args.config)?;
    let session = open::session(&config).await?;
    let Some(replay) = session.replay() else {
        println!("{}: replay.enabled is false; the RLVR model loads, and nothing is replayed", args.config.display());
        return Ok(());
    };
    println!("{}", tables::pair(replay.pair()));
    let pair = replay.pair();
    println!(
        "taps: {} of {} in the base, {} of {} in the RLVR model; a second pass gives the same residuals",
        pair.base.loaded_layers + 1,
        pair.base.loaded_layers + 1,
        pair.rlvr.loaded_layers + 1,
        pair.rlvr.loaded_layers + 1
    );
    let prefixes = match (replay.no_prefixes(), config.replay.cache.prefix_bytes) {
        (_, 0) => "off (replay.cache.prefix_bytes is 0); the engine's knows nothing of replay".into(),
        (Some(why), _) => format!("off: {why}"),
        (None, _) => "on, by what replay did to the prefix; begun after one, the model computes the same".into(),
    };
    println!("keys and values: {}", replay.keys_values());
    println!("prefix cache: {prefixes}");
    let tower = if replay.one_encoder() {
        "the same in both models: what one has made of an image the other uses"
    } else {
        "each model's own"
    };
    println!("vision tower: {tower}");
    let (shared, all) = replay.shared_bytes();
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    println!(
        "base weights: {:.1} MiB, of which {:.1} MiB are the RLVR model's too and held once",
        mib(all),
        mib(shared)
    );
    if let Some((base, rlvr)) = replay.prefix_distances() {
        println!(
            "differentiable decoder: residuals within {base:.0e} (base) and {rlvr:.0e} (RLVR model) of the engine's"
        );
    }
    let gradient = |x: u32, y: u32| image::Rgb([(x * 2) as u8, (y * 2) as u8, 128]);
    let picture = image::DynamicImage::ImageRgb8(image::RgbImage::from_fn(112, 112, gradient));
    let prompt = Prompt { images: vec![picture], text: "What is this?".into(), ..Prompt::default() };
    let sampling = Sampling { max_tokens: 1, ..Sampling::default() };
    let longer = Prompt { text: "What is this, and what else can be seen beside it?".into(), ..prompt.clone() };
    let answer = session.ask(prompt, sampling, Directive::default()).await?;
    let other = session.ask(longer, sampling, Directive { mode: Mode::Off, ..Directive::default() }).await?;
    if answer.usage.prompt_tokens == other.usage.prompt_tokens {
        return Err(AttachError::Load {
            role: replay_core::Role::Rlvr,
            id: config.pair.rlvr.clone(),
            why: "its chat template leaves out what is said beside an image (to the templates of LLaVA and some others the engine \
                  gives a message's content as one string). Name one that keeps it: [mistralrs] chat_template = \"FILE.jinja\""
                .into(),
        }
        .into());
    }
    if let Some(report) = &answer.replay {
        println!("a test image of 112x112: {}", tables::status(report));
    }
    let bound = replay.settings();
    let settings = bound.replayer().settings();
    let layers = match &settings.layers {
        Layers::First(count) => format!("the first {count}"),
        Layers::List(list) => format!("{list:?}"),
    };
    println!("policy layers: {layers}");
    for (key, value) in settings.describe() {
        println!("  {key} = {value}");
    }
    println!("fingerprint {}", settings.fingerprint());
    println!("{}: the models are a pair", args.config.display());
    Ok(())
}
