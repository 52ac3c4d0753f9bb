//! What an answer is: a value, a set, a tuple or interval, a union, or a text.
use super::super::decimal::Decimal;
use super::evaluate::{Evaluated, SAMPLES, evaluate};
use super::split::{bracketed, items, sides, united};
use super::unit::unit;

const MAX_DEPTH: usize = 6;
/// Two values are the same if they differ by no more than rounding: relative, and absolute below 1.
const ROUNDING: f64 = 1e-9;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    Value(Value),
    /// Items in any order: `{1, 2}`, `1, 2`, `1 or 2`, `±1`.
    Set(Vec<Form>),
    /// Items in their order with their brackets: `(1, 2)`, `[0, 1)`.
    Tuple(char, Vec<Form>, char),
    Union(Vec<Form>),
    /// An equation whose left side is a formula.
    Equation(Vec<Form>),
    Text(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    /// The value at each sample of the variables.
    samples: [f64; SAMPLES],
    /// The digits, if it is written as a number.
    decimal: Option<Decimal>,
    has_variables: bool,
    is_percent: bool,
    unit: String,
    /// What the value is of: the left side of `x = 8`.
    name: Option<String>,
}

impl Form {
    /// Reads a cleaned answer; `None` if it is empty.
    pub(super) fn read(text: &str) -> Option<Self> {
        Self::read_at(text.trim(), 0)
    }

    fn read_at(text: &str, depth: usize) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let as_text =
            || Some(Self::Text(text.chars().filter(|c| !c.is_whitespace() && !"⟨⟩{}".contains(*c)).collect()));
        if depth > MAX_DEPTH {
            return as_text();
        }
        let all =
            |parts: Vec<&str>| parts.into_iter().map(|part| Self::read_at(part, depth + 1)).collect::<Option<Vec<_>>>();
        if Decimal::parse(text).is_none() {
            if let Some(inside) = text.split_once('∈').map(|(_, inside)| inside) {
                return Self::read_at(inside.trim(), depth + 1);
            }
            let parts = united(text);
            if parts.len() > 1 {
                return all(parts).map(Self::Union).or_else(as_text);
            }
            let parts = items(text, true);
            if parts.len() > 1 {
                return all(parts).map(Self::set).or_else(as_text);
            }
            let parts = sides(text);
            if parts.len() > 1 {
                return Self::equation(&parts, depth).or_else(as_text);
            }
            if let Some((open, inner, close)) = bracketed(text) {
                let parts = items(inner, false);
                match (open, close) {
                    ('⦃', '⦄') => return all(parts).map(Self::set).or_else(as_text),
                    ('{', '}') if parts.len() > 1 => return all(parts).map(Self::set).or_else(as_text),
                    ('⟨', '⟩') => return Self::read_at(inner.trim(), depth + 1),
                    ('(' | '[', ')' | ']') if parts.len() > 1 => {
                        return all(parts).map(|parts| Self::Tuple(open, parts, close)).or_else(as_text);
                    }
                    _ => {}
                }
            }
        }
        Self::value(text).or_else(as_text)
    }

    /// A set of one is its item.
    fn set(mut items: Vec<Self>) -> Self {
        let flat: Vec<Self> =
            items.drain(..).flat_map(|item| if let Self::Set(items) = item { items } else { vec![item] }).collect();
        match <[Self; 1]>::try_from(flat) {
            Ok([one]) => one,
            Err(items) => Self::Set(items),
        }
    }

    /// The last side of a chain of equalities; with a name before it, that is what the value is of.
    fn equation(sides: &[&str], depth: usize) -> Option<Self> {
        let (first, last) = (sides.first()?, sides.last()?);
        let mut last = Self::read_at(last, depth + 1)?;
        let is_name = {
            let bare: String = first.chars().filter(|c| !"⟨⟩{}\\ ".contains(*c)).collect();
            let call = bare.strip_suffix(')').and_then(|call| call.split_once('('));
            let name = call.map_or(bare.as_str(), |(name, _)| name);
            !name.is_empty()
                && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '\'')
                && !name.starts_with(|c: char| c.is_ascii_digit())
        };
        if is_name {
            if let Self::Value(value) = &mut last {
                value.name = Some(first.trim().to_owned());
            }
            return Some(last);
        }
        let first = Self::read_at(first, depth + 1)?;
        Some(Self::Equation(vec![first, last]))
    }

    fn value(text: &str) -> Option<Self> {
        let mut forms = Vec::new();
        for plus in [true, false] {
            let mut samples = [0.0; SAMPLES];
            let mut last: Option<(Evaluated, &str)> = None;
            for (sample, value) in samples.iter_mut().enumerate() {
                let (evaluated, rest) = evaluate(text, sample, plus)?;
                *value = evaluated.value;
                last = Some((evaluated, rest));
            }
            let (Evaluated { has_variables, has_plus_minus, .. }, rest) = last?;
            let (is_percent, rest) = match rest.trim_start().strip_prefix('%') {
                Some(rest) => (true, rest),
                None => (false, rest),
            };
            // Behind a variable there is no unit: "red" is a word.
            let unit = unit(rest).filter(|unit| unit.is_empty() || !has_variables)?;
            let decimal = Decimal::parse(text[..text.len() - rest.len()].trim().trim_end_matches('%').trim());
            let name = None;
            // Letters side by side without anything else are a word.
            if has_variables && text.chars().count() > 1 && text.chars().all(char::is_alphabetic) {
                return None;
            }
            forms.push(Self::Value(Value { samples, decimal, has_variables, is_percent, unit, name }));
            if !has_plus_minus {
                break;
            }
        }
        Some(Self::set(forms))
    }

    /// Whether two answers mean the same; `gold` is the right one.
    pub(super) fn means(&self, gold: &Self) -> bool {
        match (self, gold) {
            (Self::Value(said), Self::Value(gold)) => said.means(gold),
            (Self::Set(said), Self::Set(gold)) | (Self::Union(said), Self::Union(gold)) => {
                means_in_any_order(said, gold)
            }
            (Self::Tuple(a, said, b), Self::Tuple(c, gold, d)) => {
                (a, b) == (c, d)
                    && said.len() == gold.len()
                    && said.iter().zip(gold).all(|(said, gold)| said.means(gold))
            }
            (Self::Equation(said), Self::Equation(gold)) => said.iter().zip(gold).all(|(said, gold)| said.means(gold)),
            // A chain of equalities ends in the answer.
            (Self::Equation(sides), gold) => sides.last().is_some_and(|last| last.means(gold)),
            (Self::Text(said), Self::Text(gold)) => said == gold,
            _ => false,
        }
    }
}

