//! Entropy thresholds: one for all policy layers, or one for each.

use std::ops::Bound;

use serde_json::json;
use toml::de::DeValue;

use super::super::below::Below;
use super::kind::{Diagnostic, Shape, Value};
use super::list::List;
use super::number::Number;
use super::written::Written;

const NATS: Number = Number { what: "a number of nats", low: Bound::Included(0.0), high: Bound::Unbounded };

/// A number of nats, or a list of them. The length of the list is checked later, when the policy layers are known.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds;

impl Shape for Thresholds {
    type Value = Below;

    fn read(&self, value: &Value<'_>) -> Result<Below, Vec<Diagnostic>> {
        match value.get_ref() {
            DeValue::Array(items) if !items.is_empty() => List(NATS).read(value).map(Below::PerLayer),
            DeValue::Integer(_) | DeValue::Float(_) => NATS.read(value).map(Below::All),
            _ => Err(vec![Diagnostic::of(self, value)]),
        }
    }

    fn placeholder(&self) -> Below {
        Below::All(0.0)
    }

    fn expected(&self) -> String {
        format!("{}, or a list with one such number per policy layer", NATS.expected())
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "anyOf": [NATS.schema(), List(NATS).schema()] })
    }
}

impl Written for Thresholds {
    fn toml(&self, below: &Below) -> String {
        match below {
            Below::All(threshold) => format!("{threshold:?}"),
            Below::PerLayer(list) => format!("{list:?}"),
        }
    }

    /// A list of equal thresholds has the same identity as one of them.
    fn identity(&self, below: &Below) -> serde_json::Value {
        match below {
            Below::All(threshold) => NATS.identity(threshold),
            Below::PerLayer(list) => match list.split_first() {
                Some((first, rest)) if rest.iter().all(|threshold| threshold == first) => NATS.identity(first),
                _ => list.iter().map(|threshold| NATS.identity(threshold)).collect(),
            },
        }
    }
}
