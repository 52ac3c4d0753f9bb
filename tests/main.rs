//! Cross-crate tests in one binary: linking the engine takes longer than running most of them.
mod attacks;
mod broken_configurations;
mod common;
mod concurrency;
mod conformance;
mod decoding;
mod engine_fixes;
mod evidence;
mod existing;
mod invariants;
mod learned;
mod observability;
mod parity;
mod serve;
mod serving;
mod tidy;