/// Whether each item has a partner of its own.
fn means_in_any_order(said: &[Form], gold: &[Form]) -> bool {
    let mut left: Vec<&Form> = gold.iter().collect();
    let mut found = |item: &Form| {
        let at = left.iter().position(|gold| item.means(gold));
        at.map(|at| left.swap_remove(at)).is_some()
    };
    said.len() == gold.len() && said.iter().all(&mut found)
}

impl Value {
    fn means(&self, gold: &Self) -> bool {
        let units = self.unit == gold.unit || self.unit.is_empty() || gold.unit.is_empty();
        let names = self.name == gold.name || self.name.is_none() || gold.name.is_none();
        if !units || !names || self.has_variables != gold.has_variables {
            return false;
        }
        if let (Some(said), Some(gold), true) = (&self.decimal, &gold.decimal, self.is_percent == gold.is_percent) {
            return said == gold;
        }
        let close = |said: f64, gold: f64| (said - gold).abs() <= ROUNDING * gold.abs().max(said.abs()).max(1e-300);
        let equal = |scale: f64| self.samples.iter().zip(&gold.samples).all(|(said, gold)| close(said * scale, *gold));
        match (self.is_percent, gold.is_percent) {
            (true, false) => equal(1.0) || equal(0.01),
            (false, true) => equal(1.0) || equal(100.0),
            _ => equal(1.0),
        }
    }
}
