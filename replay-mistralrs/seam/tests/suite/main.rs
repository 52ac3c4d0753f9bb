//! The tool on a tiny crate of its own making: what it writes, what it leaves alone, and what it says when something is wrong.

mod child;
mod drop;
mod edits;
mod faults;
mod place;
mod port;
mod source;
mod support;
mod this_repository;
