//! Numbers with limits.

use std::ops::Bound;

use serde_json::json;
use toml::de::DeValue;

use super::kind::{Diagnostic, Shape, Value};
use super::written::Written;

/// A finite number within limits; integers are numbers, too.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    /// What the number counts, in words that follow "expected": "a number", "a number of nats".
    pub what: &'static str,
    /// Lower limit.
    pub low: Bound<f64>,
    /// Upper limit.
    pub high: Bound<f64>,
}

impl Number {
    fn admits(&self, number: f64) -> bool {
        let above = match self.low {
            Bound::Included(low) => number >= low,
            Bound::Excluded(low) => number > low,
            Bound::Unbounded => true,
        };
        let below = match self.high {
            Bound::Included(high) => number <= high,
            Bound::Excluded(high) => number < high,
            Bound::Unbounded => true,
        };
        number.is_finite() && above && below
    }
}

impl Shape for Number {
    type Value = f64;

    fn read(&self, value: &Value<'_>) -> Result<f64, Vec<Diagnostic>> {
        let number = match value.get_ref() {
            DeValue::Float(digits) => digits.as_str().parse().ok(),
            DeValue::Integer(digits) => {
                i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|integer| integer as f64)
            }
            _ => None,
        };
        match number {
            Some(number) if self.admits(number) => Ok(number),
            _ => {
                let diagnostic = Diagnostic::of(self, value);
                Err(vec![match value.get_ref() {
                    DeValue::String(text) if text.parse().is_ok_and(|n| self.admits(n)) => {
                        diagnostic.hint(format!("write it without quotes: `{text}`"))
                    }
                    _ => diagnostic,
                }])
            }
        }
    }

    fn placeholder(&self) -> f64 {
        match (self.low, self.high) {
            (Bound::Included(limit), _) | (_, Bound::Included(limit)) => limit,
            (Bound::Excluded(low), Bound::Excluded(high)) => low.midpoint(high),
            (Bound::Excluded(low), Bound::Unbounded) => low + 1.0,
            (Bound::Unbounded, Bound::Excluded(high)) => high - 1.0,
            (Bound::Unbounded, Bound::Unbounded) => 0.0,
        }
    }

    fn expected(&self) -> String {
        let what = self.what;
        match (self.low, self.high) {
            (Bound::Unbounded, Bound::Unbounded) => what.to_owned(),
            (Bound::Included(low), Bound::Included(high)) => format!("{what} from {low} to {high}"),
            (Bound::Included(low), Bound::Unbounded) => format!("{what}, {low} or more"),
            (Bound::Excluded(low), Bound::Unbounded) => format!("{what} above {low}"),
            (Bound::Unbounded, Bound::Included(high)) => format!("{what}, {high} or less"),
            (Bound::Unbounded, Bound::Excluded(high)) => format!("{what} below {high}"),
            (Bound::Excluded(low), Bound::Included(high)) => {
                format!("{what} above {low} and at most {high}")
            }
            (Bound::Included(low), Bound::Excluded(high)) => {
                format!("{what} from {low} to below {high}")
            }
            (Bound::Excluded(low), Bound::Excluded(high)) => {
                format!("{what} above {low} and below {high}")
            }
        }
    }

    fn schema(&self) -> serde_json::Value {
        let mut schema = json!({ "type": "number" });
        match self.low {
            Bound::Included(low) => schema["minimum"] = json!(low),
            Bound::Excluded(low) => schema["exclusiveMinimum"] = json!(low),
            Bound::Unbounded => {}
        }
        match self.high {
            Bound::Included(high) => schema["maximum"] = json!(high),
            Bound::Excluded(high) => schema["exclusiveMaximum"] = json!(high),
            Bound::Unbounded => {}
        }
        schema
    }
}

impl Written for Number {
    fn toml(&self, number: &f64) -> String {
        format!("{number:?}")
    }

    /// Adding zero turns -0.0 into 0.0, so that both have the same fingerprint.
    fn identity(&self, number: &f64) -> serde_json::Value {
        json!(number + 0.0)
    }
}
