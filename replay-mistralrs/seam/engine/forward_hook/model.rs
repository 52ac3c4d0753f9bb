//! Weights and configuration of a loaded model, and loading a model with an edited configuration.
use std::{cell::RefCell, sync::Arc};

use candle_core::Tensor;
use mistralrs_quant::QuantMethod;

/// Handles to a model's weights. No weight is copied.
#[derive(Debug)]
pub struct ModelWeights {
    /// All linear layers that can be quantised, in the model's order, with their decoder layer; `None` outside the decoder layers.
    pub linear: Vec<(Arc<dyn QuantMethod>, Option<usize>)>,
    /// The tensors that are never quantised (norms, embeddings), by name.
    pub residual: Vec<(String, Tensor)>,
    /// The text of the model's `config.json`.
    pub config: String,
}

type ConfigEdit = dyn FnMut(String) -> Result<String, String>;

thread_local! {
    static EDIT: RefCell<Option<Box<ConfigEdit>>> = const { RefCell::new(None) };
}

/// Runs `load` with `edit` applied to the `config.json` of every multimodal model that this thread loads. The loader reads only weights
/// that the configuration asks for, so a smaller layer count loads fewer layers.
pub fn with_config_edit<T>(
    edit: impl FnMut(String) -> Result<String, String> + 'static,
    load: impl FnOnce() -> T,
) -> T {
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            EDIT.set(None);
        }
    }
    EDIT.set(Some(Box::new(edit)));
    let _clear = Clear;
    load()
}

/// Applies the edit of [`with_config_edit`], if there is one.
pub(crate) fn edited_config(config: String) -> anyhow::Result<String> {
    EDIT.with_borrow_mut(|edit| match edit {
        Some(edit) => edit(config).map_err(anyhow::Error::msg),
        None => Ok(config),
    })
}
