//! When two answers are the same.
use super::decimal::Decimal;
use super::extract::braced;

/// A form that two answers share exactly if they count as the same.
///
/// Trimmed, each run of white space one space, without a final period, without `$` at either end and without a `\text{...}` around the
/// whole. A number becomes a form of its own: `8`, `8.0` and `+8`, or `1,000` and `1e3`, are the same. Upper and lower case differ.
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
    Decimal::whole(bare).map_or_else(|| bare.to_owned(), |number| number.to_string())
}

/// What a text command around the whole answer holds.
fn unwrapped(answer: &str) -> Option<&str> {
    let group = [r"\text", r"\textbf", r"\mathrm", r"\mathbf"].iter().find_map(|command| {
        let rest = answer.strip_prefix(command)?;
        rest.starts_with('{').then_some(rest)
    })?;
    let (inner, after) = braced(group)?;
    after.is_empty().then_some(inner)
}
