//! `replay trace`
use anyhow::Context;
use replay_core::Trace;
use replay_core::candle_core::{Device, Tensor};
use replay_core::config::Strategy;
use replay_core::session::{Directive, Mode, Sampling};

use super::args::TraceArgs;
use super::exit::InputError;
use replay_core::tables;

use super::{open, progress, write};

pub(crate) async fn trace(args: TraceArgs) -> anyhow::Result<()> {
    let config = open::config(&args.config.config)?;
    if !args.prompt.has_media() {
        return Err(InputError("a trace needs a prompt with at least one --image or --video".into()).into());
    }
    let prompt = open::prompt(args.prompt).await?;
    let session = open::session(&config).await?;
    if session.settings().is_none() {
        return Err(config.refuse("replay.enabled", "true, to trace a replay", None).into());
    }
    let one_token = Sampling { max_tokens: Some(1), ..Sampling::default() };
    let off = Directive { mode: Mode::Off, trace: config.replay.strategy != Strategy::Learned, ..Directive::default() };
    let plain = session.answer(prompt.clone(), one_token, off).await?;
    let learns = config.replay.strategy == Strategy::Learned;
    let on = Directive { trace: learns, ..Directive::default() };
    let replayed = progress::ask(&*session, prompt, one_token, on).await?;
    // With strategy `learned` the trace of the replayed answer also has the delta.
    let trace = if learns { replayed.trace } else { plain.trace };
    let mut trace: Trace = trace.context("the engine answered without a trace")?;
    for (name, logits) in [("plain", plain.first_token), ("replayed", replayed.first_token)] {
        anyhow::ensure!(!logits.is_empty(), "the engine answered without logits");
        trace.insert(format!("logprobs.{name}"), Tensor::new(logits, &Device::Cpu)?);
    }
    write::atomically(&args.out, |file| Ok(trace.write(file)?))?;
    if let Some(report) = &replayed.replay {
        println!("{}", tables::status(report));
        println!("{}", tables::layers(report));
        if let Some(learned) = &report.learned {
            println!("{}", tables::learned(learned, report.milliseconds.learn));
        }
    }
    println!("wrote {}", args.out.display());
    Ok(())
}
