//! Decimal numbers that are compared digit by digit, so that rounding never makes two of them equal.
use std::fmt;

/// A decimal number: `0` or `+-digits * 10^exponent`, without zeros at either end of the digits, so that equal numbers are equal values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Parses the whole text as a number, such as `8`, `-.5`, `1,000.0` or `2e-3`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix(['-', '\u{2212}']) {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, rest) = Self::prefix(unsigned)?;
        // A decimal point may end the number, as in "8.".
        matches!(rest, "" | ".").then(|| number.signed(negative))
    }

    /// Parses the longest number without a sign at the start of the text, and returns it and the rest of the text. `None` if there is
    /// none, or if its exponent exceeds 64 bits.
    pub(super) fn prefix(text: &str) -> Option<(Self, &str)> {
        let (digits, mut rest) = split_digits(text);
        let mut number = digits.to_owned();
        // A comma that does not group digits by three separates numbers.
        let grouped = (1..=3).contains(&digits.len()) && !digits.starts_with('0');
        while let Some((group, after)) = rest.strip_prefix(',').map(split_digits)
            && grouped
            && group.len() == 3
        {
            number += group;
            rest = after;
        }
        let (fraction, after) = rest.strip_prefix('.').map(split_digits).unwrap_or_default();
        if !fraction.is_empty() {
            number += fraction;
            rest = after;
        }
        if number.is_empty() {
            return None;
        }
        let mut exponent = -(fraction.len() as i64);
        if let Some(power) = rest.strip_prefix(['e', 'E'])
            && power.trim_start_matches(['-', '+', '\u{2212}']).starts_with(|c: char| c.is_ascii_digit())
        {
            let (written, after) = integer(power)?;
            exponent = exponent.checked_add(written)?;
            rest = after;
        }
        Some((Self::new(&number, exponent)?, rest))
    }

    fn new(digits: &str, exponent: i64) -> Option<Self> {
        let digits = digits.trim_start_matches('0');
        let short = digits.trim_end_matches('0');
        let exponent = if short.is_empty() { 0 } else { exponent.checked_add((digits.len() - short.len()) as i64)? };
        Some(Self { negative: false, digits: short.to_owned(), exponent })
    }

    /// The number, negated if `negative`.
    pub(super) fn signed(mut self, negative: bool) -> Self {
        self.negative = negative && !self.digits.is_empty();
        self
    }

    /// The number times `10^power`.
    pub(super) fn scaled(mut self, power: i64) -> Option<Self> {
        if !self.digits.is_empty() {
            self.exponent = self.exponent.checked_add(power)?;
        }
        Some(self)
    }

    /// The nearest floating-point number; infinite beyond its range.
    pub(super) fn value(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, digits) = (if self.negative { "-" } else { "" }, self.digits.as_str());
        match self.exponent {
            _ if digits.is_empty() => f.write_str("0"),
            0 => write!(f, "{sign}{digits}"),
            exponent => write!(f, "{sign}{digits}e{exponent}"),
        }
    }
}

/// Parses the integer at the start of a text, with its sign, and returns it and the rest of the text.
pub(super) fn integer(text: &str) -> Option<(i64, &str)> {
    let negative = text.starts_with(['-', '\u{2212}']);
    let (digits, rest) = split_digits(text.strip_prefix(['-', '\u{2212}', '+']).unwrap_or(text));
    let value: i64 = digits.parse().ok()?;
    Some((if negative { -value } else { value }, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len()))
}
