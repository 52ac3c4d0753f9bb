//! Opens configurations, prompts and sessions from arguments.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use replay_core::config::Config;
use replay_core::registry;
use replay_core::session::{Prompt, Session};

use super::args::PromptArgs;
use super::data;
use super::exit::InputError;
use crate::media;

/// Reads a configuration file, or the tables of replay in an engine's own file, and reports all problems at once.
pub(crate) fn config(path: &Path) -> anyhow::Result<Config> {
    Ok(registry::read_config(path)?.0)
}

/// Loads the pair with the adapter that the configuration names.
pub(crate) async fn session(config: &Config) -> anyhow::Result<Arc<dyn Session>> {
    let adapter = registry::adapter(&config.adapter)?;
    let progress = spinner(format!("loading {} and {}", config.pair.base, config.pair.rlvr));
    let session = adapter.open(config).await;
    progress.finish_and_clear();
    Ok(session?)
}

/// Reads the prompt of a command, with its images and videos.
pub(crate) async fn prompt(args: PromptArgs) -> anyhow::Result<Prompt> {
    let read_picture = |path: &PathBuf| data::read_picture(path).map_err(InputError);
    let images = args.image.iter().map(read_picture).collect::<Result<_, _>>()?;
    let mut videos = Vec::new();
    for path in &args.video {
        let read = media::read_video(path).await;
        videos.push(read.map_err(|e| InputError(format!("video {}: {e}", path.display())))?);
    }
    Ok(Prompt { system: args.system, images, videos, text: args.prompt, ..Prompt::default() })
}

/// A progress bar, shown on a terminal only.
pub(crate) fn bar(length: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what.to_owned());
    let style = ProgressStyle::with_template("{spinner} [{bar:30}] {pos}/{len} {msg} [{elapsed}, {eta} left]");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A spinner, shown on a terminal only.
pub(crate) fn spinner(message: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message);
    let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
