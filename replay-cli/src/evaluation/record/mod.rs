//! One answer each, and the file that a run is resumed from.
mod error;
mod header;
mod journal;

use serde::{Deserialize, Deserializer, Serialize};

use replay_core::Status;

pub use error::{JournalError, SettingDifference};
pub use journal::Journal;

/// One answer of one arm to one prompt. Its JSON is one line of a [`Journal`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The way of answering.
    pub arm: String,
    /// The prompt: its line in the data set, counted from 1.
    pub item: usize,
    /// The prompt: [`crate::evaluation::Item::fingerprint`].
    pub fingerprint: String,
    /// Which sample, counted from 0; `None` is the greedy answer.
    pub sample: Option<u32>,
    /// The seed that it was drawn with.
    pub seed: u64,
    /// What the model said.
    pub text: String,
    /// Tokens generated.
    pub tokens: u32,
    /// Why it ended, in the engine's words.
    pub finish_reason: String,
    /// The answer in the text, if the verifier found one.
    pub answer: Option<String>,
    /// Whether the verifier calls it right.
    pub correct: bool,
    /// Milliseconds from the request to the first token, if that is known.
    pub time_to_first_token_ms: Option<f64>,
    /// How replay ended; `None` for an arm without replay.
    #[serde(deserialize_with = "status")]
    pub replay_status: Option<Status>,
}

/// The reverse of how [`Status`] is written.
fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Status>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None => Ok(None),
        Some("replayed") => Ok(Some(Status::Replayed)),
        Some("nothing_selected") => Ok(Some(Status::NothingSelected)),
        Some("unchanged") => Ok(Some(Status::Unchanged)),
        Some("passthrough") => Ok(Some(Status::Passthrough)),
        Some(other) => Err(serde::de::Error::unknown_variant(other, &["replayed", "nothing_selected", "passthrough"])),
    }
}

#[cfg(test)]
mod tests;
