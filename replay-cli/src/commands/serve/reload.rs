//! Settings that are read again while the server runs.
use std::sync::{Arc, Mutex, PoisonError};

use crate::serve::Served;
use replay_core::config::Problem;
use replay_core::session::SessionError;

use super::source::Source;
use crate::commands::exit;

/// A hang-up signal has the files read again: all of them are checked before any takes effect, and a bad one changes nothing.
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

/// What is wrong with a file, by line and key, without its place on this machine.
pub(super) fn for_clients(error: &anyhow::Error) -> String {
    eprintln!("the configuration stays as it was: {error:#}");
    if let Some(error @ SessionError::NeedsRestart(_)) = error.downcast_ref() {
        return error.to_string();
    }
    let problem = |problem: &Problem| {
        let Problem { line, column, path, expected, found, .. } = problem;
        format!("line {line}, column {column}: {path}: expected {expected}, found {found}")
    };
    match exit::file(error) {
        Some(file) if !file.source.is_empty() => file.problems.iter().map(problem).collect::<Vec<_>>().join("; "),
        _ => "the server's log says why".into(),
    }
}

pub(super) fn reload(source: &Source, served: &Served) -> anyhow::Result<()> {
    // A signal and a request may come together.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let replayed = source.again(served)?;
    // Once to see whether all of them can, and only then for good.
    for (session, config) in &replayed {
        session.check_reload(config)?;
    }
    for (session, config) in &replayed {
        session.reload(config)?;
    }
    Ok(())
}
