//! The seam's tool: takes the verified source of mistralrs-core, adds our modules, applies our edits, and writes the result where
//! `[patch.crates-io]` points.
//!
//! The repository holds the modules (`engine/`) and the edits (`edits/`), and none of the engine's source. Both are read at run time, so
//! that a change of them takes effect without building this tool again. `manifest.toml`, `build.toml` and `fixes/` are applied first and
//! make a whole engine by themselves; on top come `hook/`, `paged_on_cpu.toml`, which adds a feature that is off, and `test_sizes.toml`.
//!
//! The lists in `fixes/` state each fault of the engine once, with the tests that fail without its fix and the upstream version that
//! mended it. `cargo seam faults` writes them down as a page; `cargo seam drop` makes engines without some fixes and expects the tests
//! of those to fail.

mod apply;
pub mod child;
mod digest;
pub mod drop;
mod edits;
mod error;
mod failure;
mod modules;
mod notes;
mod page;
mod pinned;
mod place;
mod plan;
mod port;
mod source;
mod stamp;
mod tree;
mod variant;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

pub use crate::{
    apply::apply,
    edits::{Edit, EditList, Fault, Mended, Module, Reason},
    error::{Error, Result},
    failure::{Failure, Problem},
    modules::ModuleFile,
    notes::NOTES,
    page::PAGE,
    pinned::{ENGINE, NEWEST_READ, VERSION},
    place::{Existing, Placed},
    port::{Fate, Ported, summary},
    source::{Files, cargo_home},
    variant::Variant,
};
use crate::{edits::FIXES, plan::Plan};

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

impl Seam {
    /// The seam of this repository.
    #[must_use]
    pub fn of_this_repository() -> Self {
        Self { home: PathBuf::from(env!("CARGO_MANIFEST_DIR")), cargo_home: cargo_home(), fetch: Fetch::Cargo }
    }

    /// The root of the workspace whose engine this is.
    #[must_use]
    pub fn workspace(&self) -> &Path {
        self.home.ancestors().nth(2).unwrap_or(&self.home)
    }

    /// The folder that the workspace's `[patch.crates-io]` points into.
    #[must_use]
    pub fn workspace_target(&self) -> PathBuf {
        self.workspace().join(".engine")
    }

    /// Makes `parent/mistralrs-core` the engine of `variant`. Does nothing, in a few milliseconds, when it is that already.
    ///
    /// # Errors
    /// Anything in [`Error`]. Errors of the inputs are found before anything is written.
    pub fn place(&self, parent: &Path, variant: Variant, existing: Existing) -> Result<Placed> {
        self.place_plan(parent, &Plan::read(self, variant)?, existing)
    }

    /// Makes `parent/mistralrs-core` the hooked engine with these faults left in.
    ///
    /// # Errors
    /// As [`Seam::place`]; [`Error::Fit`] when other edits build on those that are left out.
    pub fn place_without(&self, parent: &Path, faults: &BTreeSet<String>) -> Result<Placed> {
        self.place_plan(parent, &Plan::read(self, Variant::Hooked)?.without(faults), Existing::Adopt)
    }

    /// The whole engine of `variant`, in memory.
    ///
    /// # Errors
    /// Anything in [`Error`] but what concerns writing.
    pub fn files(&self, variant: Variant) -> Result<Files> {
        self.build(&Plan::read(self, variant)?)
    }

    /// The hooked engine with these faults left in, in memory.
    ///
    /// # Errors
    /// As [`Seam::place_without`], but for what concerns writing.
    pub fn files_without(&self, faults: &BTreeSet<String>) -> Result<Files> {
        self.build(&Plan::read(self, Variant::Hooked)?.without(faults))
    }

    /// The lists in `fixes/`, in the order of their names: each is one area of the engine.
    ///
    /// # Errors
    /// If a list cannot be read or is not well formed.
    pub fn areas(&self) -> Result<Vec<EditList>> {
        let lists = edits::list_files(&self.home.join("edits").join(FIXES))?;
        lists.iter().map(|path| EditList::read(path)).collect()
    }

    /// The page about the engine's faults, in Markdown.
    ///
    /// # Errors
    /// As [`Seam::areas`].
    pub fn faults_page(&self) -> Result<String> {
        Ok(page::page(&self.areas()?))
    }

    /// What of the seam fits another version of the engine's source, edit by edit. Writes nothing.
    ///
    /// # Errors
    /// If the lists are not well formed, or the source cannot be read.
    pub fn port_to(&self, source: &Path) -> Result<Vec<Ported>> {
        let plan = Plan::read(self, Variant::Hooked)?;
        let pinned = source::unpack(&self.archive(&plan.checksum)?)?;
        Ok(port::port(&pinned, port::read_source(source)?, plan.edits()))
    }

    fn place_plan(&self, parent: &Path, plan: &Plan, existing: Existing) -> Result<Placed> {
        let place = place::Place::new(parent);
        if place.is_current(&plan.key()) {
            return Ok(place.untouched());
        }
        place.write(&self.build(plan)?, &plan.key(), existing)
    }

    fn build(&self, plan: &Plan) -> Result<Files> {
        plan.build(source::unpack(&self.archive(&plan.checksum)?)?)
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
