//! The pair of models.

use schemars::JsonSchema;
use serde::Serialize;

/// The two models, as hub ids or directories, exactly as written in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pair {
    /// The post-trained model: the one that is served.
    pub rlvr: String,
    /// The model it was trained from.
    pub base: String,
}
