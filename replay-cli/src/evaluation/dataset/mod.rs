//! Prompts with their right answers, from a file: JSON Lines (`.jsonl`), one JSON list (`.json`), or a table (`.tsv`, `.csv`) as VLMEvalKit
//! has its benchmarks.
//!
//! | key or column | value |
//! |---|---|
//! | `prompt`, `question`, `problem`, `query` | text, required; `<image>` or `<image 1>` in it is the place of an image |
//! | `answer`, `ground_truth`, `gt`, `solution` | the right answer, text or a number, required where answers are judged |
//! | `image`, `images`, `image_path`, `image_paths` | a path relative to the folder of the file, an image in base64 or as a data URL, or a list |
//! | `options`, `choices`; columns `A`, `B`, .. | choices, written below the prompt |
//! | `system`, `hint`, `verifier` | the system prompt (an empty one is given as such), a hint before the prompt, a verifier for this line |
//!
//! Further keys are kept.
mod error;
mod images;
mod line;
mod marks;
mod object;
mod picture;
mod table;

use std::path::Path;

use serde_json::{Map, Value};

pub use error::DataError;
pub use picture::ItemImage;

/// One prompt and its right answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The line in the file, counted from 1.
    pub line: usize,
    /// The images, in the order of the prompt.
    pub images: Vec<ItemImage>,
    /// Where each image stands: byte offsets into the prompt; empty: in front of it.
    pub places: Vec<usize>,
    /// The user's text.
    pub prompt: String,
    /// The right answer; `None` only for [`Answers::Optional`].
    pub answer: Option<String>,
    /// The system prompt, if the line gives one.
    pub system: Option<String>,
    /// The verifier of this line, if it gives one.
    pub verifier: Option<String>,
    /// Keys that have no meaning here.
    pub extra: Map<String, Value>,
    /// A blake3 hash, in hexadecimal, of prompt, images, answer and system prompt, and of the bytes of the images instead of their paths.
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
/// No image is decoded, but each is read once for the fingerprint. A line has an item or errors, never both. Rows of a table are counted
/// with its heading. A file that cannot be read or
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
    let mut add = |line: usize, item: Result<Item, Vec<error::LineError>>| match item {
        Ok(item) => items.push(item),
        Err(found) => errors.extend(found.into_iter().map(|error| error.at(path, line))),
    };
    match objects(path, bytes) {
        Some(Err(found)) => {
            return (
                Vec::new(),
                vec![DataError::of_file(path, "a list of objects, or a table with a column `question`", found)],
            );
        }
        Some(Ok(rows)) => {
            for (line, row) in rows {
                blank = false;
                let broken = |found| vec![error::LineError::new(None, "a row of the table", found)];
                let item = row
                    .map_err(broken)
                    .and_then(|row| line::item_of(row.into_iter().collect(), line, answers, &mut images));
                add(line, item);
            }
        }
        None => {
            for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
                if !line.trim_ascii().is_empty() {
                    blank = false;
                    add(index + 1, line::item(line, index + 1, answers, &mut images));
                }
            }
        }
    }
    if blank {
        errors.push(DataError::of_file(path, "one JSON object per line", "an empty file"));
    }
    (items, errors)
}

/// The objects of a file that is not JSON Lines, with their numbers from 1: a table by its name, or one list.
fn objects(path: &Path, bytes: &[u8]) -> Option<Result<Vec<table::Row>, String>> {
    match path.extension()?.to_str()? {
        "tsv" | "csv" => Some(table::rows(path, bytes)),
        "json" if bytes.trim_ascii_start().starts_with(b"[") => {
            let list: Result<Vec<Map<String, Value>>, _> = serde_json::from_slice(bytes);
            Some(
                list.map(|list| list.into_iter().enumerate().map(|(index, row)| (index + 1, Ok(row))).collect())
                    .map_err(|e| e.to_string()),
            )
        }
        "parquet" => Some(Err(
            "a parquet file; write it as JSON Lines first, as `datasets` does: ds.to_json(\"set.jsonl\")".into(),
        )),
        _ => None,
    }
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
