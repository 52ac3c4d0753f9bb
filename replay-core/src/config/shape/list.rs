//! Lists of one kind of value.

use serde_json::json;
use toml::de::DeValue;

use super::kind::{Mismatch, Shape, Value};

/// A list with at least one item, each of the given shape.
#[derive(Debug, Clone, Copy)]
pub struct List<S>(pub S);

impl<S: Shape> List<S> {
    /// The right items with their places, for a shape that has more to say about them, and what is wrong.
    pub(super) fn items<'a>(&self, value: &'a Value<'_>) -> (Vec<(S::Value, &'a Value<'a>)>, Vec<Mismatch>) {
        let items = match value.get_ref() {
            DeValue::Array(items) if !items.is_empty() => items,
            _ => return (Vec::new(), vec![Mismatch::of(self, value)]),
        };
        let mut right = Vec::with_capacity(items.len());
        let mut wrong = Vec::new();
        for item in items.iter() {
            match self.0.read(item) {
                Ok(content) => right.push((content, item)),
                Err(mismatches) => wrong.extend(mismatches),
            }
        }
        (right, wrong)
    }
}

impl<S: Shape> Shape for List<S> {
    type Value = Vec<S::Value>;

    fn read(&self, value: &Value<'_>) -> Result<Self::Value, Vec<Mismatch>> {
        let (right, wrong) = self.items(value);
        if wrong.is_empty() { Ok(right.into_iter().map(|(content, _)| content).collect()) } else { Err(wrong) }
    }

    fn placeholder(&self) -> Self::Value {
        vec![self.0.placeholder()]
    }

    fn expected(&self) -> String {
        format!("a non-empty list, each item {}", self.0.expected())
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "array", "minItems": 1, "items": self.0.schema() })
    }
}
