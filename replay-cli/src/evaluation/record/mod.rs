//! The recorded answers of an evaluation, and the file from which a run is resumed.
mod entry;
mod error;
mod header;
mod journal;

pub use entry::Record;
pub use error::{JournalError, SettingDifference};
pub use journal::Journal;

#[cfg(test)]
mod tests;
