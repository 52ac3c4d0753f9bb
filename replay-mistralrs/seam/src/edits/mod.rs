//! The lists of edits: what is in `edits/*.toml`, with the line of each entry.

mod check;
mod fault;
mod list;
mod raw;
mod read;

pub use fault::{Fault, Mended};
pub(crate) use list::FIXES;
pub use list::{Edit, EditList, Module, Reason};
pub(crate) use read::list_files;
