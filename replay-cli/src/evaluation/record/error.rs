//! Why records cannot be kept in a file.
use std::fmt;
use std::path::PathBuf;

/// A file cannot be the journal of a run.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refuses.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process writes to it.
    #[error("{}: another run is writing to this file", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Something else; it was left as it is.
    #[error("{}: expected a new file or the records of an earlier run, found {found}; name another file", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What its first line is.
        found: String,
    },
    /// A run with other settings; it was left as it is.
    #[error(
        "{}: holds a run with other settings:\n{}\nresume it with its own settings, or name another file",
        path.display(),
        differences.iter().map(|difference| format!("  {difference}")).collect::<Vec<_>>().join("\n")
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// Each setting that differs.
        differences: Vec<SettingDifference>,
    },
    /// A whole line in the middle or at the end is no record: not what a crash leaves. The file was left as it is.
    #[error("{}:{line}: expected a record, found {found}; remove the line to have it answered again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        found: String,
    },
    /// The same sample of the same prompt and arm twice.
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

/// A setting that a recorded run and this one do not share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingDifference {
    /// Where it stands, such as `arms.on.layers`.
    pub key: String,
    /// Its JSON in the file; `None` if it is absent there.
    pub recorded: Option<String>,
    /// Its JSON in this run; `None` if it is absent there.
    pub asked: Option<String>,
}

impl fmt::Display for SettingDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: {} in the file, {} now", self.key, shown(&self.recorded), shown(&self.asked))
    }
}
