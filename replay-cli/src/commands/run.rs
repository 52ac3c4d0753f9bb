//! `replay run`
use replay_core::session::{Answer, Choice, Directive, Mode, Sampling};
use serde_json::json;

use super::args::RunArgs;
use replay_core::tables;

use super::{open, progress};

pub(crate) async fn run(args: RunArgs) -> anyhow::Result<()> {
    let config = open::config(&args.config.config)?;
    let prompt = open::prompt(args.prompt).await?;
    let session = open::session(&config).await?;
    let sampling = Sampling {
        max_tokens: Some(args.max_tokens as usize),
        temperature: args.temperature,
        samples: args.samples as usize,
        ..Sampling::default()
    };
    let mode = if args.off { Mode::Off } else { Mode::On };
    let answer = progress::ask(&*session, prompt, sampling, Directive { mode, ..Directive::default() }).await;
    let answer = answer?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&object(&answer))?);
    } else {
        print(&answer);
    }
    Ok(())
}

fn object(answer: &Answer) -> serde_json::Value {
    let mut object = json!({
        "text": answer.choices.first().map(Choice::whole),
        "finish_reason": answer.choices.first().map(|choice| &choice.finish_reason),
        "usage": answer.usage,
        "time_to_first_token_ms": answer.time_to_first_token_ms,
        "replay": answer.replay,
    });
    if answer.choices.len() > 1 {
        let sample = |choice: &Choice| json!({ "text": choice.whole(), "finish_reason": choice.finish_reason });
        object["samples"] = answer.choices.iter().map(sample).collect();
    }
    object
}

fn print(answer: &Answer) {
    for (index, choice) in answer.choices.iter().enumerate() {
        if answer.choices.len() > 1 {
            println!("--- sample {} of {}", index + 1, answer.choices.len());
        }
        println!("{}", choice.whole());
    }
    println!();
    match &answer.replay {
        None => println!("not replayed: replay.enabled is false"),
        Some(report) => {
            println!("{}", tables::status(report));
            if !report.layers.is_empty() {
                println!("{}", tables::layers(report));
            }
            if let Some(learned) = &report.learned {
                println!("{}", tables::learned(learned, report.milliseconds.learn));
            }
        }
    }
    println!(
        "{} prompt tokens, {} generated, first token after {:.0} ms",
        answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.time_to_first_token_ms
    );
}
