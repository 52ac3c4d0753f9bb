//! The `replay` program, and the parts of it that others may build on. It names no engine: adapters are linked by Cargo features, or by a
//! program of your own.
//!
//! * [`main`]: the whole program, for one with an adapter of your own linked into it;
//! * [`serve`]: the HTTP server, as a router to be served or nested;
//! * [`evaluation`]: data sets, verifiers, statistics and records; [`analysis`]: the paper's analysis over many prompts;
//! * [`media`]: pictures and videos to pixels;
//! * [`page`]: self-contained HTML pages.
//!
//! ```no_run
//! // A `replay` with one more adapter: its crate only has to be named.
//! // use my_adapter as _;
//! fn main() -> std::process::ExitCode {
//!     replay_cli::main()
//! }
//! ```
mod adapters;
pub mod analysis;
mod commands;
pub mod evaluation;
pub mod media;
pub mod page;
pub mod serve;

pub use commands::main;
