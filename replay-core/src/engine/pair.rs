//! Descriptions of the two models.
use serde::Serialize;

use crate::role::Role;

/// One model of the pair, as loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelInfo {
    /// Directory or hub id, as the user gave it. A label only.
    pub id: String,
    /// The architecture's name in the checkpoint.
    pub architecture: String,
    /// Decoder layers of the checkpoint.
    pub decoder_layers: usize,
    /// Decoder layers that were loaded (a base model is cut to those the policy needs).
    pub loaded_layers: usize,
    /// Width of a residual's row (of all streams, in a family whose layers mix several).
    pub hidden: usize,
    /// Rows of the head.
    pub vocabulary: usize,
    /// Precision of the residual stream.
    pub dtype: String,
    /// A hash of its weights and configuration.
    pub fingerprint: String,
}

/// The two models of a replayed pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairInfo {
    /// The model that the RLVR model was trained from.
    pub base: ModelInfo,
    /// The model that is served.
    pub rlvr: ModelInfo,
}

impl PairInfo {
    /// The model of that role.
    pub fn model(&self, role: Role) -> &ModelInfo {
        match role {
            Role::Base => &self.base,
            Role::Rlvr => &self.rlvr,
        }
    }
}
