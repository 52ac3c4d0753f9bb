//! Extracts the part of a text that is marked as the answer.

/// The content of the last `\boxed{...}` that is closed and not blank.
pub(super) fn boxed(text: &str) -> Option<&str> {
    const COMMAND: &str = r"\boxed";
    let content = |(start, _)| braced(text[start + COMMAND.len()..].trim_start()).map(|(inner, _)| inner);
    text.rmatch_indices(COMMAND).filter_map(content).find(|inner| !inner.trim().is_empty())
}

/// The content of the last `<answer>...</answer>` that is closed and not blank, or of the `\boxed{...}` in it.
pub(super) fn tagged(text: &str) -> Option<&str> {
    const OPEN: &str = "<answer>";
    let content = |(end, _)| text[..end].rfind(OPEN).map(|start| &text[start + OPEN.len()..end]);
    let inner = text.rmatch_indices("</answer>").filter_map(content).find(|inner| !inner.trim().is_empty())?;
    Some(boxed(inner).unwrap_or(inner))
}

/// The part of a text in which a number or a letter is searched: the tag, else the box, else the whole text.
pub(super) fn scope(text: &str) -> &str {
    tagged(text).or_else(|| boxed(text)).unwrap_or(text)
}

/// The content of the `{...}` group at the start of a text, and the text after it. `None` if there is no closed group.
pub(super) fn braced(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0usize;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => {
                escaped = false;
                continue;
            }
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            // Reached at the first character if the text does not begin with a group.
            return (at > 0).then(|| (&text[1..at], &text[at + 1..]));
        }
    }
    None
}
