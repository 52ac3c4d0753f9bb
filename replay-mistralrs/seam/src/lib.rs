//! The seam's tool: takes the verified source of mistralrs-core, adds our modules, applies our edits, and writes the result
//! where `[patch.crates-io]` points.
//!
//! The repository holds the modules (`engine/`) and the edits (`edits/`), none of the engine's source. Both are read at run time,
//! so that a change of them takes effect without building this tool again. `manifest.toml` and `fixes/` are applied first and are complete
//! in themselves; on top come `hook/`, `paged_on_cpu.toml`, which adds a feature that is off, and `test_sizes.toml`.

mod apply;
pub mod child;
mod digest;
mod edits;
mod error;
mod failure;
mod modules;
mod notes;
mod pinned;
mod place;
mod port;
mod source;
mod stamp;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub use crate::{
    apply::apply,
    edits::{Edit, EditList, Module},
    error::{Error, Result},
    failure::{Failure, Problem},
    modules::ModuleFile,
    notes::NOTES,
    pinned::{ENGINE, VERSION},
    place::{Existing, Placed},
    port::{Fate, Ported, summary},
    source::{Files, cargo_home},
};

/// Raised when this tool would make other files from the same inputs.
const FORMAT: u32 = 1;

/// Which edits to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The repairs of the engine alone.
    FixesOnly,
    /// The repairs and the seam.
    Hooked,
}

impl Variant {
    /// The lists in the order of application: heading in the notes, and a file under `edits/`, or a folder of files in the order of their
    /// names.
    fn lists(self) -> &'static [(&'static str, &'static str)] {
        const ALL: [(&str, &str); 5] = [
            ("Unused dependencies", "manifest.toml"),
            ("Repairs of the engine", "fixes"),
            ("The seam", "hook"),
            ("PagedAttention on a CPU", "paged_on_cpu.toml"),
            ("Small sizes for tests", "test_sizes.toml"),
        ];
        match self {
            Self::FixesOnly => &ALL[..2],
            Self::Hooked => &ALL,
        }
    }
}

/// Whether a missing archive may be downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// By `cargo fetch`.
    Cargo,
    /// No: what is not in the cache is an error.
    Never,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Seam {
    /// This crate's folder: `Cargo.lock`, `edits/`, `engine/`.
    pub home: PathBuf,
    /// Cargo's folder with the registry cache.
    pub cargo_home: PathBuf,
    /// What to do when the cache lacks the archive.
    pub fetch: Fetch,
}

/// Everything that decides what the engine will be, apart from the archive, which its checksum stands for.
struct Plan {
    checksum: String,
    lists: Vec<(&'static str, EditList)>,
    modules: Vec<ModuleFile>,
    key: String,
}

impl Seam {
    /// The seam of this repository.
    #[must_use]
    pub fn of_this_repository() -> Self {
        Self { home: PathBuf::from(env!("CARGO_MANIFEST_DIR")), cargo_home: cargo_home(), fetch: Fetch::Cargo }
    }

    /// The folder that the workspace's `[patch.crates-io]` points into.
    #[must_use]
    pub fn workspace_target(&self) -> PathBuf {
        self.home.ancestors().nth(2).unwrap_or(&self.home).join(".engine")
    }

    /// Makes `parent/mistralrs-core` the engine of `variant`. Does nothing, in a few milliseconds, when it is that already.
    ///
    /// # Errors
    /// Anything in [`Error`]. Errors of the inputs are found before anything is written.
    pub fn place(&self, parent: &Path, variant: Variant, existing: Existing) -> Result<Placed> {
        let plan = self.plan(variant)?;
        let place = place::Place::new(parent);
        if place.is_current(&plan.key) {
            return Ok(place.untouched());
        }
        let key = plan.key.clone();
        place.write(&self.build(plan)?, &key, existing)
    }

    /// The whole engine of `variant`, in memory.
    ///
    /// # Errors
    /// Anything in [`Error`] but what concerns writing.
    pub fn files(&self, variant: Variant) -> Result<Files> {
        self.build(self.plan(variant)?)
    }

    /// What of the seam fits another version of the engine's source, edit by edit. Writes nothing.
    ///
    /// # Errors
    /// If the lists are not well formed, or the source cannot be read.
    pub fn port_to(&self, source: &Path) -> Result<Vec<Ported>> {
        let plan = self.plan(Variant::Hooked)?;
        let pinned = source::unpack(&self.archive(&plan.checksum)?)?;
        Ok(port::port(&pinned, port::read_source(source)?, plan.lists.iter().flat_map(|(_, list)| &list.edits)))
    }

    fn plan(&self, variant: Variant) -> Result<Plan> {
        let checksum = source::locked_checksum(&self.home.join("Cargo.lock"))?;
        let mut key = digest::Key::default();
        key.add(FORMAT.to_le_bytes());
        key.add(&checksum);
        key.add(format!("{variant:?}"));

        let (mut lists, mut modules) = (Vec::new(), Vec::new());
        for &(heading, inside) in variant.lists() {
            for path in edits::list_files(&self.home.join("edits").join(inside))? {
                let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
                key.add(&text);
                let list = EditList::parse(&path, &text)?;
                for module in &list.modules {
                    modules.extend(modules::read(&self.home.join("engine"), module)?);
                }
                lists.push((heading, list));
            }
        }
        for module in &modules {
            key.add(&module.to);
            key.add(&module.content);
        }
        Ok(Plan { checksum, lists, modules, key: key.finish() })
    }

    fn build(&self, plan: Plan) -> Result<Files> {
        let source = source::unpack(&self.archive(&plan.checksum)?)?;
        let edits = plan.lists.iter().flat_map(|(_, list)| &list.edits);
        let mut files = apply(source, &plan.modules, edits).map_err(|failures| Error::Fit { failures })?;
        let lists = plan.lists.iter().map(|(heading, list)| (*heading, list));
        files.insert(NOTES.to_owned(), notes::notes(&plan.checksum, lists).into_bytes());
        Ok(files)
    }

    fn archive(&self, checksum: &str) -> Result<Vec<u8>> {
        let manifest = self.home.join("Cargo.toml");
        let find = || source::verified_archive(&self.cargo_home, checksum, &manifest);
        match (find(), self.fetch) {
            (Err(Error::MissingArchive { .. }), Fetch::Cargo) => {
                child::fetch(&manifest)?;
                find()
            }
            (found, _) => found,
        }
    }
}
