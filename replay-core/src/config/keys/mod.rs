//! The keys of the file: the one list behind the reader, the JSON schema and the reference page.

use super::shape::Shape;

mod learned;
mod pair;
mod rank;
mod replay;

pub(super) use learned::{
    ACTIVATION_MEMORY, INJECT, ITERATIONS, LEARNING_RATE, NORMALIZE, SOLVER, TIME_BUDGET_MS, TOLERANCE, TOP_TOKENS,
};
pub(super) use pair::{ADAPTER, BASE, RLVR};
pub(super) use rank::{BASE_BELOW_RLVR, BELOW, FRACTION_OF_MAX, KEEP, QUANTILE, SEED, TOP};
pub(super) use replay::{
    ALIGNMENT, BLEND, ENABLED, LAYERS, LENS_MEMORY, MAX_BYTES, MEASURE_KL, ON_ERROR, POSITIONS, PREFIX_BYTES, PRESET,
    STRATEGY,
};

/// A key of a table: its name, what its value may be, and what it is for.
///
/// An adapter may describe the keys of its own table the same way, read them with
/// [`TableReader::key`](super::reader::TableReader::key), and put them into the schema and the reference with
/// [`Table`].
#[derive(Debug, Clone)]
pub struct Key<S> {
    /// The name in the file.
    pub name: &'static str,
    /// What the value may be.
    pub shape: S,
    /// What holds without the key.
    pub fallback: Fallback,
    /// What the key is for, in one or two sentences.
    pub meaning: &'static str,
}

/// What holds if a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// The file is refused.
    Required,
    /// This value, written as in the file.
    Value(&'static str),
    /// It depends; in words.
    Depends(&'static str),
}

/// A key as the schema and the reference see it, whatever its value may be.
pub trait Described: Sync {
    /// The name in the file.
    fn name(&self) -> &'static str;
    /// What the value may be, in words.
    fn expected(&self) -> String;
    /// What holds without the key.
    fn fallback(&self) -> Fallback;
    /// What the key is for.
    fn meaning(&self) -> &'static str;
    /// The JSON schema of its value.
    fn schema(&self) -> serde_json::Value;
}

impl<S: Shape + Sync> Described for Key<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn expected(&self) -> String {
        self.shape.expected()
    }

    fn fallback(&self) -> Fallback {
        self.fallback
    }

    fn meaning(&self) -> &'static str {
        self.meaning
    }

    fn schema(&self) -> serde_json::Value {
        self.shape.schema()
    }
}

/// A table of the file with its keys.
#[derive(Clone, Copy)]
pub struct Table {
    /// The tables it lies in, and its own name: `replay.rank`. Empty for the top of the file.
    pub path: &'static str,
    /// What the table is for.
    pub meaning: &'static str,
    /// Its keys, without the tables inside it.
    pub keys: &'static [&'static dyn Described],
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.keys.iter().map(|key| key.name());
        write!(f, "Table({}: ", self.path)?;
        f.debug_list().entries(names).finish()?;
        f.write_str(")")
    }
}

/// The tables that the core knows; a table comes before the tables inside it.
pub(super) const TABLES: [Table; 6] =
    [pair::TOP_OF_FILE, pair::TABLE, replay::TABLE, rank::TABLE, learned::TABLE, replay::CACHE_TABLE];

/// The path that a key or table of this name has, if the core knows the name. The core's names are unique.
pub(super) fn home_of(name: &str) -> Option<String> {
    TABLES.iter().find_map(|table| {
        let nested = table.path.rsplit_once('.').is_some_and(|(_, last)| last == name);
        if nested || (!table.path.is_empty() && table.path == name) {
            return Some(table.path.to_owned());
        }
        let key = table.keys.iter().find(|key| key.name() == name)?;
        Some(match table.path {
            "" => key.name().to_owned(),
            path => format!("{path}.{}", key.name()),
        })
    })
}
