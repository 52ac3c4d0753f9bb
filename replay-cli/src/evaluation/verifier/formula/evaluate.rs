//! The value of a formula in one answer, at sample points of its variables. Two formulas with equal values at several points are taken for
//! the same.
use super::super::decimal::Decimal;

const MAX_DEPTH: usize = 40;
/// Sample points: each variable gets a value of its own at each.
pub(super) const SAMPLES: usize = 3;

/// A value, and what was met on the way to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evaluated {
    pub(super) value: f64,
    pub(super) has_variables: bool,
    pub(super) has_plus_minus: bool,
}

/// Evaluates the formula at the start of a text; returns the rest of the text too. `None` if there is none, or its value is not finite.
pub(super) fn evaluate(text: &str, sample: usize, plus: bool) -> Option<(Evaluated, &str)> {
    let mut parser = Parser { rest: text, depth: 0, sample, plus, has_variables: false, has_plus_minus: false };
    let value = parser.sum()?;
    let Parser { rest, has_variables, has_plus_minus, .. } = parser;
    value.is_finite().then_some((Evaluated { value, has_variables, has_plus_minus }, rest))
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
    sample: usize,
    /// Which sign `±` stands for.
    plus: bool,
    has_variables: bool,
    has_plus_minus: bool,
}

impl<'a> Parser<'a> {
    fn take(&mut self, sign: &str) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a sign of addition.
    fn sign(&mut self) -> Option<f64> {
        if self.take("+") {
            return Some(1.0);
        }
        if self.take("±") {
            self.has_plus_minus = true;
            return Some(if self.plus { 1.0 } else { -1.0 });
        }
        self.take("-").then_some(-1.0)
    }

