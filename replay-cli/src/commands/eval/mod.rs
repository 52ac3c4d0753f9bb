//! `replay eval`: the same prompts and seeds for every arm, and statistics of the answers.
mod arm;
mod run;
mod show;

use std::path::PathBuf;

use crate::evaluation::{Item, Journal, Resampling, Verifier, dataset, summarise};
use anyhow::Context;
use serde_json::json;

use super::args::EvalArgs;
use super::exit::InputError;
use super::{data, open, write};

pub(crate) async fn eval(args: EvalArgs) -> anyhow::Result<()> {
    let verifier: Verifier = args.verifier.parse().map_err(|e| InputError(format!("--verifier: {e}")))?;
    let configs = args.config.iter().map(|path| Ok((path.clone(), open::config(path)?)));
    let configs = configs.collect::<anyhow::Result<Vec<_>>>()?;
    let arms = arm::arms(&configs, args.base)?;
    let items = accepted(data::read(&args.data)?, &verifier, args.data.keep_going)?;
    let journal_path = args.out.clone().unwrap_or_else(|| args.data.data.with_extension("eval.jsonl"));
    let fingerprint = |arm: &arm::Arm| Ok((arm.name.clone(), json!(arm.fingerprint()?)));
    let fingerprints = arms.iter().map(fingerprint).collect::<anyhow::Result<serde_json::Map<_, _>>>()?;
    let settings = json!({
        "data": dataset::fingerprint(&items),
        "samples": args.samples,
        "temperature": args.temperature,
        "seed": args.seed,
        "max_tokens": args.max_tokens,
        "verifier": verifier.to_string(),
        "arms": fingerprints,
    });
    let mut journal = Journal::open(&journal_path, &settings).map_err(|e| InputError(e.to_string()))?;
    if journal.dropped() > 0 {
        eprintln!("{}: {} bytes of an unfinished record were cut off", journal_path.display(), journal.dropped());
    }
    for arm in &arms {
        run::arm(arm, &items, &verifier, &args, &mut journal).await?;
    }

    let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
    let resampling = Resampling { seed: args.seed, ..Resampling::default() };
    let summary = summarise(journal.records_of(&items), &names, Some(arm::OFF), &resampling);
    let pair = &configs.first().context("no configuration")?.1.pair;
    let about = format!(
        "{} and {}: {} prompts, {} samples each at temperature {}, verifier {verifier}",
        pair.rlvr,
        pair.base,
        items.len(),
        args.samples,
        args.temperature
    );
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

/// The items whose right answer the verifier accepts. Without `keep_going`, any other item is an error.
fn accepted(items: Vec<Item>, verifier: &Verifier, keep_going: bool) -> anyhow::Result<Vec<Item>> {
    let problem =
        |item: &Item| verifier.accepts(&item.answer).err().map(|e| format!("line {}: answer: {e}", item.line));
    let problems: Vec<String> = items.iter().filter_map(problem).collect();
    if !problems.is_empty() && !keep_going {
        return Err(InputError(problems.join("\n")).into());
    }
    problems.iter().for_each(|problem| eprintln!("left out: {problem}"));
    Ok(items.into_iter().filter(|item| problem(item).is_none()).collect())
}

/// The name of a configuration's arm: its file name without extension.
fn stem(path: &std::path::Path) -> String {
    path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned())
}

type Configured = (PathBuf, replay_core::Config);
