//! Prints errors and maps them to exit codes.
use std::io::IsTerminal;
use std::process::ExitCode;

use miette::{GraphicalReportHandler, LabeledSpan, MietteDiagnostic, NamedSource};
use replay_core::ErrorKind;
use replay_core::config::ConfigError;
use replay_core::registry::{ReadError, RegistryError};
use replay_core::session::SessionError;

const CONFIGURATION: u8 = 2;
const NOT_A_PAIR: u8 = 3;
const ENGINE: u8 = 4;
const INPUT: u8 = 5;

/// The user's input cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InputError(pub(crate) String);

pub(crate) fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    match config_error(&error) {
        Some(error) => show(error),
        None => eprintln!("error: {error:#}"),
    }
    ExitCode::from(code(&error))
}

/// The configuration error in an error, if it is one.
pub(crate) fn config_error(error: &anyhow::Error) -> Option<&ConfigError> {
    if let Some(ReadError::File(problems)) = error.downcast_ref() {
        return Some(problems);
    }
    match error.downcast_ref() {
        Some(SessionError::Configuration(problems)) => Some(problems),
        _ => error.downcast_ref(),
    }
}

fn code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>() || error.is::<ReadError>() || error.is::<RegistryError>() {
        return CONFIGURATION;
    }
    if error.is::<InputError>() {
        return INPUT;
    }
    match error.downcast_ref::<SessionError>().map(SessionError::kind) {
        Some(ErrorKind::Configuration) => CONFIGURATION,
        Some(ErrorKind::Pair) => NOT_A_PAIR,
        Some(ErrorKind::Input) => INPUT,
        Some(ErrorKind::Engine) | None => ENGINE,
    }
}

/// Prints one line per problem, and on a terminal also the lines of the file.
fn show(error: &ConfigError) {
    eprintln!("{error}");
    if !std::io::stderr().is_terminal() || error.source.is_empty() {
        return;
    }
    let label = |problem: &replay_core::config::Problem| {
        LabeledSpan::at(problem.span.clone(), format!("expected {}", problem.expected))
    };
    let mut diagnostic = MietteDiagnostic::new("the configuration is wrong");
    diagnostic.labels = Some(error.problems.iter().map(label).collect());
    let source = NamedSource::new(&error.file, error.source.clone()).with_language("TOML");
    let report = miette::Report::new(diagnostic).with_source_code(source);
    let mut text = String::new();
    if GraphicalReportHandler::new().render_report(&mut text, &*report).is_ok() {
        eprintln!("{text}");
    }
}
