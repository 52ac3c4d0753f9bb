//! Splits an answer at signs outside of brackets.

const OPEN: [char; 5] = ['(', '[', '{', '⦃', '⟨'];
const CLOSE: [char; 5] = [')', ']', '}', '⦄', '⟩'];

/// The parts between separators outside of brackets. `separator` gives the length of a separator at the start of a text, given the text
/// before it.
fn split(text: &str, separator: impl Fn(&str, &str) -> Option<usize>) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut skip) = (Vec::new(), 0, 0i32, 0);
    for (at, character) in text.char_indices() {
        if at < skip {
            continue;
        }
        if depth == 0
            && let Some(length) = separator(&text[..at], &text[at..])
        {
            parts.push(text[start..at].trim());
            start = at + length;
            skip = start;
            continue;
        }
        depth += i32::from(OPEN.contains(&character)) - i32::from(CLOSE.contains(&character));
    }
    parts.push(text[start..].trim());
    parts
}

/// The items of a list: at commas, semicolons, "or" and "and". A comma between groups of three digits belongs to a number.
pub(super) fn items(text: &str, groups_digits: bool) -> Vec<&str> {
    split(text, |before, rest| {
        for word in [" or ", " and ", "⟨or⟩", "⟨ or ⟩", "⟨and⟩", "或", "、", "，"] {
            if rest.starts_with(word) {
                return Some(word.len());
            }
        }
        let after = rest.strip_prefix([',', ';'])?;
        let digits = after.chars().take_while(char::is_ascii_digit).count();
        let grouped = before.chars().rev().take_while(char::is_ascii_digit).count();
        let in_number = groups_digits && rest.starts_with(',') && digits == 3 && (1..=3).contains(&grouped);
        (!in_number).then_some(1)
    })
}

/// The sides of equalities.
pub(super) fn sides(text: &str) -> Vec<&str> {
    split(text, |before, rest| {
        let compared = before.ends_with(['<', '>', '!', '≤', '≥', ':']);
        [r"\approx", "≈", "="].iter().find(|sign| !compared && rest.starts_with(**sign)).map(|sign| sign.len())
    })
}

/// The parts of a union.
pub(super) fn united(text: &str) -> Vec<&str> {
    split(text, |_, rest| rest.starts_with('∪').then_some('∪'.len_utf8()))
}

/// The brackets around the whole text, and what is between them.
pub(super) fn bracketed(text: &str) -> Option<(char, &str, char)> {
    let (open, close) = (text.chars().next()?, text.chars().next_back()?);
    if !OPEN.contains(&open) || !CLOSE.contains(&close) || text.chars().count() < 2 {
        return None;
    }
    let inner = &text[open.len_utf8()..text.len() - close.len_utf8()];
    let mut depth = 0i32;
    for character in inner.chars() {
        depth += i32::from(OPEN.contains(&character)) - i32::from(CLOSE.contains(&character));
        if depth < 0 {
            return None;
        }
    }
    (depth == 0).then_some((open, inner, close))
}
