//! Cross-crate tests in one binary: linking the engine takes longer than running most of them.
mod attacks;
mod broken_configurations;
mod common;
mod concurrency;
mod conformance;
mod decoding;
mod engine_fixes;
mod evidence;
mod families;
mod invariants;
mod learned;
mod parity;
mod serve;
mod soak;
mod tidy;
