//! Lists of one kind of value.

use serde_json::json;
use toml::de::DeValue;

use super::kind::{Diagnostic, Shape, Value};

/// A list with at least one item, each of the given shape.
#[derive(Debug, Clone, Copy)]
pub struct List<S>(pub S);

impl<S: Shape> List<S> {
    /// The valid items with their places, for a shape that checks more than the items, and the diagnostics of the others.
    pub(super) fn items<'a>(&self, value: &'a Value<'_>) -> (Vec<(S::Value, &'a Value<'a>)>, Vec<Diagnostic>) {
        let items = match value.get_ref() {
            DeValue::Array(items) if !items.is_empty() => items,
            _ => return (Vec::new(), vec![Diagnostic::of(self, value)]),
        };
        let mut valid = Vec::with_capacity(items.len());
        let mut diagnostics = Vec::new();
        for item in items.iter() {
            match self.0.read(item) {
                Ok(content) => valid.push((content, item)),
                Err(errors) => diagnostics.extend(errors),
            }
        }
        (valid, diagnostics)
    }
}

impl<S: Shape> Shape for List<S> {
    type Value = Vec<S::Value>;

    fn read(&self, value: &Value<'_>) -> Result<Self::Value, Vec<Diagnostic>> {
        let (valid, diagnostics) = self.items(value);
        match diagnostics.is_empty() {
            true => Ok(valid.into_iter().map(|(content, _)| content).collect()),
            false => Err(diagnostics),
        }
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
