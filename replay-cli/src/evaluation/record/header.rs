//! The first line of a journal, with the settings of its run.
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SettingDifference;

/// Raised whenever the format or the meaning of records changes.
const VERSION: u32 = 1;

/// Marks a file as a journal.
const KIND: &str = "activation-replay-evidence";

/// A run's settings, in full so that differences can be reported, and the blake3 hash of their text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    journal: String,
    version: u32,
    pub(super) fingerprint: String,
    settings: Value,
}

impl Header {
    /// The header of a run with these settings. Keys are sorted, since their order has no meaning.
    pub(super) fn of(settings: &Value) -> Self {
        let mut settings = settings.clone();
        settings.sort_all_objects();
        let fingerprint = blake3::hash(settings.to_string().as_bytes()).to_hex().to_string();
        Self { journal: KIND.to_owned(), version: VERSION, fingerprint, settings }
    }

    /// Reads the first line of a file. The error describes a line that is not a header of this version.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let header: Self = serde_json::from_slice(line).map_err(|_| "another first line".to_owned())?;
        match (header.journal.as_str(), header.version) {
            (KIND, VERSION) => Ok(header),
            (KIND, version) => Err(format!("records of version {version} where this program writes {VERSION}")),
            _ => Err("another first line".to_owned()),
        }
    }

    /// The differences between the settings of this recorded run and those of the `current` one.
    pub(super) fn differences(&self, current: &Self) -> Vec<SettingDifference> {
        let mut differences = Vec::new();
        // Writing and reading may change the last digit of a number, so the current settings go through both too.
        let current = serde_json::from_str(&current.settings.to_string()).unwrap_or_else(|_| current.settings.clone());
        compare("", Some(&self.settings), Some(&current), &mut differences);
        differences
    }
}

fn compare(key: &str, recorded: Option<&Value>, current: Option<&Value>, differences: &mut Vec<SettingDifference>) {
    if recorded == current {
        return;
    }
    if let (Some(Value::Object(recorded)), Some(Value::Object(current))) = (recorded, current) {
        let mut names: Vec<&String> = recorded.keys().chain(current.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            compare(&key, recorded.get(name), current.get(name), differences);
        }
        return;
    }
    let text = |value: Option<&Value>| value.map(Value::to_string);
    differences.push(SettingDifference { key: key.to_owned(), recorded: text(recorded), current: text(current) });
}
