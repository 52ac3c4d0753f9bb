//! The canonical form of answers.
use super::decimal::Decimal;
use super::extract::braced;

/// The canonical form of an answer. Two answers count as the same if their canonical forms are equal.
///
/// The form is trimmed, has one space for each run of white space, and has no final period, no `$` at either end and no `\text{...}`
/// around the whole. Equal numbers have equal forms: `8`, `8.0` and `+8`, or `1,000` and `1e3`. Upper and lower case differ.
#[must_use]
pub fn canonical(answer: &str) -> String {
    let spaced = answer.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut bare = spaced.as_str();
    loop {
        let before = bare;
        bare = bare.trim().trim_matches('$');
        bare = bare.strip_prefix(r"\$").unwrap_or(bare);
        bare = bare.strip_suffix(['.', '。']).unwrap_or(bare);
        bare = unwrapped(bare).unwrap_or(bare);
        if bare == before {
            break;
        }
    }
    Decimal::parse(bare).map_or_else(|| bare.to_owned(), |number| number.to_string())
}

/// The content of a text command around the whole answer.
fn unwrapped(answer: &str) -> Option<&str> {
    let group = [r"\text", r"\textbf", r"\mathrm", r"\mathbf"].iter().find_map(|command| {
        let rest = answer.strip_prefix(command)?;
        rest.starts_with('{').then_some(rest)
    })?;
    let (inner, after) = braced(group)?;
    after.is_empty().then_some(inner)
}
