//! Everything that decides what the engine will be, read from the lists and modules.

use std::{collections::BTreeSet, fs};

use crate::{
    Seam,
    apply::apply,
    digest::Key,
    edits::{self, Edit, EditList},
    error::{Error, Result},
    modules::{self, ModuleFile},
    notes::{NOTES, notes},
    source::{self, Files},
    variant::Variant,
};

/// Raised when this tool would make other files from the same inputs.
const FORMAT: u32 = 1;

/// What decides the engine's content, apart from the archive, for which its checksum stands.
pub(crate) struct Plan {
    pub(crate) checksum: String,
    lists: Vec<(&'static str, EditList)>,
    modules: Vec<ModuleFile>,
    without: BTreeSet<String>,
    key: Key,
}

impl Plan {
    pub(crate) fn read(seam: &Seam, variant: Variant) -> Result<Self> {
        let checksum = source::locked_checksum(&seam.home.join("Cargo.lock"))?;
        let mut key = Key::default();
        key.add(FORMAT.to_le_bytes());
        key.add(&checksum);
        key.add(format!("{variant:?}"));

        let (mut lists, mut modules) = (Vec::new(), Vec::new());
        for &(heading, inside) in variant.lists() {
            for path in edits::list_files(&seam.home.join("edits").join(inside))? {
                let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
                key.add(&text);
                let list = EditList::parse(&path, &text)?;
                for module in &list.modules {
                    modules.extend(modules::read(&seam.home.join("engine"), module)?);
                }
                lists.push((heading, list));
            }
        }
        for module in &modules {
            key.add(&module.to);
            key.add(&module.content);
        }
        Ok(Self { checksum, lists, modules, without: BTreeSet::new(), key })
    }

    /// The same plan without the edits that mend these faults.
    pub(crate) fn without(mut self, faults: &BTreeSet<String>) -> Self {
        for (_, list) in &mut self.lists {
            list.edits.retain(|edit| !edit.fault().is_some_and(|fault| faults.contains(fault)));
        }
        for fault in faults {
            self.key.add(fault);
        }
        self.without.extend(faults.iter().cloned());
        self
    }

    /// Equal for equal inputs.
    pub(crate) fn key(&self) -> String {
        self.key.clone().finish()
    }

    pub(crate) fn lists(&self) -> impl Iterator<Item = &EditList> {
        self.lists.iter().map(|(_, list)| list)
    }

    pub(crate) fn edits(&self) -> impl Iterator<Item = &Edit> {
        self.lists().flat_map(|list| &list.edits)
    }

    /// The engine's files, made from those of the archive.
    pub(crate) fn build(&self, source: Files) -> Result<Files> {
        let mut files = apply(source, &self.modules, self.edits()).map_err(|failures| Error::Fit { failures })?;
        let lists = self.lists.iter().map(|(heading, list)| (*heading, list));
        files.insert(NOTES.to_owned(), notes(&self.checksum, lists, &self.without).into_bytes());
        Ok(files)
    }
}
