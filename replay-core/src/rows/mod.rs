//! Rows of a prompt: their labels, sets of them, and the part of a prompt that is differentiated.
//!
//! A row is named by its position in the prompt. Labels travel with the rows; nothing is attributed by counting.
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
