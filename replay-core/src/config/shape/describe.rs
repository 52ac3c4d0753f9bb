//! Descriptions of values for messages.

use toml::de::DeValue;

/// Characters of a value that a message quotes, so that the message stays one line of a terminal or a log.
const MAX_CHARS: usize = 60;

/// Describes a value in words that follow "found".
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
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
