//! The configuration file of an engine that also holds the tables of replay.

/// A configuration file of an engine that also holds the tables of replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'a> {
    /// The adapter of that engine; the file need not name it.
    pub adapter: &'a str,
    /// Keys and tables at the top of the file that are the engine's.
    pub keys: &'a [&'a str],
}
