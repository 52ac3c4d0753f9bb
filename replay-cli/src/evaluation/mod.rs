//! Evaluation of replay: a data set, a verifier, the answers of several arms, and statistics of them.
//!
//! An *arm* is one configuration under evaluation (replay off, one configuration file, the base alone); every arm answers the same prompts
//! with the same seeds. This module is independent of the engine: the caller generates the answers and records them.
//!
//! * [`dataset`]: prompts with their right answers, from a JSON Lines file, with all errors of the file;
//! * [`verifier`]: finds the answer in a text and decides whether it is right;
//! * [`record`]: the recorded answers, in a file from which a run can be resumed;
//! * [`statistics`]: pass@k, bootstrap intervals, a paired test;
//! * [`summary`]: tables of the records;
//! * [`mod@sweep`]: the effect of the base's visual rows, residual by residual.
//!
//! Prompts are the unit of resampling, not answers: the samples of one prompt are not independent of each other.
pub mod dataset;
pub mod record;
pub mod statistics;
pub mod summary;
pub mod sweep;
pub mod verifier;
mod words;

pub use dataset::{Answers, DataError, Item, ItemImage};
pub use record::{Journal, JournalError, Record};
pub use statistics::{Estimate, Resampling};
pub use summary::{Summary, summarise};
pub use verifier::{Judgement, Verifier, VerifierError};

#[cfg(test)]
mod folder;
