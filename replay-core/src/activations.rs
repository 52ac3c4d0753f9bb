//! Captured residual streams.
use std::collections::BTreeMap;
use std::fmt;

use candle_core::Tensor;
use serde::Serialize;

use crate::{Error, Result};

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

/// The residual streams of one prompt in one model, in the engine's own precision.
///
/// # Shapes
/// `residual[j]`: `[rows, hidden]`, rows in prompt order.
#[derive(Debug, Clone)]
pub struct Activations {
    role: Role,
    rows: usize,
    layers: BTreeMap<usize, Tensor>,
}

impl Activations {
    /// Nothing captured yet, for a prompt of `rows` rows.
    pub fn new(role: Role, rows: usize) -> Self {
        Self { role, rows, layers: BTreeMap::new() }
    }

    /// Adds `residual[layer]`.
    ///
    /// # Errors
    /// If it is not `[rows, hidden]`.
    pub fn insert(&mut self, layer: usize, residual: Tensor) -> Result<()> {
        match residual.dims() {
            [rows, _] if *rows == self.rows => {
                self.layers.insert(layer, residual);
                Ok(())
            }
            other => Err(Error::size(
                format!("residual[{layer}] of the {} model", self.role),
                format!("[{}, hidden]", self.rows),
                format!("{other:?}"),
            )),
        }
    }

    /// Which model this is of.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Prompt rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The captured layers, ascending.
    pub fn layers(&self) -> impl Iterator<Item = usize> + '_ {
        self.layers.keys().copied()
    }

    /// `residual[layer]`, `[rows, hidden]`.
    ///
    /// # Errors
    /// If it was not captured.
    pub fn residual(&self, layer: usize) -> Result<&Tensor> {
        self.layers.get(&layer).ok_or(Error::NotCaptured { role: self.role, layer })
    }
}
