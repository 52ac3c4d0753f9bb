//! From arguments to a running session.
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use replay_core::config::{Config, ConfigError, Problem};
use replay_core::registry;
use replay_mistralrs::{EngineTable, Prompt, Session, is_engine_file, read_config};

use super::args::PromptArgs;
use super::images;

/// Reads the file, or our part of the engine's own; every problem of it, the adapter's table included, is reported at once.
pub(crate) fn config(path: &Path) -> anyhow::Result<Config> {
    if is_engine_file(path) {
        return Ok(read_config(path)?);
    }
    let known: Vec<_> = registry::adapters()?.iter().map(|adapter| adapter.name).collect();
    let mut chosen = String::new();
    let read = Config::from_file_with(path, |adapter, table| {
        chosen = adapter.into();
        if adapter == replay_mistralrs::ADAPTER {
            EngineTable::from_table(table);
        } else {
            table.accept_all();
        }
    });
    let unknown = !chosen.is_empty() && !known.contains(&chosen.as_str());
    match read {
        Ok((config, ())) if unknown => Err(config.refuse("adapter", &expected(&known), None).into()),
        Ok((config, ())) => {
            (registry::adapter(&config.adapter)?.check_table)(&config)?;
            Ok(config)
        }
        Err(mut error) => {
            if unknown {
                // The tables of the adapters there are look foreign to one that is not there.
                error.problems.retain(|problem| !known.contains(&problem.path.as_str()));
                error.problems.insert(0, unknown_adapter(&error, &chosen, &known));
            }
            Err(error.into())
        }
    }
}

fn expected(known: &[&str]) -> String {
    format!("an adapter of this program: {}", known.join(", "))
}

fn unknown_adapter(error: &ConfigError, chosen: &str, known: &[&str]) -> Problem {
    let found = error.source.lines().position(|line| line.trim_start().starts_with("adapter"));
    let index = found.unwrap_or(0);
    let start: usize = error.source.split_inclusive('\n').take(index).map(str::len).sum();
    let line = error.source.lines().nth(index).unwrap_or("");
    let column = line.find(chosen).map_or(0, |at| line[..at].chars().count().saturating_sub(1));
    Problem {
        path: "adapter".into(),
        line: index + 1,
        column: column + 1,
        span: start..start + line.len(),
        found: format!("string {chosen:?}"),
        expected: expected(known),
        hint: None,
    }
}

pub(crate) async fn session(config: &Config) -> anyhow::Result<Session> {
    let progress = spinner(format!("loading {} and {}", config.pair.base, config.pair.rlvr));
    let session = Session::open(config).await;
    progress.finish_and_clear();
    Ok(session?)
}

pub(crate) async fn prompt(args: PromptArgs) -> anyhow::Result<Prompt> {
    let images = args.image.iter().map(|path| images::read(path)).collect::<anyhow::Result<_>>()?;
    let mut videos = Vec::new();
    for path in &args.video {
        videos.push(images::read_video(path).await?);
    }
    Ok(Prompt { system: args.system, images, videos, text: args.prompt, ..Prompt::default() })
}

/// Shown on a terminal only.
pub(crate) fn bar(length: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what.to_owned());
    let style = ProgressStyle::with_template("{spinner} [{bar:30}] {pos}/{len} {msg} [{elapsed}, {eta} left]");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Shown on a terminal only.
pub(crate) fn spinner(message: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message);
    let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
