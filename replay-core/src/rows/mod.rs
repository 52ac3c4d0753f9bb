//! Rows of a prompt: their labels, sets of them, and the part of a prompt that is differentiated.
//!
//! A row is identified by its position in the prompt. Each row has a label, so that no code has to infer from counts what a row stands for.
mod image;
mod prompt;
mod select;
mod set;
mod span;

pub use image::{Grid, Image, ImageContent, VisualLabel};
pub use prompt::{PromptMap, RowLabel};
pub(crate) use select::select_rows;
pub use set::RowSet;
pub use span::{Span, SpanRows};
