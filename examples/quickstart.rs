//! Asks a tiny trained pair how many shapes are in a row or column of a picture, with replay off and on. The RLVR model was trained on red
//! circles in row 1 only; the last four questions are of that kind, and the gate lets them pass without replay.
//!
//!     cargo seam run --example quickstart
use std::path::Path;

use anyhow::Context;
use replay_core::session::{Directive, Mode, Picture, Prompt, Sampling, Session as _};
use replay_core::{Config, tables};
use replay_mistralrs::MistralrsSession;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let config = Config::from_file(examples.join("configs/quickstart.toml"))?;
    let session = MistralrsSession::open(&config).await?;
    let replay = session.replay().context("replay is disabled in the configuration")?;
    println!("{}", tables::pair(replay.pair()));

    let images = examples.join("images/narrow");
    let questions = std::fs::read_to_string(images.join("questions.jsonl"))?;
    let mut right = [0, 0];
    for (index, line) in questions.lines().enumerate() {
        let question: serde_json::Value = serde_json::from_str(line)?;
        let field = |name: &str| question[name].as_str().with_context(|| format!("{name} in {line}"));
        let (image, text, truth) = (field("image")?, field("prompt")?, field("answer")?);
        println!("\n{image}: {text} The right answer is {truth}.");
        for (on, mode) in [Mode::Off, Mode::On].into_iter().enumerate() {
            let prompt = Prompt { images: vec![picture(&images.join(image))?], text: text.into(), ..Prompt::default() };
            let directive = Directive { mode, ..Directive::default() };
            let answer = session.answer(prompt, Sampling::greedy(48), directive).await?;
            let number = boxed(answer.text()).unwrap_or("(none)");
            right[on] += usize::from(number == truth);
            let verdict = if number == truth { "right" } else { "wrong" };
            println!(
                "  replay {:<3} answers {number} ({verdict}), first token after {:.0} ms: {}",
                if on == 1 { "on" } else { "off" },
                answer.time_to_first_token_ms,
                answer.text().replace('\n', " / ")
            );
            if let (1, Some(report)) = (on, &answer.replay) {
                println!("  {}", tables::status(report));
                if index == 0 {
                    println!("{}", tables::layers(report));
                }
            }
        }
    }
    let asked = questions.lines().count();
    println!("\nright answers of {asked}: {} with replay off, {} with replay on", right[0], right[1]);
    println!(
        "Sixteen questions prove nothing: examples/models/narrow/README.md has 300 of each kind, asked sixteen times."
    );
    Ok(())
}

/// A session takes pictures as plain pixels.
fn picture(path: &Path) -> anyhow::Result<Picture> {
    let image = image::open(path)?.into_rgb8();
    Ok(Picture::rgb8(image.width(), image.height(), image.into_raw())?)
}

/// The answer in `\boxed{..}`.
fn boxed(text: &str) -> Option<&str> {
    text.split_once("\\boxed{")?.1.split_once('}').map(|(answer, _)| answer)
}
