//! Encoder outputs that the passes of one prompt step share: models with equal vision towers encode an image once.
use std::{cell::RefCell, collections::HashMap};

use candle_core::Tensor;

/// Encoder outputs by a hash of the content.
type Encodings = HashMap<u64, Vec<Tensor>>;

thread_local! {
    static SHARED: RefCell<Option<Encodings>> = const { RefCell::new(None) };
}

/// Begins a step, in which passes share encoder outputs if `share`.
pub(super) fn begin(share: bool) {
    SHARED.set(share.then(HashMap::new));
}

/// Ends the step and drops what its passes shared.
pub(super) fn end() {
    SHARED.set(None);
}

/// The output that another pass of this step has encoded.
pub(crate) fn shared_encoding(content: u64) -> Option<Vec<Tensor>> {
    SHARED.with_borrow(|shared| shared.as_ref()?.get(&content).cloned())
}

/// Keeps an encoder output for the other passes of this step.
pub(crate) fn share_encoding(content: u64, outputs: &[Tensor]) {
    SHARED.with_borrow_mut(|shared| {
        if let Some(shared) = shared {
            shared.insert(content, outputs.to_vec());
        }
    });
}
