//! The two models of a pair.
use std::fmt;

use serde::Serialize;

/// Which model of the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The model that RLVR training started from.
    Base,
    /// The model that is served.
    Rlvr,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::Rlvr => "RLVR",
        })
    }
}
