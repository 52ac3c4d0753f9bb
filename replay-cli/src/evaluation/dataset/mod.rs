//! Prompts with their right answers, from a JSON Lines file: one object per line.
//!
//! | key | value |
//! |---|---|
//! | `prompt` | text, required |
//! | `answer` | the right answer, text or a number, required where answers are judged |
//! | `image` or `images` | a path or a list of paths, relative to the folder of the file; neither: a prompt without image |
//! | `system` | the system prompt; an empty one is given as such |
mod error;
mod images;
mod line;
mod object;

use std::path::{Path, PathBuf};

pub use error::DataError;

/// One prompt and its right answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The line in the file, counted from 1.
    pub line: usize,
    /// Image files, in the order of the prompt.
    pub images: Vec<PathBuf>,
    /// The user's text.
    pub prompt: String,
    /// The right answer; `None` only for [`Answers::Optional`].
    pub answer: Option<String>,
    /// The system prompt, if the line gives one.
    pub system: Option<String>,
    /// A blake3 hash, in hexadecimal, of all fields above except the line, and of the bytes of the images instead of their paths.
    pub fingerprint: String,
}

/// Whether each line needs a right answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// A line without one is an error.
    Required,
    /// A line may have one.
    Optional,
}

/// Reads a data set. Returns the items of the valid lines and the errors of the others, both in the order of the file.
///
/// No image is decoded, but each is read once for the fingerprint. A line has an item or errors, never both. A file that cannot be read or
/// has no item is an error, so that an empty list of errors implies at least one item.
#[must_use]
pub fn read(path: &Path, answers: Answers) -> (Vec<Item>, Vec<DataError>) {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return (Vec::new(), vec![DataError::of_file(path, "a readable file", error)]),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut images = images::Images::new(folder);
    let (mut items, mut errors, mut blank) = (Vec::new(), Vec::new(), true);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        blank = false;
        match line::item(line, index + 1, answers, &mut images) {
            Ok(item) => items.push(item),
            Err(line) => errors.extend(line.into_iter().map(|error| error.at(path, index + 1))),
        }
    }
    if blank {
        errors.push(DataError::of_file(path, "one JSON object per line", "an empty file"));
    }
    (items, errors)
}

/// A blake3 hash, in hexadecimal, of a whole data set: of each item and its line.
#[must_use]
pub fn fingerprint(items: &[Item]) -> String {
    let mut hasher = blake3::Hasher::new();
    for item in items {
        hasher.update(&(item.line as u64).to_le_bytes());
        // All fingerprints have the same length, so the concatenation is unambiguous.
        hasher.update(item.fingerprint.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests;
