//! Finds numbers in text and in formulas.
use super::decimal::{Decimal, integer};
use super::extract::braced;
use super::letter::part_of_word;

/// A number in a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quantity<'a> {
    /// The number as written.
    pub(super) text: &'a str,
    /// The value of the number.
    pub(super) value: f64,
}

/// The last number of a text; `None` if it is only part of a formula.
pub(super) fn last(text: &str) -> Option<Quantity<'_>> {
    Scan::of(text).pop()?.plain(text)
}

/// The only number of a text.
pub(super) fn only(text: &str) -> Option<Quantity<'_>> {
    match Scan::of(text).as_slice() {
        [one] => one.plain(text),
        _ => None,
    }
}

/// A number or formula in the text, from byte `start` to `end`.
struct TextSpan {
    start: usize,
    end: usize,
    /// The value; `None` for a formula that is not evaluated.
    value: Option<f64>,
}

impl TextSpan {
    /// The quantity, if the value is known and finite.
    fn plain<'a>(&self, text: &'a str) -> Option<Quantity<'a>> {
        let value = self.value.filter(|value| value.is_finite())?;
        Some(Quantity { text: &text[self.start..self.end], value })
    }
}

/// The context before a number.
enum Context {
    /// The number is part of a name or a version: x1, GPT-4, 1.2.3.
    Name,
    /// The number is part of a formula, a range, a ratio or a time: 5-8, 3:4.
    Operator,
    /// The number stands alone, possibly with a sign.
    Free(Option<char>),
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    spans: Vec<TextSpan>,
}

impl<'a> Scan<'a> {
    fn of(text: &'a str) -> Vec<TextSpan> {
        let mut scan = Self { text, at: 0, spans: Vec::new() };
        while let Some(next) = scan.rest().chars().next() {
            let rest = scan.rest();
            if scan.number_starts() {
                scan.number();
            } else if let Some(inner) = [r"\frac", r"\dfrac", r"\tfrac"].iter().find_map(|name| rest.strip_prefix(name))
            {
                scan.fraction(inner);
            } else if rest.starts_with(r"\sqrt") || rest.starts_with('√') {
                scan.root();
            } else if rest.starts_with(r"\pi") || next == 'π' {
                scan.formula(if next == 'π' { &rest[next.len_utf8()..] } else { &rest[r"\pi".len()..] });
            } else if next == '^' || next == '_' {
                scan.script(&rest[1..]);
            } else {
                scan.at += next.len_utf8();
            }
        }
        scan.spans
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn before(&self) -> &'a str {
        &self.text[..self.at]
    }

    fn go_to(&mut self, rest: &str) {
        self.at = self.text.len() - rest.len();
    }

    fn push(&mut self, start: usize, value: Option<f64>, rest: &str) {
        self.go_to(rest);
        self.spans.push(TextSpan { start, end: self.at, value });
    }

    /// Adds a formula, whose value is not evaluated, up to `rest`.
    fn formula(&mut self, rest: &str) {
        self.push(self.at, None, rest);
    }

    fn number_starts(&self) -> bool {
        let mut characters = self.rest().chars();
        let digit = |character: Option<char>| character.is_some_and(|character| character.is_ascii_digit());
        match characters.next() {
            // A decimal point, but not a period or dots before a number.
            Some('.') => digit(characters.next()) && !self.before().ends_with(|c| c == '.' || part_of_word(c)),
            first => digit(first),
        }
    }

