//! The mock engine's models and prompts.
use super::model::{HIDDEN, LAYERS, Model, PLACEHOLDER, VOCABULARY};
use super::{Fault, Noise};
use crate::{ModelInfo, PairInfo, Role};

/// The mock engine's models and prompts: two prompts with two images of 2x2 and 1x2 tokens each.
#[derive(Debug)]
pub(super) struct MockPair {
    fault: Option<Fault>,
    pub(super) noise: Noise,
    base: Model,
    rlvr: Model,
    pub(super) info: PairInfo,
    pub(super) prompts: [Vec<u32>; 2],
}

impl MockPair {
    pub(super) fn new(fault: Option<Fault>, noise: Noise, equal_models: bool) -> Self {
        let info = |id: &str| ModelInfo {
            id: id.into(),
            architecture: "mock".into(),
            decoder_layers: LAYERS,
            loaded_layers: LAYERS,
            hidden: HIDDEN,
            vocabulary: VOCABULARY,
            dtype: "F32".into(),
            fingerprint: format!("{id} {equal_models}"),
        };
        let prompt = |first: u32| {
            let images = [vec![first, 2], vec![PLACEHOLDER; 4], vec![3], vec![PLACEHOLDER; 2], vec![4, first + 5]];
            images.concat()
        };
        Self {
            fault,
            noise,
            base: Model { seed: if equal_models { 7 } else { 8 } },
            rlvr: Model { seed: 7 },
            info: PairInfo { base: info("mock-base"), rlvr: info("mock-rlvr") },
            prompts: [prompt(1), prompt(6)],
        }
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(super) fn model(&self, role: Role) -> &Model {
        match role {
            Role::Base => &self.base,
            Role::Rlvr => &self.rlvr,
        }
    }
}
