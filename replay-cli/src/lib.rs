//! The parts of the `replay` program that others may build on.
//!
//! * [`serve`]: the HTTP server, as a router to be served or nested;
//! * [`page`]: self-contained HTML pages.
pub mod page;
pub mod serve;
