//! From arguments to a running session.
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use replay_core::config::Config;
use replay_core::registry;
use replay_mistralrs::{EngineTable, Prompt, Session};

use super::args::PromptArgs;
use super::images;

/// Reads the file; every problem of it, the adapter's table included, is reported at once.
pub(crate) fn config(path: &Path) -> anyhow::Result<Config> {
    let read = Config::from_file_with(path, |adapter, table| {
        if adapter == replay_mistralrs::ADAPTER {
            EngineTable::from_table(table);
        } else {
            table.accept_all();
        }
    });
    let (config, ()) = read?;
    let adapter = match registry::adapter(&config.adapter) {
        Ok(adapter) => adapter,
        Err(registry::RegistryError::Unknown { known, .. }) => {
            let expected = format!("an adapter of this program: {}", known.join(", "));
            return Err(config.refuse("adapter", &expected, None).into());
        }
        Err(error) => return Err(error.into()),
    };
    (adapter.check_table)(&config)?;
    Ok(config)
}

pub(crate) async fn session(config: &Config) -> anyhow::Result<Session> {
    let progress = spinner(format!("loading {} and {}", config.pair.base, config.pair.rlvr));
    let session = Session::open(config).await;
    progress.finish_and_clear();
    Ok(session?)
}

pub(crate) fn prompt(args: PromptArgs) -> anyhow::Result<Prompt> {
    let images = args.image.iter().map(|path| images::read(path)).collect::<anyhow::Result<_>>()?;
    Ok(Prompt { system: args.system, images, text: args.prompt })
}

/// Shown on a terminal only.
pub(crate) fn spinner(message: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message);
    let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
