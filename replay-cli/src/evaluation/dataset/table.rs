//! Tables with tabs or commas, as VLMEvalKit has its benchmarks: a row is a prompt, and images stand in it in base64.
use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

/// An instruction below the choices, as VLMEvalKit writes it by default.
const CHOOSE: &str = "Please select the correct answer from the options above. \n";

/// A row as a JSON object, with its number: the heading is row 1.
pub(super) type Row = (usize, Result<Map<String, Value>, String>);

/// The rows of a table.
///
/// # Errors
/// If it has no heading, or is not text.
pub(super) fn rows(path: &Path, bytes: &[u8]) -> Result<Vec<Row>, String> {
    let separator = if path.extension().is_some_and(|extension| extension == "csv") { b',' } else { b'\t' };
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(bytes);
    let heading = reader.headers().map_err(|e| e.to_string())?.clone();
    let columns: Vec<String> =
        heading.iter().map(|column| column.trim_start_matches('\u{feff}').trim().to_owned()).collect();
    if !columns.iter().any(|column| ["question", "prompt", "problem", "query"].contains(&column.as_str())) {
        return Err(format!("the columns {}", columns.join(", ")));
    }
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let read = record.map_err(|e| e.to_string()).and_then(|record| {
            if record.len() != columns.len() {
                return Err(format!("{} fields in a table of {} columns", record.len(), columns.len()));
            }
            Ok(columns.iter().cloned().zip(record.iter().map(|field| Value::String(field.to_owned()))).collect())
        });
        rows.push((index + 2, read));
    }
    share_images(&mut rows);
    for (_, row) in &mut rows {
        if let Ok(row) = row {
            *row = in_json(std::mem::take(row));
        }
    }
    Ok(rows)
}

/// A short `image` is the index of the row whose image it is.
fn share_images(rows: &mut [Row]) {
    let text =
        |row: &Map<String, Value>, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let long: HashMap<String, Value> = rows
        .iter()
        .filter_map(|(_, row)| row.as_ref().ok())
        .filter(|row| text(row, "image").len() > 60)
        .filter_map(|row| Some((text(row, "index"), row.get("image")?.clone())))
        .collect();
    for row in rows.iter_mut().filter_map(|(_, row)| row.as_mut().ok()) {
        let image = text(row, "image");
        if let Some(shared) = long.get(&image).filter(|_| image.len() <= 60 && !image.is_empty()) {
            row.insert("image".into(), shared.clone());
        }
    }
}

/// The row with the keys of a line of JSON: the prompt is written as VLMEvalKit writes it.
fn in_json(mut row: Map<String, Value>) -> Map<String, Value> {
    row.retain(|_, value| value.as_str().is_some_and(|text| !text.is_empty() && text != "nan"));
    let mut take = |key: &str| row.remove(key).and_then(|value| value.as_str().map(str::to_owned));
    let letters: Vec<(char, String)> =
        ('A'..='J').map_while(|letter| Some((letter, take(&letter.to_string())?))).collect();
    let hint = take("hint");
    let question = ["question", "prompt", "problem", "query"].iter().find_map(|key| take(key)).unwrap_or_default();
    let prompt = if letters.is_empty() {
        hint.map_or_else(|| question.clone(), |hint| format!("Hint: {hint}\n{question}"))
    } else {
        let mut text = hint.map(|hint| format!("Hint: {hint}\n")).unwrap_or_default();
        text += &format!("Question: {question}\nOptions:\n");
        letters.iter().for_each(|(letter, option)| text += &format!("{letter}. {option}\n"));
        text + CHOOSE
    };
    row.insert("prompt".into(), prompt.into());
    for key in ["image", "image_path"] {
        // Several images stand in one field as a list of Python or JSON.
        let listed =
            row.get(key).and_then(Value::as_str).and_then(|text| text.trim().strip_prefix('[')?.strip_suffix(']'));
        if let Some(listed) = listed {
            let images = listed.split(',').map(|image| image.trim().trim_matches(['\'', '"']).to_owned());
            let images: Vec<Value> = images.filter(|image| !image.is_empty()).map(Value::from).collect();
            row.remove(key);
            row.insert("images".into(), images.into());
        }
    }
    if let Some(path) = row.remove("image_path").filter(|_| !row.contains_key("image") && !row.contains_key("images")) {
        row.insert("image".into(), path);
    }
    row
}
