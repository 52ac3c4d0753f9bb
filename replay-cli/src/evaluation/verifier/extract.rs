//! The part of a text that is marked as the answer.

/// What the last `\boxed{...}` holds that is closed and not blank.
pub(super) fn boxed(text: &str) -> Option<&str> {
    const COMMAND: &str = r"\boxed";
    let held = |(start, _)| braced(text[start + COMMAND.len()..].trim_start()).map(|(inner, _)| inner);
    text.rmatch_indices(COMMAND).filter_map(held).find(|inner| !inner.trim().is_empty())
}

/// What the last `<answer>...</answer>` holds that is closed and not blank; if that has a box in it, what the box holds.
pub(super) fn tagged(text: &str) -> Option<&str> {
    const OPEN: &str = "<answer>";
    let held = |(end, _)| text[..end].rfind(OPEN).map(|start| &text[start + OPEN.len()..end]);
    let inner = text.rmatch_indices("</answer>").filter_map(held).find(|inner| !inner.trim().is_empty())?;
    Some(boxed(inner).unwrap_or(inner))
}

/// Where a number or a letter is looked for: the tag, else the box, else the whole text.
pub(super) fn scope(text: &str) -> &str {
    tagged(text).or_else(|| boxed(text)).unwrap_or(text)
}

/// A text that begins with `{`: what its group holds, and what comes after the group. `None` if it is not closed.
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
            // At once, if the text does not begin with a group.
            return (at > 0).then(|| (&text[1..at], &text[at + 1..]));
        }
    }
    None
}
