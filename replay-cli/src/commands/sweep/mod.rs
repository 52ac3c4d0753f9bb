//! `replay sweep`: where the base's visual rows matter, how much there is to recover, and how much the configuration recovers.
mod arms;
mod show;

use std::path::Path;

use anyhow::Context;
use replay_core::session::{Directive, Mode};
use replay_core::{Config, registry};
use serde_json::json;

use super::answers::{Questions, Systems};
use super::args::SweepArgs;
use super::exit::InputError;
use super::plain::{BASE, OFF, base_alone};
use super::{data, open, write};
use crate::evaluation::sweep::{Outcome, SweepArms, sweep as effects};
use crate::evaluation::{Answers, Item, Resampling};

pub(crate) async fn sweep(args: SweepArgs) -> anyhow::Result<()> {
    let path = &args.config.config;
    let config = open::config(path)?;
    if !config.replay.enabled {
        return Err(config.refuse("replay.enabled", "true, to sweep a pair", None).into());
    }
    let adapter = registry::adapter(&config.adapter)?;
    let swept = arms::arms(&config, adapter.decoder_layers(&config)?, args.residuals.as_deref())?;
    let (seed, beside) = (args.answers.seed, args.data.data.with_extension("sweep.jsonl"));
    let questions =
        Questions::new(data::read(&args.data, Answers::Optional)?, args.answers, &args.data, Systems::default())?;
    let outcome = outcome(&questions.items)?;
    let configured = configured(path);
    let settings = questions.settings(fingerprints(&config, &swept, &configured)?);
    let (journal_path, mut journal) = questions.journal(beside, &settings)?;

    let swept_names = swept.all.iter().map(|arm| arm.name.as_str());
    let mut of_rlvr = [OFF, configured.as_str()].into_iter().chain(swept_names.clone());
    if of_rlvr.any(|name| questions.lacks(name, &journal)) {
        let session = open::session(&swept.config).await?;
        let settings = session.settings();
        let off = Directive { mode: Mode::Off, ..Directive::default() };
        questions.answer(OFF, &session, off, &mut journal).await?;
        for name in swept_names {
            let profile = settings.as_ref().and_then(|settings| settings.profile(name));
            let profile = profile.with_context(|| format!("the session has no profile {name}"))?;
            let directive = Directive { profile: Some(profile), ..Directive::default() };
            questions.answer(name, &session, directive, &mut journal).await?;
        }
        questions.answer(&configured, &session, Directive::default(), &mut journal).await?;
    }
    if questions.lacks(BASE, &journal) {
        let session = open::session(&base_alone(&config)).await?;
        questions.answer(BASE, &session, Directive::default(), &mut journal).await?;
    }

    let resampling = Resampling { seed, ..Resampling::default() };
    let residuals = swept.all.iter().filter_map(|arm| Some((arm.residual?, arm.name.as_str()))).collect();
    let sweep_arms = SweepArms { off: OFF, base: BASE, configured: &configured, ceiling: arms::CEILING, residuals };
    let result = effects(journal.records_of(&questions.items), &sweep_arms, outcome, &resampling);
    let about = questions.about(&config.pair.rlvr, &config.pair.base);
    if let Some(out) = &args.html {
        write::text(out, &show::page(&about, &result)?)?;
    }
    if args.json {
        let object = json!({ "about": about, "settings": settings, "sweep": result });
        println!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        show::print(&about, &result);
        println!("records: {}", journal_path.display());
    }
    Ok(())
}

/// What is compared: right answers if every line has one, the likeness to the base's answers if none has.
fn outcome(items: &[Item]) -> Result<Outcome, InputError> {
    match items.iter().find(|item| item.answer.is_none()) {
        None => Ok(Outcome::Right),
        Some(_) if items.iter().all(|item| item.answer.is_none()) => Ok(Outcome::LikeBase),
        Some(item) => Err(InputError(format!(
            "line {}: no `answer`, where other lines have one: give every line an answer, or none",
            item.line
        ))),
    }
}

/// The name of the arm with the policy of the configuration.
fn configured(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The name and fingerprint of each arm.
fn fingerprints(
    config: &Config,
    swept: &arms::Swept,
    configured: &str,
) -> anyhow::Result<serde_json::Map<String, serde_json::Value>> {
    let identity = registry::adapter(&config.adapter)?.identity(config)?;
    let with_pair = |settings: &str| json!(format!("{identity} {settings}"));
    let mut all: serde_json::Map<_, _> =
        swept.all.iter().map(|arm| (arm.name.clone(), with_pair(&arm.settings.fingerprint()))).collect();
    all.insert(OFF.into(), with_pair("off"));
    all.insert(BASE.into(), with_pair("base"));
    all.insert(configured.to_owned(), with_pair(&config.fingerprint()));
    Ok(all)
}
