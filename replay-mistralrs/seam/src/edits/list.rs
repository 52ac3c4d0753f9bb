//! What a list of edits holds.

use super::fault::Fault;

/// The folder whose lists mend faults: each of its edits names the fault that it mends.
pub(crate) const FIXES: &str = "fixes";

/// One list, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditList {
    /// The list's file name without `.toml`. In `fixes/` it names an area, such as `cache`.
    pub name: String,
    /// The modules to add.
    pub modules: Vec<Module>,
    /// The faults that the edits mend. Empty outside `fixes/`.
    pub faults: Vec<Fault>,
    /// The edits, in the order of application.
    pub edits: Vec<Edit>,
}

/// Replaces every occurrence of an anchor, provided that there are exactly `count`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Short kebab-case name.
    pub name: String,
    /// Why the edit is made.
    pub reason: Reason,
    /// The engine's file, relative to its folder.
    pub file: String,
    /// The text to find.
    pub anchor: String,
    /// The text to put in its place.
    pub with: String,
    /// How often the anchor must occur.
    pub count: usize,
    /// List and line of the entry, for error texts.
    pub at: String,
}

/// Why an edit is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A reason of its own, in one line: edits outside `fixes/`.
    Why(String),
    /// It mends a fault of the same list: edits in `fixes/`.
    Fault {
        /// The fault's name.
        name: String,
        /// What this edit does for it, where that is not plain.
        note: Option<String>,
    },
}

impl Edit {
    /// The fault that the edit mends.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        match &self.reason {
            Reason::Fault { name, .. } => Some(name),
            Reason::Why(_) => None,
        }
    }
}

/// Adds files of ours to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// File or folder under `engine/`.
    pub from: String,
    /// Where it goes, relative to the engine's folder.
    pub to: String,
    /// List and line of the entry, for error texts.
    pub at: String,
}
