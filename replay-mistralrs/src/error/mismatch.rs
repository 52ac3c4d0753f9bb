//! A difference between two models that keeps them from being a pair.
use std::fmt;

/// A property that differs between the two models and must be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The name of the property.
    pub what: String,
    /// Its value in the base.
    pub base: String,
    /// Its value in the RLVR model.
    pub rlvr: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: base has {}, RLVR model has {}", self.what, self.base, self.rlvr)
    }
}
