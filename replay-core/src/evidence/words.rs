//! Words that the messages of this module share.

/// Longer strings are cut: a message is one line of a terminal or a log.
const LONGEST: usize = 60;

/// Below this Jaro-Winkler similarity a suggestion would look like a guess.
const LEAST_SIMILARITY: f64 = 0.8;

/// Text in quotes, with line breaks and other control characters escaped: a file cannot forge lines of a log.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

/// The name most similar to `word`, if any is similar enough; case and the difference between `-` and `_` are ignored.
pub(super) fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let folded = |word: &str| word.to_lowercase().replace(['-', ' '], "_");
    let similarity = |name: &str| strsim::jaro_winkler(&folded(word), &folded(name));
    let best = names.iter().copied().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(best) > LEAST_SIMILARITY).then_some(best)
}

/// `a`, `a or b`, `a, b or c`, each between backticks.
pub(super) fn alternatives(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => format!("`{only}`"),
        [others @ .., last] => format!("`{}` or `{last}`", others.join("`, `")),
    }
}
