//! The routes, one file each, and their common parts.
mod answer;
mod body;
pub(super) mod chat;
pub(super) mod completions;
pub(super) mod engine;
pub(super) mod listing;
pub(super) mod metrics;
pub(super) mod reload;
mod stream;