    fn sum(&mut self) -> Option<f64> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let first = self.sign().unwrap_or(1.0);
        let mut value = first * self.product()?;
        loop {
            let before = self.rest;
            let Some(sign) = self.sign() else { break };
            let Some(term) = self.product() else {
                self.rest = before;
                break;
            };
            value += sign * term;
        }
        self.depth -= 1;
        Some(value)
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.power()?;
        loop {
            let before = self.rest;
            let divides = if self.take("*") {
                false
            } else if self.take("/") {
                true
            } else {
                // Factors side by side: not two numbers, and not words, which are a unit.
                let next = self.rest.trim_start();
                let spaced = next.len() < self.rest.len();
                let starts = next.starts_with(['(', '{', '\\', 'π', '|'])
                    || !spaced && starts_variable(next)
                    || spaced && is_lone_variable(next);
                let number_after_letter = !spaced && next.starts_with(|c: char| c.is_ascii_digit());
                if !starts && !number_after_letter {
                    break;
                }
                false
            };
            let signed = self.take("-");
            let Some(factor) = self.power() else {
                self.rest = before;
                break;
            };
            let factor = if signed { -factor } else { factor };
            value = if divides { value / factor } else { value * factor };
        }
        Some(value)
    }

    fn power(&mut self) -> Option<f64> {
        let mut value = self.atom()?;
        loop {
            if self.take("!") {
                let whole = value.fract() == 0.0 && (0.0..=20.0).contains(&value);
                value = whole.then(|| (1..=value as u64).map(|n| n as f64).product())?;
            } else if self.take("^") {
                let signed = self.take("-");
                // Without braces LaTeX raises to one character, and people mean the number.
                let exponent = self.atom()?;
                value = value.powf(if signed { -exponent } else { exponent });
            } else {
                return Some(value);
            }
        }
    }

    fn group(&mut self, open: &str, close: &str) -> Option<f64> {
        if !self.take(open) {
            return None;
        }
        let value = self.sum()?;
        self.take(close).then_some(value)
    }

    /// The argument of a command: a group, or as in LaTeX one character or command.
    fn argument(&mut self) -> Option<f64> {
        let rest = self.rest.trim_start();
        if rest.starts_with('{') {
            return self.group("{", "}");
        }
        let digit = rest.chars().next().and_then(|c| c.to_digit(10))?;
        self.rest = &rest[1..];
        Some(f64::from(digit))
    }

    fn atom(&mut self) -> Option<f64> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = self.any_atom();
        self.depth -= 1;
        value
    }

    fn any_atom(&mut self) -> Option<f64> {
        let rest = self.rest.trim_start();
        let first = rest.chars().next()?;
        if first.is_ascii_digit() || first == '.' {
            let (number, after) = Decimal::prefix(rest)?;
            self.rest = after;
            return Some(self.mixed(number.value()));
        }
        match first {
            '(' => return self.group("(", ")"),
            '[' => return self.group("[", "]"),
            '{' => return self.group("{", "}"),
            '|' => return self.group("|", "|").map(f64::abs),
            'π' => {
                self.rest = &rest['π'.len_utf8()..];
                return Some(std::f64::consts::PI);
            }
            '\\' => return self.command(rest),
            _ => {}
        }
        if !first.is_alphabetic() {
            return None;
        }
        let mut end = first.len_utf8();
        // An index belongs to the name.
        if let Some(index) = rest[end..].strip_prefix('_') {
            let length = super::super::extract::braced(index)
                .map_or_else(|| index.chars().next().map_or(0, char::len_utf8), |(_, after)| index.len() - after.len());
            end += 1 + length;
        }
        let name = &rest[..end];
        self.rest = &rest[end..];
        self.has_variables = true;
        Some(self.variable(name))
    }

    /// A value of its own for each name and sample, between 0.5 and 2.5.
    fn variable(&self, name: &str) -> f64 {
        let seed = blake3::hash(format!("{} {name}", self.sample).as_bytes());
        let seed = u64::from_le_bytes(std::array::from_fn(|at| seed.as_bytes()[at]));
        0.5 + 2.0 * ((seed >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// A whole number and the fraction behind it are a mixed number.
    fn mixed(&mut self, whole: f64) -> f64 {
        let before = self.rest;
        if whole.fract() != 0.0 {
            return whole;
        }
        if let Some(fraction) = self.rest.trim_start().strip_prefix(r"\frac") {
            self.rest = fraction;
            let had_variables = self.has_variables;
            if let (Some(above), Some(below)) = (self.argument(), self.argument())
                && self.has_variables == had_variables
                && above.fract() == 0.0
                && below.fract() == 0.0
                && above < below
            {
                return whole + above / below;
            }
        } else if let Some(fraction) =
            self.rest.strip_prefix(' ').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            let digits = |text: &'a str| text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
            let (above, after) = digits(fraction);
            if let Some((below, after)) = after.strip_prefix('/').map(digits)
                && let (Ok(above), Ok(below)) = (above.parse::<f64>(), below.parse::<f64>())
                && above < below
            {
                self.rest = after;
                return whole + above / below;
            }
        }
        self.rest = before;
        whole
    }

    fn command(&mut self, rest: &'a str) -> Option<f64> {
        let name: String = rest[1..].chars().take_while(char::is_ascii_alphabetic).collect();
        self.rest = &rest[1 + name.len()..];
        match name.as_str() {
            "frac" => Some(self.argument()? / self.argument()?),
            "sqrt" => {
                let index = if self.rest.trim_start().starts_with('[') { self.group("[", "]")? } else { 2.0 };
                let rest = self.rest.trim_start();
                let value = match rest.starts_with(|c: char| c.is_ascii_digit()) {
                    // LaTeX takes one digit, and people who write √12 mean twelve.
                    true => {
                        let (number, after) = Decimal::prefix(rest)?;
                        self.rest = after;
                        number.value()
                    }
                    false => self.atom()?,
                };
                Some(if index == 2.0 { value.sqrt() } else { value.powf(1.0 / index) })
            }
            "sin" | "cos" | "tan" | "ln" | "log" | "exp" => {
                let base = if self.take("_") { self.argument()? } else { 10.0 };
                let value = self.power()?;
                Some(match name.as_str() {
                    "sin" => value.sin(),
                    "cos" => value.cos(),
                    "tan" => value.tan(),
                    "ln" => value.ln(),
                    "exp" => value.exp(),
                    _ => value.ln() / base.ln(),
                })
            }
            _ if name.len() > 1 => {
                // A Greek letter, or another name.
                self.has_variables = true;
                Some(self.variable(&name))
            }
            _ => None,
        }
    }
}

/// Whether a text begins with a variable rather than a word, which is a unit.
fn starts_variable(text: &str) -> bool {
    let letters = text.chars().take_while(|c| c.is_alphabetic()).count();
    letters > 0 && super::unit::unit(text).is_none()
}

/// Whether a text begins with one letter that is no unit, as in "2 x".
fn is_lone_variable(text: &str) -> bool {
    let letters = text.chars().take_while(|c| c.is_alphabetic()).count();
    letters == 1 && super::unit::unit(&format!(" {text}")).is_none()
}
