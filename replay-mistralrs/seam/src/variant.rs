//! Which lists of edits make which engine.

use crate::edits::FIXES;

/// Which edits to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The fixes of the engine alone.
    FixesOnly,
    /// The fixes and the hook.
    Hooked,
}

impl Variant {
    /// The lists in the order of application: heading in the notes, and a file under `edits/`, or a folder of files in the order of their
    /// names.
    pub(crate) fn lists(self) -> &'static [(&'static str, &'static str)] {
        const ALL: [(&str, &str); 6] = [
            ("Unused dependencies", "manifest.toml"),
            ("What the build needs", "build.toml"),
            ("Fixes of the engine", FIXES),
            ("The hook", "hook"),
            ("PagedAttention on a CPU", "paged_on_cpu.toml"),
            ("Small sizes for tests", "test_sizes.toml"),
        ];
        match self {
            Self::FixesOnly => &ALL[..3],
            Self::Hooked => &ALL,
        }
    }
}
