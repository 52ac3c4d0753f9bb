//! The trait of a kind of value, and the error for a value of another kind.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::found::describe;

/// A value of the TOML tree with its place in the source.
pub type Value<'a> = Spanned<DeValue<'a>>;

/// A value that is not of the expected shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The offending bytes of the source.
    pub span: Range<usize>,
    /// What would be right.
    pub expected: String,
    /// What stands there.
    pub found: String,
    /// The nearest valid value, or another way out.
    pub hint: Option<String>,
}

impl Mismatch {
    /// A mismatch without a hint.
    pub fn new(span: Range<usize>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { span, expected: expected.into(), found: found.into(), hint: None }
    }

    /// The same mismatch with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// `value` is not what `shape` expects.
    pub(super) fn of<S: Shape + ?Sized>(shape: &S, value: &Value<'_>) -> Self {
        Self::new(value.span(), shape.expected(), describe(value.get_ref()))
    }
}

/// A kind of value. Implement it to read a kind of value that is not here.
pub trait Shape {
    /// What is read.
    type Value;

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it: a list can have several wrong items.
    fn read(&self, value: &Value<'_>) -> Result<Self::Value, Vec<Mismatch>>;

    /// Any value of this kind. It stands in for a value that was refused or is missing, so that reading can go on and
    /// find further problems; it never reaches a caller, because the problem turns the whole reading into an error.
    fn placeholder(&self) -> Self::Value;

    /// What is expected, in words that follow "expected".
    fn expected(&self) -> String;

    /// The JSON schema of such a value.
    fn schema(&self) -> serde_json::Value;
}
