//! `replay check`
use replay_core::config::Layers;
use replay_core::session::{Directive, Mode, Note, Picture, Prompt, Sampling, Session, SessionError};
use replay_core::tables;

use super::args::ConfigFile;
use super::open;

pub(crate) async fn check(args: &ConfigFile) -> anyhow::Result<()> {
    let config = open::config(&args.config)?;
    let session = open::session(&config).await?;
    let facts = session.facts();
    let (Some(pair), Some(settings)) = (&facts.pair, session.settings()) else {
        println!("{}: replay.enabled is false; the RLVR model loads, and nothing is replayed", args.config.display());
        return Ok(());
    };
    println!("{}", tables::pair(pair));
    for Note { about, text } in &facts.notes {
        println!("{about}: {text}");
    }
    test_image(&*session, &config.pair.rlvr).await?;
    let settings = settings.replayer().settings();
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

/// Replays a generated picture, and checks that the chat template keeps the text beside it: a longer text has to give a longer prompt.
async fn test_image(session: &dyn Session, rlvr: &str) -> anyhow::Result<()> {
    const SIDE: u32 = 112;
    let row = |y: u32| (0..SIDE).flat_map(move |x| [(x * 2) as u8, (y * 2) as u8, 128]);
    let picture = Picture::rgb8(SIDE, SIDE, (0..SIDE).flat_map(row).collect::<Vec<u8>>())?;
    let prompt = Prompt { images: vec![picture], text: "What is this?".into(), ..Prompt::default() };
    let sampling = Sampling { max_tokens: Some(1), ..Sampling::default() };
    let longer = Prompt { text: "What is this, and what else can be seen beside it?".into(), ..prompt.clone() };
    let answer = session.answer(prompt, sampling, Directive::default()).await?;
    let other = session.answer(longer, sampling, Directive { mode: Mode::Off, ..Directive::default() }).await?;
    if answer.usage.prompt_tokens == other.usage.prompt_tokens {
        return Err(SessionError::Engine(format!(
            "the RLVR model {rlvr:?} could not be loaded: its chat template leaves out what is said beside an image (to the templates of \
             LLaVA and some others the engine gives a message's content as one string). Name one that keeps it: [mistralrs] \
             chat_template = \"FILE.jinja\""
        ))
        .into());
    }
    if let Some(report) = &answer.replay {
        println!("a test image of {SIDE}x{SIDE}: {}", tables::status(report));
    }
    Ok(())
}
