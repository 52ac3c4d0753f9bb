//! An engine's own file as the place of our tables.

/// An engine's own file, in which our tables stand beside the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'a> {
    /// The adapter of that engine; the file need not name it.
    pub adapter: &'a str,
    /// Keys and tables at the top of the file that are the engine's.
    pub keys: &'a [&'a str],
}
