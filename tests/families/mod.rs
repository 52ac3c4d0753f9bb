//! Every vision-language family that the engine loads, as tiny random pairs made from the descriptions in `NAME.json` here.
//!
//! Another family: describe it, have `discover` find its tensors, write its profile in `replay-mistralrs/src/families`, run
//! `conform_one`.
mod discover;
mod learned;
mod lens;
mod matrix;
mod newer_files;
mod reference;
mod rows;
mod spec;
mod weights;

pub(crate) use matrix::picture;
pub(crate) use rows::video;
pub(crate) use spec::{Spec, names, open_spec};
pub(crate) use weights::Noise;
