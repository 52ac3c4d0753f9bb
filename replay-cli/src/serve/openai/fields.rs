//! Typed access to the fields of a JSON object. A field that is `null` counts as absent.
use serde_json::{Map, Value};

use crate::serve::error::ApiError;

/// The fields of a JSON object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(crate) fn new(fields: &'a Map<String, Value>) -> Self {
        Self(fields)
    }

    /// The value of a field; `None` if it is absent or `null`.
    pub(crate) fn given(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn boolean(self, name: &'static str) -> Result<Option<bool>, ApiError> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub(crate) fn number(self, name: &'static str) -> Result<Option<f64>, ApiError> {
        self.typed(name, "a number", Value::as_f64)
    }

    pub(crate) fn count(self, name: &'static str) -> Result<Option<usize>, ApiError> {
        self.typed(name, "a whole number that is not negative", |value| value.as_u64()?.try_into().ok())
    }

    pub(crate) fn text(self, name: &'static str) -> Result<Option<String>, ApiError> {
        self.typed(name, "a text", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn list(self, name: &'static str) -> Result<Option<&'a Vec<Value>>, ApiError> {
        self.typed(name, "a list", Value::as_array)
    }

    /// A field that is one text or a list of texts.
    pub(crate) fn texts(self, name: &'static str) -> Result<Vec<String>, ApiError> {
        let texts = self.typed(name, "a text, or a list of texts", |value| match value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        });
        Ok(texts?.unwrap_or_default())
    }

    fn typed<T>(
        self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.given(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| wrong_type(name, expected, value))
    }
}

/// The error for a value of the wrong type.
pub(super) fn wrong_type(name: &'static str, expected: &str, value: &Value) -> ApiError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    ApiError::invalid("invalid_request", format!("`{name}` is {expected}, not {found}")).about(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_counts_as_absent_and_wrong_types_are_errors() {
        let body = json!({ "a": null, "n": 3, "t": "x", "l": ["y", 2], "f": 1.5, "b": true });
        let fields = Fields::new(body.as_object().unwrap());
        assert_eq!((fields.given("a"), fields.number("a")), (None, Ok(None)));
        assert_eq!((fields.count("n"), fields.number("f")), (Ok(Some(3)), Ok(Some(1.5))));
        assert_eq!((fields.texts("t"), fields.boolean("b")), (Ok(vec!["x".into()]), Ok(Some(true))));
        let error = fields.count("f").unwrap_err();
        assert_eq!(error.message, "`f` is a whole number that is not negative, not a number");
        assert_eq!((error.param, fields.texts("l").is_err(), fields.text("n").is_err()), (Some("f"), true, true));
    }
}
