//! Reads one line of a data set.
use blake3::{Hash, Hasher};
use serde_json::Value;
use serde_json::error::Category;

use super::super::words::alternatives;
use super::error::LineError;
use super::images::Images;
use super::marks::{Unmarked, unmark};
use super::object::{Object, describe};
use super::picture::ItemImage;
use super::{Answers, Item};
use replay_core::config::nearest::nearest;

/// The names of the prompt and of the right answer in published data sets; the first that a line has counts.
const PROMPTS: [&str; 4] = ["prompt", "question", "problem", "query"];
const ANSWERS: [&str; 4] = ["answer", "ground_truth", "gt", "solution"];
const IMAGES: [&str; 4] = ["image", "images", "image_path", "image_paths"];
const OPTIONS: [&str; 2] = ["options", "choices"];
const OTHERS: [&str; 3] = ["system", "hint", "verifier"];

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
    item_of(entries, line, answers, images)
}

/// Reads the item of an object, or returns all its errors.
pub(super) fn item_of(
    entries: Vec<(String, Value)>,
    line: usize,
    answers: Answers,
    images: &mut Images<'_>,
) -> Result<Item, Vec<LineError>> {
    let mut errors = Vec::new();
    let get = |key: &str| entries.iter().find(|(name, _)| name == key).map(|(_, value)| value);
    let first_of = |names: &[&'static str]| names.iter().find_map(|name| Some((*name, get(name)?)));
    let suspected = check_keys(&entries, &mut errors);
    let mut required = |names: &[&'static str], expected: &str, read: fn(&Value) -> Option<String>| {
        let Some((key, value)) = first_of(names) else {
            if !suspected.iter().any(|suspect| names.contains(suspect)) {
                errors.push(LineError::new(Some(names[0]), expected, "nothing"));
            }
            return None;
        };
        let read = if key == "solution" { read(value).map(|text| solved(&text)) } else { read(value) };
        read.or_else(|| {
            errors.push(LineError::new(Some(key), expected, describe(value)).hint(exact_hint(value)));
            None
        })
    };
    let prompt = required(&PROMPTS, "a text", text_of);
    let no_answer = answers == Answers::Optional && first_of(&ANSWERS).is_none();
    let answer = if no_answer { None } else { required(&ANSWERS, "a text or a number", answer_of) };
    let mut optional = |key: &'static str| match get(key) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => {
            errors.push(LineError::new(Some(key), "a text", describe(other)));
            None
        }
    };
    let (system, hint, verifier) = (optional("system"), optional("hint"), optional("verifier"));
    let options = first_of(&OPTIONS).map(|(key, value)| options(key, value)).transpose();
    let options = options.unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    let found = find_images(&entries, images, &mut errors);
    let prompt = prompt.map(|prompt| {
        let hint =
            hint.filter(|hint| !hint.trim().is_empty()).map(|hint| format!("Hint: {hint}\n")).unwrap_or_default();
        format!("{hint}{prompt}{}", options.unwrap_or_default())
    });
    let unmarked = prompt.as_deref().map(|prompt| unmark(prompt, found.len())).transpose();
    let unmarked = unmarked.unwrap_or_else(|found| {
        errors.push(LineError::new(Some("prompt"), "a mark `<image>` for each image, or none", found));
        None
    });
    match (prompt, unmarked, answer) {
        (Some(prompt), Some(Unmarked { text, places }), answer) if errors.is_empty() => {
            let (images, hashes): (Vec<ItemImage>, Vec<Hash>) = found.into_iter().unzip();
            let fingerprint = fingerprint(&prompt, !places.is_empty(), answer.as_deref(), system.as_deref(), &hashes);
            let fingerprint = match &verifier {
                Some(verifier) => blake3::hash(format!("{fingerprint} {verifier}").as_bytes()).to_hex().to_string(),
                None => fingerprint,
            };
            // An image that is shown again is another one of the prompt.
            let shown = |(_, image): &(usize, usize)| images[*image].clone();
            let images = if places.is_empty() { images } else { places.iter().map(shown).collect() };
            let places = places.into_iter().map(|(at, _)| at).collect();
            let known = |name: &String| {
                [&PROMPTS[..], &ANSWERS, &IMAGES, &OPTIONS, &OTHERS].iter().any(|names| names.contains(&name.as_str()))
            };
            let extra = entries.into_iter().filter(|(name, _)| !known(name)).collect();
            Ok(Item { line, images, places, prompt: text, answer, system, verifier, extra, fingerprint })
        }
        _ => Err(errors),
    }
}

