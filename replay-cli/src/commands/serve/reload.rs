//! Reloads the settings while the server runs.
use std::sync::{Arc, Mutex, PoisonError};

use crate::serve::Served;
use replay_core::config::Problem;
use replay_core::session::SessionError;

use super::source::Source;
use crate::commands::exit;

/// Reloads the configuration files at a hang-up signal.
pub(super) fn on_hangup(source: Arc<Source>, served: Served) {
    #[cfg(unix)]
    tokio::spawn(async move {
        let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) else { return };
        while hangup.recv().await.is_some() {
            match reload(&source, &served) {
                Ok(()) => eprintln!("the configuration was read again"),
                Err(error) => eprintln!("the configuration stays as it was: {error:#}"),
            }
        }
    });
    #[cfg(not(unix))]
    let _ = (source, served);
}

/// The message for a client whose reload failed: the problems by line and key, without the path of the file.
pub(super) fn client_message(error: &anyhow::Error) -> String {
    eprintln!("the configuration stays as it was: {error:#}");
    if let Some(error @ SessionError::NeedsRestart(_)) = error.downcast_ref() {
        return error.to_string();
    }
    let problem = |problem: &Problem| {
        let Problem { line, column, path, expected, found, .. } = problem;
        format!("line {line}, column {column}: {path}: expected {expected}, found {found}")
    };
    match exit::config_error(error) {
        Some(error) if !error.source.is_empty() => error.problems.iter().map(problem).collect::<Vec<_>>().join("; "),
        _ => "the server's log says why".into(),
    }
}

/// Reads the files again and replaces the settings. All files are checked first, so that an invalid one changes nothing.
pub(super) fn reload(source: &Source, served: &Served) -> anyhow::Result<()> {
    // A signal and a request may arrive at the same time.
    static RELOADING: Mutex<()> = Mutex::new(());
    let _guard = RELOADING.lock().unwrap_or_else(PoisonError::into_inner);
    let replayed = source.read_again(served)?;
    for (session, config) in &replayed {
        session.check_reload(config)?;
    }
    for (session, config) in &replayed {
        session.reload(config)?;
    }
    Ok(())
}
