//! Reads one line of a data set.
use std::path::PathBuf;

use blake3::{Hash, Hasher};
use serde_json::Value;
use serde_json::error::Category;

use super::super::words::alternatives;
use super::error::LineError;
use super::images::Images;
use super::object::{Object, describe};
use super::{Answers, Item};
use replay_core::config::nearest::nearest;

const KEYS: [&str; 5] = ["image", "images", "prompt", "answer", "system"];

/// 2^53: from here on 64-bit floating point cannot represent every integer.
const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Raised whenever the content of a fingerprint changes.
const VERSION: u64 = 1;

/// Reads the item of a line that is not blank, or returns all its errors.
pub(super) fn item(
    bytes: &[u8],
    line: usize,
    answers: Answers,
    images: &mut Images<'_>,
) -> Result<Item, Vec<LineError>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        vec![LineError::new(None, "text in UTF-8", format!("another byte at column {}", error.valid_up_to() + 1))]
    })?;
    let Object(entries) = serde_json::from_str(text).map_err(|error| vec![not_an_object(text, &error)])?;
    let mut errors = Vec::new();
    let suspected = check_keys(&entries, &mut errors);
    let get = |key: &str| entries.iter().find(|(name, _)| name == key).map(|(_, value)| value);
    let mut required = |key: &'static str, expected: &str, read: fn(&Value) -> Option<String>| match get(key) {
        Some(value) => read(value).or_else(|| {
            errors.push(LineError::new(Some(key), expected, describe(value)).hint(exact_hint(value)));
            None
        }),
        None => {
            if !suspected.contains(&key) {
                errors.push(LineError::new(Some(key), expected, "nothing"));
            }
            None
        }
    };
    let prompt = required("prompt", "a text", text_of);
    let no_answer = answers == Answers::Optional && get("answer").is_none();
    let answer = if no_answer { None } else { required("answer", "a text or a number", answer_of) };
    let system = match get("system") {
        None => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => {
            errors.push(LineError::new(Some("system"), "a text", describe(other)));
            None
        }
    };
    let found_images = find_images(get("image"), get("images"), images, &mut errors);
    match (prompt, answer) {
        (Some(prompt), answer) if errors.is_empty() => {
            let (images, hashes): (Vec<PathBuf>, Vec<Hash>) = found_images.into_iter().unzip();
            let fingerprint = fingerprint(&prompt, answer.as_deref(), system.as_deref(), &hashes);
            Ok(Item { line, images, prompt, answer, system, fingerprint })
        }
        _ => Err(errors),
    }
}

/// Reports unknown and duplicate keys. Returns the keys of which an unknown one is probably a misspelling, which are not reported as
/// missing.
fn check_keys(entries: &[(String, Value)], errors: &mut Vec<LineError>) -> Vec<&'static str> {
    let mut suspected = Vec::new();
    for (index, (name, _)) in entries.iter().enumerate() {
        if entries[..index].iter().any(|(earlier, _)| earlier == name) {
            errors.push(LineError::new(Some(name), "each key once", "it again"));
        } else if !KEYS.contains(&name.as_str()) {
            let suggestion = nearest(name, KEYS);
            suspected.extend(suggestion);
            let hint = suggestion.map(|suggestion| format!("did you mean `{suggestion}`?"));
            errors.push(LineError::new(Some(name), alternatives(&KEYS), "an unknown key").hint(hint));
        }
    }
    suspected
}

fn find_images(
    one: Option<&Value>,
    several: Option<&Value>,
    images: &mut Images<'_>,
    errors: &mut Vec<LineError>,
) -> Vec<(PathBuf, Hash)> {
    if one.is_some() && several.is_some() {
        errors.push(LineError::new(Some("images"), "either `image` or `images`", "both"));
        return Vec::new();
    }
    let (key, names) = match (one, several) {
        (_, Some(Value::Array(names))) => ("images", names.iter().collect()),
        (_, Some(other)) => {
            let hint = other.is_string().then_some("for one image, write `image`");
            errors.push(LineError::new(Some("images"), "a list of paths", describe(other)).hint(hint));
            return Vec::new();
        }
        (one, None) => ("image", Vec::from_iter(one)),
    };
    let mut paths_and_hashes = Vec::new();
    for name in names {
        let Some(path) = text_of(name) else {
            errors.push(LineError::new(Some(key), "the path of an image file", describe(name)));
            continue;
        };
        match images.find(&path) {
            Ok(image) => paths_and_hashes.push(image),
            Err(found) => {
                let remote = path.contains("://") || path.starts_with("data:");
                let hint = remote.then_some("only files are read: save the image first");
                errors.push(LineError::new(Some(key), "the path of an image file", found).hint(hint));
            }
        }
    }
    paths_and_hashes
}

fn not_an_object(text: &str, error: &serde_json::Error) -> LineError {
    const EXPECTED: &str = "one JSON object per line";
    if let (Category::Data, Ok(value)) = (error.classify(), serde_json::from_str::<Value>(text)) {
        return LineError::new(None, EXPECTED, describe(&value));
    }
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or_default();
    let spread =
        matches!(text.trim(), "[" | "{").then_some("an array or an object over several lines is not JSON Lines");
    LineError::new(None, EXPECTED, format!("broken JSON at column {} ({what})", error.column())).hint(spread)
}

fn text_of(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

fn answer_of(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => exact_hint(value).is_none().then(|| number.to_string()),
        other => text_of(other),
    }
}

/// A hint for numbers that have lost digits, because JSON numbers are parsed to 64 bits.
fn exact_hint(value: &Value) -> Option<&'static str> {
    let lost = value.is_f64() && value.as_f64().is_some_and(|number| number.abs() >= MAX_EXACT_INTEGER);
    lost.then_some("so large a number loses digits: write it as a text")
}

fn fingerprint(prompt: &str, answer: Option<&str>, system: Option<&str>, images: &[Hash]) -> String {
    let mut hasher = Hasher::new();
    hasher.update(&VERSION.to_le_bytes());
    for text in [Some(prompt), answer, system] {
        // The length is hashed too, so that different texts cannot have the same concatenation; `u64::MAX` marks an absent text.
        hasher.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        hasher.update(text.unwrap_or_default().as_bytes());
    }
    for image in images {
        hasher.update(image.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
