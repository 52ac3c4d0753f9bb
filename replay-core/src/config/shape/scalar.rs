//! Booleans, strings and integers.

use std::ops::RangeInclusive;

use serde_json::json;
use toml::de::DeValue;

use super::kind::{Diagnostic, Shape, Value};
use super::written::Written;

/// `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub struct Flag;

impl Shape for Flag {
    type Value = bool;

    fn read(&self, value: &Value<'_>) -> Result<bool, Vec<Diagnostic>> {
        match value.get_ref() {
            DeValue::Boolean(flag) => Ok(*flag),
            DeValue::String(text) if matches!(&**text, "true" | "false") => {
                let unquoted = format!("write it without quotes: `{text}`");
                Err(vec![Diagnostic::of(self, value).hint(unquoted)])
            }
            _ => Err(vec![Diagnostic::of(self, value)]),
        }
    }

    fn placeholder(&self) -> bool {
        false
    }

    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "boolean" })
    }
}

impl Written for Flag {
    fn toml(&self, flag: &bool) -> String {
        flag.to_string()
    }

    fn identity(&self, flag: &bool) -> serde_json::Value {
        json!(flag)
    }
}

/// A string with at least one visible character.
#[derive(Debug, Clone, Copy)]
pub struct Text;

impl Shape for Text {
    type Value = String;

    fn read(&self, value: &Value<'_>) -> Result<String, Vec<Diagnostic>> {
        match value.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => Ok(text.to_string()),
            _ => Err(vec![Diagnostic::of(self, value)]),
        }
    }

    fn placeholder(&self) -> String {
        String::new()
    }

    fn expected(&self) -> String {
        "a non-empty string".to_owned()
    }

    fn schema(&self) -> serde_json::Value {
        json!({ "type": "string", "pattern": "\\S" })
    }
}

impl Written for Text {
    fn toml(&self, text: &String) -> String {
        toml::Value::from(text.as_str()).to_string()
    }

    fn identity(&self, text: &String) -> serde_json::Value {
        json!(text)
    }
}

/// An integer within limits. `i64::MAX` as upper limit means none.
#[derive(Debug, Clone)]
pub struct Integer(pub RangeInclusive<i64>);

impl Shape for Integer {
    type Value = i64;

    fn read(&self, value: &Value<'_>) -> Result<i64, Vec<Diagnostic>> {
        let diagnostic = || Diagnostic::of(self, value);
        let problem = match value.get_ref() {
            DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(integer) if self.0.contains(&integer) => return Ok(integer),
                Ok(_) => diagnostic(),
                Err(_) => diagnostic().hint("the number does not fit into 64 bits"),
            },
            DeValue::Float(digits) => match digits.as_str().strip_suffix(".0") {
                Some(whole) => diagnostic().hint(format!("write it without a fraction: `{whole}`")),
                None => diagnostic(),
            },
            DeValue::String(text) if text.parse::<i64>().is_ok() => {
                diagnostic().hint(format!("write it without quotes: `{text}`"))
            }
            _ => diagnostic(),
        };
        Err(vec![problem])
    }

    fn placeholder(&self) -> i64 {
        *self.0.start()
    }

    fn expected(&self) -> String {
        match (*self.0.start(), *self.0.end()) {
            (i64::MIN, i64::MAX) => "an integer".to_owned(),
            (low, i64::MAX) => format!("an integer, {low} or more"),
            (low, high) => format!("an integer from {low} to {high}"),
        }
    }

    fn schema(&self) -> serde_json::Value {
        let mut schema = json!({ "type": "integer" });
        if *self.0.start() != i64::MIN {
            schema["minimum"] = json!(self.0.start());
        }
        if *self.0.end() != i64::MAX {
            schema["maximum"] = json!(self.0.end());
        }
        schema
    }
}
