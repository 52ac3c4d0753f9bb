//! A setting that may have no value.

use super::kind::{Diagnostic, Shape, Value};
use super::written::Written;

/// A value of the inner shape, or `None` if the key is not given (TOML has no null).
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Optional<S>(pub(in crate::config) S);

impl<S: Shape> Shape for Optional<S> {
    type Value = Option<S::Value>;

    fn read(&self, value: &Value<'_>) -> Result<Self::Value, Vec<Diagnostic>> {
        self.0.read(value).map(Some)
    }

    fn placeholder(&self) -> Self::Value {
        None
    }

    fn expected(&self) -> String {
        self.0.expected()
    }

    fn schema(&self) -> serde_json::Value {
        self.0.schema()
    }
}

impl<S: Written> Written for Optional<S> {
    fn toml(&self, value: &Self::Value) -> String {
        value.as_ref().map_or_else(String::new, |value| self.0.toml(value))
    }

    fn identity(&self, value: &Self::Value) -> serde_json::Value {
        value.as_ref().map_or(serde_json::Value::Null, |value| self.0.identity(value))
    }

    fn is_none(&self, value: &Self::Value) -> bool {
        value.is_none()
    }
}
