//! Errors of the journal of an evaluation.
use std::fmt;
use std::path::PathBuf;

/// The reason why a file cannot be used as the journal of a run.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// An operation on the file failed.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operation.
        action: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Another process is writing to the file.
    #[error("{}: another run is writing to this file", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a journal; it was not changed.
    #[error("{}: expected a new file or the records of an earlier run, found {found}; name another file", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// A description of its first line.
        found: String,
    },
    /// The file is the journal of a run with other settings; it was not changed.
    #[error(
        "{}: holds a run with other settings:\n{}\nresume it with its own settings, or name another file",
        path.display(),
        differences.iter().map(|difference| format!("  {difference}")).collect::<Vec<_>>().join("\n")
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// The settings that differ.
        differences: Vec<SettingDifference>,
    },
    /// A complete line is not a record, which a crash cannot cause. The file was not changed.
    #[error("{}:{line}: expected a record, found {found}; remove the line to have it answered again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with the line.
        found: String,
    },
    /// The sample of this prompt and arm is recorded already.
    #[error("{}: sample {} of item {item} in arm {arm:?} is recorded already", path.display(), sample_name(*sample))]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The arm.
        arm: String,
        /// The line of the prompt.
        item: usize,
        /// The sample; `None` is the greedy answer.
        sample: Option<u32>,
    },
}

fn sample_name(sample: Option<u32>) -> String {
    sample.map_or_else(|| "greedy".to_owned(), |sample| sample.to_string())
}

/// A setting that differs between a recorded run and this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingDifference {
    /// The path of the setting, such as `arms.on.layers`.
    pub key: String,
    /// The JSON value in the file; `None` if it is absent there.
    pub recorded: Option<String>,
    /// The JSON value in this run; `None` if it is absent there.
    pub current: Option<String>,
}

impl fmt::Display for SettingDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: {} in the file, {} now", self.key, shown(&self.recorded), shown(&self.current))
    }
}
