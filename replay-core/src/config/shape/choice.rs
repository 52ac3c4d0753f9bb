//! One of several names.

use serde_json::json;
use toml::de::DeValue;

use super::super::nearest::nearest;
use super::kind::{Diagnostic, Shape, Value};
use super::written::Written;

/// One of several names, each standing for a value. At least one is needed.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a, T>(pub &'a [(&'a str, T)]);

impl<T> Choice<'_, T> {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| *name)
    }
}

impl<T: PartialEq> Choice<'_, T> {
    /// The name of a value; empty if the value is not one of the choice.
    fn name(&self, value: &T) -> &str {
        self.0.iter().find(|(_, other)| other == value).map_or("", |(name, _)| name)
    }
}

impl<T: Clone> Shape for Choice<'_, T> {
    type Value = T;

    fn read(&self, value: &Value<'_>) -> Result<T, Vec<Diagnostic>> {
        let diagnostic = Diagnostic::of(self, value);
        let DeValue::String(text) = value.get_ref() else {
            return Err(vec![diagnostic]);
        };
        if let Some((_, chosen)) = self.0.iter().find(|(name, _)| *name == &**text) {
            return Ok(chosen.clone());
        }
        Err(vec![match nearest(text, self.names()) {
            Some(name) => diagnostic.hint(format!("did you mean \"{name}\"?")),
            None => diagnostic,
        }])
    }

    fn placeholder(&self) -> T {
        self.0[0].1.clone()
    }

    fn expected(&self) -> String {
        alternatives(self.names().map(|name| format!("\"{name}\"")))
    }

    fn schema(&self) -> serde_json::Value {
        let names: Vec<_> = self.names().collect();
        json!({ "type": "string", "enum": names })
    }
}

impl<T: Clone + PartialEq> Written for Choice<'_, T> {
    fn toml(&self, value: &T) -> String {
        format!("\"{}\"", self.name(value))
    }

    fn identity(&self, value: &T) -> serde_json::Value {
        json!(self.name(value))
    }
}

/// Joins words as in `a`, `a or b`, `a, b or c`.
pub(in crate::config) fn alternatives(words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}
