//! `replay eval`: the same prompts and seeds for every arm, and statistics of the answers.
mod arm;
mod show;

use std::path::PathBuf;

use crate::evaluation::{Answers, Resampling, summarise};
use anyhow::Context;
use replay_core::session::Directive;
use serde_json::json;

use super::answers::Questions;
use super::args::EvalArgs;
use super::exit::InputError;
use super::{data, open, write};

pub(crate) async fn eval(args: EvalArgs) -> anyhow::Result<()> {
    let configs = args.config.iter().map(|path| Ok((path.clone(), open::config(path)?)));
    let configs = configs.collect::<anyhow::Result<Vec<_>>>()?;
    let arms = arm::arms(&configs, args.base)?;
    if !arms.iter().any(|arm| arm.name == args.against) {
        let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
        return Err(InputError(format!("--against: expected one of {}, got {}", names.join(", "), args.against)).into());
    }
    let (seed, beside) = (args.answers.seed, args.data.data.with_extension("eval.jsonl"));
    let questions = Questions::new(data::read(&args.data, Answers::Required)?, args.answers, &args.data)?;
    let fingerprint = |arm: &arm::Arm| Ok((arm.name.clone(), json!(arm.fingerprint()?)));
    let settings = questions.settings(arms.iter().map(fingerprint).collect::<anyhow::Result<_>>()?);
    let (journal_path, mut journal) = questions.journal(beside, &settings)?;
    for arm in &arms {
        if questions.lacks(&arm.name, &journal) {
            let session = open::session(&arm.config).await?;
            questions.answer(&arm.name, &session, Directive::default(), &mut journal).await?;
        }
    }

    let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
    let resampling = Resampling { seed, ..Resampling::default() };
    let summary = summarise(journal.records_of(&questions.items), &names, Some(&args.against), &resampling);
    let pair = &configs.first().context("no configuration")?.1.pair;
    let about = questions.about(&pair.rlvr, &pair.base);
    if let Some(out) = &args.html {
        write::text(out, &show::page(&about, &summary)?)?;
    }
    if args.json {
        let object = json!({ "about": about, "settings": settings, "summary": summary });
        println!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        show::print(&about, &summary);
        println!("records: {}", journal_path.display());
    }
    Ok(())
}

/// The name of a configuration's arm: its file name without extension.
fn stem(path: &std::path::Path) -> String {
    path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned())
}

type Configured = (PathBuf, replay_core::Config);
