//! Words that the messages of this module share.

/// Longer strings are cut: a message is one line of a terminal or a log.
const LONGEST: usize = 60;

/// Text in quotes, with line breaks and other control characters escaped: a file cannot forge lines of a log.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

/// `a`, `a or b`, `a, b or c`, each between backticks.
pub(super) fn alternatives(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => format!("`{only}`"),
        [others @ .., last] => format!("`{}` or `{last}`", others.join("`, `")),
    }
}
