//! Encoder outputs shared by the passes of one prompt step: a base whose vision tower is the hooked model's own need not run it again.
use std::{cell::RefCell, collections::HashMap};

use candle_core::Tensor;

type Encodings = HashMap<u64, Vec<Tensor>>;

thread_local! {
    static SHARED: RefCell<Option<Encodings>> = const { RefCell::new(None) };
}

/// Begins with nothing shared; with `false` nothing will be.
pub(super) fn begin(share: bool) {
    SHARED.set(share.then(HashMap::new));
}

/// The real forward is the last pass of a step.
pub(super) fn end() {
    SHARED.set(None);
}

/// What another pass of this step has encoded.
pub(crate) fn shared_encoding(content: u64) -> Option<Vec<Tensor>> {
    SHARED.with_borrow(|shared| shared.as_ref()?.get(&content).cloned())
}

/// Keeps what a pass has encoded for the others of its step.
pub(crate) fn share_encoding(content: u64, outputs: &[Tensor]) {
    SHARED.with_borrow_mut(|shared| {
        if let Some(shared) = shared {
            shared.insert(content, outputs.to_vec());
        }
    });
}
