//! Whether replay helps: a data set, a verifier, the answers of several arms, and what may be concluded from them.
//!
//! An *arm* is one way of answering (replay off, one configuration, the base alone); every arm answers the same prompts with the same
//! seeds. Nothing here knows an engine: whoever has one asks it, and writes down what it said.
//!
//! * [`dataset`]: prompts with their right answers, from a JSON Lines file, with every mistake in it;
//! * [`verifier`]: which part of a text is the answer, and whether it is right;
//! * [`record`]: one answer each, in a file that a run can be resumed from;
//! * [`statistics`]: pass@k, bootstrap intervals, a paired test;
//! * [`summary`]: from records to a table.
//!
//! Prompts are the unit of resampling, not answers: the samples of one prompt are not independent of each other.
pub mod dataset;
pub mod record;
pub mod statistics;
pub mod summary;
pub mod verifier;
mod words;

pub use dataset::{DataError, Item};
pub use record::{Journal, JournalError, Record};
pub use statistics::{Estimate, Resampling};
pub use summary::{Summary, summarise};
pub use verifier::{Verdict, Verifier, VerifierError};

#[cfg(test)]
mod folder;