/// The answer in a worked solution: what stands in its tag or its last box, else all of it.
fn solved(text: &str) -> String {
    let tagged = text.rsplit_once("<answer>").and_then(|(_, rest)| Some(rest.split_once("</answer>")?.0.trim()));
    tagged.unwrap_or(text).to_owned()
}

/// The choices as lines behind the prompt.
fn options(key: &'static str, value: &Value) -> Result<String, LineError> {
    let line = |letter: String, option: &Value| answer_of(option).map(|option| format!("\n{letter}. {option}"));
    let lines: Option<Vec<String>> = match value {
        Value::Null => Some(Vec::new()),
        Value::Array(options) if options.len() <= 26 => options
            .iter()
            .zip('A'..='Z')
            .map(|(option, letter)| {
                // Some data sets have the letter in the choice.
                let lettered = option.as_str().is_some_and(|text| text.trim_start().starts_with(&format!("{letter}.")));
                if lettered {
                    option.as_str().map(|text| format!("\n{}", text.trim()))
                } else {
                    line(letter.to_string(), option)
                }
            })
            .collect(),
        Value::Object(options) => options.iter().map(|(letter, option)| line(letter.clone(), option)).collect(),
        _ => None,
    };
    lines
        .map(|lines| lines.concat())
        .ok_or_else(|| LineError::new(Some(key), "a list of choices, or an object of them by letter", describe(value)))
}

/// Reports keys that occur twice, and unknown ones that are probably a misspelling of a key that the line lacks. Returns those.
fn check_keys(entries: &[(String, Value)], errors: &mut Vec<LineError>) -> Vec<&'static str> {
    let mut suspected = Vec::new();
    let has = |names: &[&str]| entries.iter().any(|(name, _)| names.contains(&name.as_str()));
    for (index, (name, _)) in entries.iter().enumerate() {
        if entries[..index].iter().any(|(earlier, _)| earlier == name) {
            errors.push(LineError::new(Some(name), "each key once", "it again"));
            continue;
        }
        for names in [&PROMPTS[..], &ANSWERS, &IMAGES] {
            let close = nearest(name, names.iter().copied()).filter(|_| !has(names));
            if let Some(close) = close {
                suspected.push(close);
                let hint = Some(format!("did you mean `{close}`?"));
                errors.push(LineError::new(Some(name), alternatives(names), "an unknown key").hint(hint));
            }
        }
    }
    suspected
}

/// The images of a line: paths, images in base64, or objects of `bytes` and `path` as the hub writes them.
fn find_images(
    entries: &[(String, Value)],
    images: &mut Images<'_>,
    errors: &mut Vec<LineError>,
) -> Vec<(ItemImage, Hash)> {
    let mut given = entries.iter().filter(|(name, value)| IMAGES.contains(&name.as_str()) && !value.is_null());
    let Some((key, value)) = given.next() else { return Vec::new() };
    if given.next().is_some() {
        errors.push(LineError::new(Some("images"), "either `image` or `images`", "both"));
        return Vec::new();
    }
    let names: Vec<&Value> = match value {
        Value::Array(names) => names.iter().collect(),
        other if key == "images" && other.is_string() => {
            let hint = Some("for one image, write `image`");
            errors.push(LineError::new(Some("images"), "a list of paths", describe(other)).hint(hint));
            return Vec::new();
        }
        one => vec![one],
    };
    let mut found = Vec::new();
    for name in names {
        let inner = |key: &str| name.get(key).filter(|value| !value.is_null()).and_then(text_of);
        let Some(text) = text_of(name).or_else(|| inner("bytes")).or_else(|| inner("path")) else {
            errors.push(LineError::new(Some(key), "the path of an image file", describe(name)));
            continue;
        };
        match images.find(&text) {
            Ok(image) => found.push(image),
            Err(instead) => {
                let remote = text.contains("://") || text.starts_with("data:");
                let hint = remote.then_some("only files are read: save the image first");
                errors.push(LineError::new(Some(key), "the path of an image file", instead).hint(hint));
            }
        }
    }
    found
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

fn fingerprint(prompt: &str, has_places: bool, answer: Option<&str>, system: Option<&str>, images: &[Hash]) -> String {
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
    if has_places {
        // Marks were sent as text once.
        hasher.update(b"places");
    }
    hasher.finalize().to_hex().to_string()
}
