//! Units behind a number.

/// Units that may stand behind a number without a space.
const JOINED: [&str; 40] = [
    "mm", "cm", "dm", "km", "mg", "kg", "ml", "mL", "cl", "dl", "min", "sec", "hr", "hrs", "ms", "ns", "Hz", "kHz",
    "MHz", "GHz", "kN", "kJ", "kW", "kWh", "Wh", "mol", "Pa", "kPa", "atm", "ft", "in", "yd", "mi", "mph", "lb", "oz",
    "deg", "rad", "eV", "km/h",
];
/// Single letters that are units behind a space.
const LETTERS: &str = "mgslLhNJWVKCFATd";

/// A unit in one spelling; `None` if the text behind a number is none.
pub(super) fn unit(text: &str) -> Option<String> {
    let is_spaced = text.starts_with([' ', '⟨']);
    let text = text.trim().replace(['⟨', '⟩', '{', '}', '(', ')'], " ");
    let text = text.trim();
    if text.is_empty() {
        return Some(String::new());
    }
    if let Some(rest) = text.strip_prefix('°') {
        return match rest.trim() {
            "" => Some("degree".into()),
            scale @ ("C" | "F") => Some(format!("degree {scale}")),
            _ => None,
        };
    }
    let is_unit = |c: char| c.is_alphabetic() || c.is_ascii_digit() || " /^*-.°'\"".contains(c);
    if !text.chars().all(is_unit) || !text.starts_with(char::is_alphabetic) {
        return None;
    }
    let first: String = text.chars().take_while(|c| c.is_alphabetic()).collect();
    let known = match first.chars().count() {
        1 => is_spaced && LETTERS.contains(&first),
        _ => is_spaced || JOINED.contains(&first.as_str()),
    };
    // `cm^2`, `cm^{2}` and `cm 2` are one unit.
    known.then(|| text.replace('^', " ").split_whitespace().map(singular).collect::<Vec<_>>().join(" "))
}

/// A word without the ending of its plural, in lower case unless it is a symbol.
fn singular(word: &str) -> String {
    let word = word.trim_end_matches('.');
    if word.chars().count() < 4 || !word.chars().all(char::is_alphabetic) {
        return match word {
            "deg" => "degree".into(),
            "hr" | "hrs" => "h".into(),
            "sec" => "s".into(),
            _ => word.to_owned(),
        };
    }
    let lower = word.to_lowercase();
    let lower = lower.strip_suffix('s').filter(|_| !lower.ends_with("ss")).unwrap_or(&lower);
    match lower {
        "metre" | "meter" => "m",
        "centimetre" | "centimeter" => "cm",
        "kilometre" | "kilometer" => "km",
        "millimetre" | "millimeter" => "mm",
        "gram" => "g",
        "kilogram" => "kg",
        "second" => "s",
        "hour" => "h",
        other => other,
    }
    .to_owned()
}
