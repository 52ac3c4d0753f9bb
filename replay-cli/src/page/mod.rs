//! Self-contained HTML pages, which make no external request and escape all prompts, answers and names.
mod curves;
mod inspect;
mod render;

pub use curves::{Chart, CurvesData, Series, TableData, curves};
pub use inspect::{AnswerData, ImageData, InspectData, LayerData, PromptData, inspect};
pub use render::PageError;
