//! `replay eval`: the same prompts and seeds for every arm, and statistics of the answers.
mod arm;
mod groups;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::evaluation::{Answers, Resampling, summarise};
use anyhow::Context;
use replay_core::session::Directive;
use serde_json::json;

use super::answers::{Questions, Systems};
use super::args::EvalArgs;
use super::exit::InputError;
use super::{data, open, write};
use groups::Groups;

pub(crate) async fn eval(args: EvalArgs) -> anyhow::Result<()> {
    let configs = args.config.iter().map(|path| Ok((path.clone(), open::config(path)?)));
    let configs = configs.collect::<anyhow::Result<Vec<_>>>()?;
    let arms = arm::arms(&configs, args.base)?;
    if !arms.iter().any(|arm| arm.name == args.against) {
        let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
        return Err(InputError(format!("--against: expected one of {}, got {}", names.join(", "), args.against)).into());
    }
    let (seed, beside) = (args.answers.seed, args.data.data.with_extension("eval.jsonl"));
    let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
    let systems = Systems { all: args.system.clone(), arms: arm_systems(&args.arm_system, &names)? };
    let questions = Questions::new(data::read(&args.data, Answers::Required)?, args.answers, &args.data, systems)?;
    let fingerprint = |arm: &arm::Arm| Ok((arm.name.clone(), json!(arm.fingerprint()?)));
    let settings = questions.settings(arms.iter().map(fingerprint).collect::<anyhow::Result<_>>()?);
    let (journal_path, mut journal) = questions.journal(beside, &settings)?;
    for arm in &arms {
        if questions.lacks(&arm.name, &journal) {
            let session = open::session(&arm.config).await?;
            questions.answer(&arm.name, &session, Directive::default(), &mut journal).await?;
        }
    }

    let resampling = Resampling { seed, ..Resampling::default() };
    let summary = summarise(journal.records_of(&questions.items), &names, Some(&args.against), &resampling);
    let groups = Groups::of(args.by.as_deref(), &questions.items, &journal, &names, &resampling);
    if let (Some(key), None) = (&args.by, &groups) {
        return Err(InputError(format!("--by: no line of the data set has the key {key:?}")).into());
    }
    let pair = &configs.first().context("no configuration")?.1.pair;
    let about = questions.about(&pair.rlvr, &pair.base);
    if let Some(out) = &args.html {
        write::text(out, &show::page(&about, &summary)?)?;
    }
    if args.json {
        let object = json!({ "about": about, "settings": settings, "summary": summary, "by": groups });
        println!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        show::print(&about, &summary);
        groups.iter().for_each(Groups::print);
        println!("records: {}", journal_path.display());
    }
    Ok(())
}

/// Reads `ARM=TEXT`.
fn arm_systems(given: &[String], arms: &[&str]) -> anyhow::Result<BTreeMap<String, String>> {
    let read = |text: &String| match text.split_once('=') {
        Some((arm, system)) if arms.contains(&arm) => Ok((arm.to_owned(), system.to_owned())),
        _ => {
            Err(InputError(format!("--arm-system: expected ARM=TEXT with one of {}, got {text:?}", arms.join(", ")))
                .into())
        }
    };
    given.iter().map(read).collect()
}

/// The name of a configuration's arm: its file name without extension.
fn stem(path: &std::path::Path) -> String {
    path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned())
}

type Configured = (PathBuf, replay_core::Config);
