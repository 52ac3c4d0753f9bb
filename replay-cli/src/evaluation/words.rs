//! Formatting of error messages.

/// Characters of a text that a message quotes, so that the message stays one line of a terminal or a log.
const MAX_CHARS: usize = 60;

/// Text in quotes, with line breaks and other control characters escaped, so that a file cannot forge lines of a log.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

/// Joins words in backticks as in `a`, `a or b`, `a, b or c`.
pub(super) fn alternatives(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => format!("`{only}`"),
        [others @ .., last] => format!("`{}` or `{last}`", others.join("`, `")),
    }
}
