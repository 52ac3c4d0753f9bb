//! One recorded answer.
use replay_core::Status;
use serde::{Deserialize, Deserializer, Serialize};

/// One answer of one arm to one prompt. Its JSON is one line of a [`Journal`](super::Journal).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The arm that answered.
    pub arm: String,
    /// The line of the prompt in the data set, counted from 1.
    pub item: usize,
    /// The fingerprint of the prompt, [`crate::evaluation::Item::fingerprint`].
    pub fingerprint: String,
    /// The sample, counted from 0; `None` is the greedy answer.
    pub sample: Option<u32>,
    /// The seed of the sample.
    pub seed: u64,
    /// The generated text.
    pub text: String,
    /// How many tokens were generated.
    pub tokens: u32,
    /// Why the text ended, in the engine's words.
    pub finish_reason: String,
    /// The answer in the text, if the verifier found one.
    pub answer: Option<String>,
    /// Whether the answer is right by the verifier.
    pub correct: bool,
    /// Milliseconds from the request to the first token, if known.
    pub time_to_first_token_ms: Option<f64>,
    /// The status of replay; `None` for an arm without replay.
    #[serde(deserialize_with = "status")]
    pub replay_status: Option<Status>,
}

/// Reads a [`Status`], which only implements `Serialize`.
fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Status>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None => Ok(None),
        Some("replayed") => Ok(Some(Status::Replayed)),
        Some("nothing_selected") => Ok(Some(Status::NothingSelected)),
        Some("unchanged") => Ok(Some(Status::Unchanged)),
        Some("passthrough") => Ok(Some(Status::Passthrough)),
        Some(other) => {
            Err(serde::de::Error::unknown_variant(other, &["replayed", "nothing_selected", "unchanged", "passthrough"]))
        }
    }
}
