//! Amounts of memory: `"512MiB"` or a plain number of bytes.

use serde_json::json;
use toml::de::DeValue;

use super::super::nearest::nearest;
use super::kind::{Diagnostic, Shape, Value};
use super::written::Written;

/// The units, decimal and binary (IEC 80000-13): `1KiB` is 1024 bytes, `1kB` 1000.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// An amount of memory in bytes, not below a minimum.
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    /// The smallest valid amount, in bytes.
    pub min: u64,
}

impl Shape for Bytes {
    type Value = u64;

    fn read(&self, value: &Value<'_>) -> Result<u64, Vec<Diagnostic>> {
        let diagnostic = Diagnostic::of(self, value);
        let amount = match value.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix()).map_err(|_| None),
            DeValue::String(text) => parse(text),
            _ => Err(None),
        };
        match amount {
            // TOML and JSON integers end at i64::MAX, which exceeds any memory.
            Ok(bytes) if bytes >= self.min && i64::try_from(bytes).is_ok() => Ok(bytes),
            Ok(_) | Err(None) => Err(vec![diagnostic]),
            Err(Some(hint)) => Err(vec![diagnostic.hint(hint)]),
        }
    }

    fn placeholder(&self) -> u64 {
        self.min
    }

    fn expected(&self) -> String {
        let size = "a size such as \"512MiB\", or a number of bytes";
        match self.min {
            0 => size.to_owned(),
            min => format!("{size}, at least {min}"),
        }
    }

    fn schema(&self) -> serde_json::Value {
        let units = UNITS.map(|(unit, _)| unit).join("|");
        json!({ "anyOf": [
            { "type": "integer", "minimum": self.min },
            { "type": "string", "pattern": format!("^[0-9]+ ?({units})$") },
        ] })
    }
}

impl Written for Bytes {
    /// The largest unit that needs no fraction, or plain bytes.
    fn toml(&self, bytes: &u64) -> String {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match units.iter().find(|(_, unit)| *bytes != 0 && bytes.is_multiple_of(*unit)) {
            Some((name, unit)) => format!("\"{}{name}\"", bytes / unit),
            None => bytes.to_string(),
        }
    }

    fn identity(&self, bytes: &u64) -> serde_json::Value {
        json!(bytes)
    }
}

/// The bytes of an amount with a unit; the error is a hint, if there is one.
fn parse(text: &str) -> Result<u64, Option<String>> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit) = text.split_at(digits);
    if count.is_empty() {
        return Err(None);
    }
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    if let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) {
        return count
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(*factor))
            .ok_or_else(|| Some("the size does not fit into 63 bits".to_owned()));
    }
    if unit.is_empty() {
        return Err(Some(format!("add a unit such as `MiB`, or write the bytes without quotes: `{count}`")));
    }
    // "512M" is ambiguous; memory is usually given in binary units.
    let suggestion = match unit.to_ascii_lowercase().as_str() {
        "k" => Some("KiB"),
        "m" => Some("MiB"),
        "g" => Some("GiB"),
        "t" => Some("TiB"),
        lower => UNITS
            .iter()
            .map(|(name, _)| *name)
            .find(|name| name.eq_ignore_ascii_case(lower))
            .or_else(|| nearest(unit, UNITS.map(|(name, _)| name))),
    };
    Err(suggestion.map(|unit| format!("did you mean \"{count}{unit}\"?")))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn units_are_exact() {
        assert_eq!(parse("512MiB"), Ok(512 << 20));
        assert_eq!(parse("1 kB"), Ok(1000));
        assert_eq!(parse("0B"), Ok(0));
    }

    #[test]
    fn slips_get_a_hint() {
        let hint = |text| parse(text).unwrap_err().unwrap_or_default();
        assert_eq!(hint("512M"), "did you mean \"512MiB\"?");
        assert_eq!(hint("512mib"), "did you mean \"512MiB\"?");
        assert!(hint("512").contains("without quotes"));
        assert!(hint("99999999999999TiB").contains("63 bits"));
        assert_eq!(parse("MiB"), Err(None));
        assert_eq!(parse("-1MiB"), Err(None));
        assert_eq!(parse("٣MiB"), Err(None));
    }
}