    fn number(&mut self) {
        let rest = self.rest();
        let Some((number, after)) = Decimal::prefix(rest) else {
            // The exponent exceeds 64 bits.
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len()).max(1);
            return self.formula(&rest[end..]);
        };
        let (sign, part_of_formula) = match self.context() {
            Context::Name => return self.go_to(after),
            Context::Operator => (None, true),
            Context::Free(sign) => (sign, false),
        };
        let start = self.at - sign.map_or(0, char::len_utf8);
        let number = number.signed(sign.is_some_and(|sign| sign != '+'));
        let (value, after) = if let Some((power, after)) = power_of_ten(after) {
            (number.scaled(power).map(|number| number.value()), after)
        } else if let Some((below, after)) = after.strip_prefix('/').and_then(Decimal::prefix) {
            // One slash makes a fraction, two make a date.
            ((!after.starts_with('/')).then(|| number.value() / below.value()), after)
        } else {
            ((!is_operand(after)).then(|| number.value()), after)
        };
        self.push(start, value.filter(|_| !part_of_formula), after);
    }

    /// The context before the number at the current position.
    fn context(&self) -> Context {
        let mut back = self.before().chars().rev();
        let (last, earlier) = (back.next(), back.next());
        let letter = earlier.is_some_and(|c| part_of_word(c) && !c.is_ascii_digit());
        let operand = earlier.is_some_and(|c| c.is_ascii_digit() || c == ')' || c == '}');
        match last {
            Some(last) if part_of_word(last) => Context::Name,
            Some('-' | '.') if letter => Context::Name,
            Some('.') if operand => Context::Name,
            Some('/') => Context::Operator,
            Some('-' | '\u{2212}' | '–' | '+' | '*' | '×' | '·' | ':') if operand => Context::Operator,
            Some(sign @ ('-' | '\u{2212}' | '+')) => Context::Free(Some(sign)),
            _ => Context::Free(None),
        }
    }

    /// Reads the groups `{a}{b}` after a fraction command.
    fn fraction(&mut self, inner: &'a str) {
        let groups = braced(inner).and_then(|(above, rest)| braced(rest).map(|(below, rest)| (above, below, rest)));
        let Some((above, below, rest)) = groups else {
            // Without closed groups, as in `\frac12` or at the end of a text that was cut off.
            return self.formula(&inner[inner.find(char::is_whitespace).unwrap_or(inner.len())..]);
        };
        let number = |text: &str| Decimal::parse(text.trim()).map(|number| number.value());
        let mut value = number(above).zip(number(below)).map(|(above, below)| above / below);
        // After another number, the fraction is part of a mixed number or of a formula.
        if self.spans.last().is_some_and(|span| self.text[span.end..self.at].trim().is_empty()) {
            value = None;
        }
        if self.before().ends_with('-') {
            value = value.map(|value| -value);
            return self.push(self.at - 1, value, rest);
        }
        self.push(self.at, value, rest);
    }

    fn root(&mut self) {
        let rest = self.rest().trim_start_matches(r"\sqrt").trim_start_matches('√');
        let rest = rest.strip_prefix('[').and_then(|index| index.split_once(']')).map_or(rest, |(_, rest)| rest);
        let rest = match braced(rest) {
            Some((_, rest)) => rest,
            None => Decimal::prefix(rest).map_or(rest, |(_, rest)| rest),
        };
        self.formula(rest);
    }

    /// Skips a superscript or subscript, such as the 2 of `cm^2`.
    fn script(&mut self, inner: &'a str) {
        match braced(inner) {
            Some((_, rest)) => self.go_to(rest),
            None => self.go_to(integer(inner).map_or(inner, |(_, rest)| rest)),
        }
    }
}

/// Whether a number before `after` is raised to a power (`^\circ` is a unit) or divided by a variable.
fn is_operand(after: &str) -> bool {
    let raised = after.strip_prefix('^').is_some_and(|power| !power.trim_start_matches('{').starts_with(r"\circ"));
    let mut below = after.strip_prefix('/').unwrap_or_default().chars();
    let divided = match (below.next(), below.next()) {
        (Some('\\' | '('), _) => true,
        (Some(first), second) => first.is_alphabetic() && !second.is_some_and(char::is_alphabetic),
        (None, _) => false,
    };
    raised || divided
}

/// Parses a power of ten such as `\times 10^{5}`, and returns the exponent and the rest of the text.
fn power_of_ten(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start();
    let text = [r"\times", r"\cdot", "×", "·", "x", "*"].iter().find_map(|sign| text.strip_prefix(sign))?;
    let text = text.trim_start().strip_prefix("10")?;
    let text = text.strip_prefix('^').or_else(|| text.strip_prefix("**"))?;
    match braced(text) {
        Some((power, rest)) => {
            integer(power.trim()).filter(|(_, left)| left.is_empty()).map(|(power, _)| (power, rest))
        }
        None => integer(text),
    }
}
