//! The `replay` program as a library. It is independent of the engine: adapters are linked by Cargo features, or by your own program.
//!
//! * [`main`]: the program, to be called from a binary with your own adapter;
//! * [`serve`]: the HTTP server, as a router to be served or nested;
//! * [`evaluation`]: data sets, verifiers, statistics and records; [`analysis`]: the paper's analysis over many prompts;
//! * [`media`]: decodes pictures and videos;
//! * [`page`]: self-contained HTML pages.
//!
//! ```no_run
//! // A `replay` with another adapter: naming its crate links it.
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
