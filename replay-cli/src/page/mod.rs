//! Self-contained HTML pages: no external request, everything from outside escaped.
mod curves;
mod inspect;
mod render;

pub use curves::{Chart, CurvesData, Series, TableData, curves};
pub use inspect::{AnswerData, ImageData, InspectData, LayerData, PromptData, inspect};
pub use render::PageError;
