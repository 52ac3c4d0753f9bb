//! The trait of a kind of value, and the error for a value that is not of that kind.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::describe::describe;

/// A value of the TOML tree with its place in the source.
pub type Value<'a> = Spanned<DeValue<'a>>;

/// A problem at one place of the file: what is expected there, what the file has, and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The offending bytes of the source.
    pub span: Range<usize>,
    /// What is valid there.
    pub expected: String,
    /// What the file has there.
    pub found: String,
    /// The nearest valid value, or another way to fix the file.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A diagnostic without a hint.
    pub fn new(span: Range<usize>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { span, expected: expected.into(), found: found.into(), hint: None }
    }

    /// The same diagnostic with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A diagnostic for a `value` that is not of `shape`.
    pub(super) fn of<S: Shape + ?Sized>(shape: &S, value: &Value<'_>) -> Self {
        Self::new(value.span(), shape.expected(), describe(value.get_ref()))
    }
}

/// A kind of value. An adapter can implement it for a kind that this module does not have.
pub trait Shape {
    /// The Rust type of the value.
    type Value;

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// All diagnostics: a list can have several wrong items.
    fn read(&self, value: &Value<'_>) -> Result<Self::Value, Vec<Diagnostic>>;

    /// Any value of this kind, used in place of a refused or missing value so that reading can go on and find further
    /// problems. It never reaches a caller, because the problem makes the whole reading an error.
    fn placeholder(&self) -> Self::Value;

    /// What is expected, in words that follow "expected".
    fn expected(&self) -> String;

    /// The JSON schema of such a value.
    fn schema(&self) -> serde_json::Value;
}
