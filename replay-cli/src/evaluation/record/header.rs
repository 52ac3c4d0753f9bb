//! The first line of a journal: which run it holds.
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SettingDifference;

/// Raised whenever records mean something else than before.
const VERSION: u32 = 1;

/// What makes a file a journal.
const KIND: &str = "activation-replay-evidence";

/// A run's settings, written out so that it can be said what differs, with the blake3 hash of their text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    journal: String,
    version: u32,
    pub(super) fingerprint: String,
    settings: Value,
}

impl Header {
    /// Of a run. Keys are sorted: their order is no setting.
    pub(super) fn of(settings: &Value) -> Self {
        let mut settings = settings.clone();
        settings.sort_all_objects();
        let fingerprint = blake3::hash(settings.to_string().as_bytes()).to_hex().to_string();
        Self { journal: KIND.to_owned(), version: VERSION, fingerprint, settings }
    }

    /// Reads a first line, or says what it is instead.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let header: Self = serde_json::from_slice(line).map_err(|_| "another first line".to_owned())?;
        match (header.journal.as_str(), header.version) {
            (KIND, VERSION) => Ok(header),
            (KIND, version) => Err(format!("records of version {version} where this program writes {VERSION}")),
            _ => Err("another first line".to_owned()),
        }
    }

    /// Where the settings of this recorded run differ from those of `asked`.
    pub(super) fn differences(&self, asked: &Self) -> Vec<SettingDifference> {
        let mut differences = Vec::new();
        // What was written and read may differ from what was written in the last digit of a number.
        let asked = serde_json::from_str(&asked.settings.to_string()).unwrap_or_else(|_| asked.settings.clone());
        compare("", Some(&self.settings), Some(&asked), &mut differences);
        differences
    }
}

fn compare(key: &str, recorded: Option<&Value>, asked: Option<&Value>, differences: &mut Vec<SettingDifference>) {
    if recorded == asked {
        return;
    }
    if let (Some(Value::Object(recorded)), Some(Value::Object(asked))) = (recorded, asked) {
        let mut names: Vec<&String> = recorded.keys().chain(asked.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            compare(&key, recorded.get(name), asked.get(name), differences);
        }
        return;
    }
    let text = |value: Option<&Value>| value.map(Value::to_string);
    differences.push(SettingDifference { key: key.to_owned(), recorded: text(recorded), asked: text(asked) });
}
