//! What two models that are to be a pair do not have in common.
use std::fmt;

/// Something that differs between the two models and must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What differs.
    pub what: String,
    /// In the base.
    pub base: String,
    /// In the RLVR model.
    pub rlvr: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: base has {}, RLVR model has {}", self.what, self.base, self.rlvr)
    }
}
