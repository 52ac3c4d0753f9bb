//! Descriptions of values for messages.

use toml::de::DeValue;

/// Longer strings are cut: a message is one line of a terminal or a log.
const LONGEST: usize = 60;

/// A value in words that follow "found".
pub(in crate::config) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.is_empty() => "an empty string".to_owned(),
        DeValue::String(text) => format!("string {}", quoted(text)),
        DeValue::Integer(integer) => format!("integer {}", shortened(&integer.to_string())),
        DeValue::Float(float) => format!("number {}", shortened(float.as_str())),
        DeValue::Boolean(boolean) => format!("boolean {boolean}"),
        DeValue::Datetime(datetime) => format!("date or time {datetime}"),
        DeValue::Array(items) => match items.len() {
            0 => "an empty list".to_owned(),
            1 => "a list of 1 value".to_owned(),
            count => format!("a list of {count} values"),
        },
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Text in quotes with line breaks and other control characters escaped: a file cannot forge lines of a log.
fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
