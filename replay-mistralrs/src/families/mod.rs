//! Profiles of the model families that replay supports. A new family is one file in `profiles/`, and two lines in its `mod.rs`.
mod decoder;
mod expanded;
mod family;
mod labels;
mod layout;
mod metadata;
mod mrope;
mod profiles;

pub use decoder::DecoderProfile;
pub use expanded::{ExpandedPrompt, Layout, Placeholders, VisualTokens};
pub use family::{Family, Head, Norm, Video};
pub(crate) use labels::{Media, PromptLabeller};
pub use metadata::ModelMetadata;
pub use profiles::{ALL, REFUSED, architectures};
