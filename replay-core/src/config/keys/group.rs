//! Reading a table of the file into effective settings, and writing those into a listing and a fingerprint.
//!
//! The macro [`settings!`](super::settings::settings) implements [`Group`] with one call per key and step; the
//! functions below are what it calls.

use std::ops::Range;

use serde_json::{Map, Value};

use super::super::key::{Described, Fallback, Key};
use super::super::reader::{Diagnostics, Slot, TableReader};
use super::super::shape::{Shape, Written};

/// Settings that are declared key by key: a table of the file, or several keys of a table that set one field.
pub(in crate::config) trait Group: Sized {
    /// The keys as given in the file, before presets and defaults apply.
    type Slots: Slots;

    /// The keys, for the schema and the reference.
    const KEYS: &'static [&'static dyn Described];

    /// Reads the keys. A required key that is absent is reported.
    fn read(table: &mut TableReader<'_>) -> Self::Slots;

    /// The settings if no key is given: the default of each key, or any value for a key without a default.
    fn initial() -> Self;

    /// Overwrites each setting whose key the file gives.
    fn overlay(&mut self, slots: &Self::Slots);

    /// Adds the settings that have an effect, as path and TOML value, in the order of the declaration.
    fn list(&self, rows: &mut Vec<(&'static str, String)>);

    /// The settings that can change a result.
    fn identity(&self) -> Map<String, Value>;
}

/// The keys of a [`Group`] as given in the file.
pub(in crate::config) trait Slots {
    /// The table that holds the keys.
    fn place(&self) -> &Place;

    /// Marks a key as refused if an unknown key is probably a misspelt or misplaced form of it, so that it is not
    /// reported as missing too.
    fn refuse_suspected(&mut self, diagnostics: &Diagnostics);

    /// Path and span of each key that the file gives, without the tables inside this one.
    fn given(&self) -> Vec<(&'static str, Range<usize>)>;
}

/// The place of a table in the file.
#[derive(Debug)]
pub(in crate::config) struct Place {
    /// Where a key missing from the table is reported.
    pub(in crate::config) at: Range<usize>,
    /// Whether the file has the table.
    pub(in crate::config) present: bool,
}

impl Place {
    pub(in crate::config) fn of(table: &TableReader<'_>) -> Self {
        Self { at: table.at(), present: table.is_present() }
    }
}

/// Whether a setting is part of the listing and of the fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum PartOf {
    /// Listing and fingerprint: the setting can change a result.
    Both,
    /// Listing only: the setting changes cost, or what happens on failure.
    Listing,
    /// Fingerprint only: the setting can change a result and is not listed.
    Fingerprint,
    /// Neither: the setting is a label.
    Neither,
}

impl PartOf {
    pub(in crate::config) fn listing(self) -> bool {
        matches!(self, Self::Both | Self::Listing)
    }

    pub(in crate::config) fn fingerprint(self) -> bool {
        matches!(self, Self::Both | Self::Fingerprint)
    }
}

/// The keys of several groups, one after the other; `N` is their number.
pub(in crate::config) const fn join<const N: usize>(
    groups: &[&'static [&'static dyn Described]],
) -> [&'static dyn Described; N] {
    let mut joined = [groups[0][0]; N];
    let (mut next, mut group) = (0, 0);
    // A constant function can use neither iterators nor ranges.
    while group < groups.len() {
        let mut key = 0;
        while key < groups[group].len() {
            joined[next] = groups[group][key];
            next += 1;
            key += 1;
        }
        group += 1;
    }
    joined
}

/// Reads one key; if it is required and absent, that is reported.
pub(in crate::config) fn read<S: Shape>(table: &mut TableReader<'_>, key: &Key<S>) -> Slot<S::Value> {
    match key.fallback {
        Fallback::Required => table.key(key).required_slot(),
        Fallback::Value(_) | Fallback::Depends(_) => table.key(key).slot(),
    }
}

/// Marks one key as refused if an unknown key is probably a misspelt or misplaced form of it.
pub(in crate::config) fn refuse_suspected<T>(slot: &mut Slot<T>, path: &str, diagnostics: &Diagnostics) {
    if slot.is_absent() && diagnostics.is_suspected(path) {
        *slot = Slot::Refused;
    }
}

/// Adds path and span of one key if the file gives it.
pub(in crate::config) fn push_given<T>(
    slot: &Slot<T>,
    path: &'static str,
    all: &mut Vec<(&'static str, Range<usize>)>,
) {
    if let Some(given) = slot.given() {
        all.push((path, given.key.clone()));
    }
}

/// Overwrites one setting with the value of its key, if given.
pub(in crate::config) fn overlay<T: Clone>(slot: &Slot<T>, setting: &mut T) {
    if let Some(value) = slot.value() {
        *setting = value.clone();
    }
}

/// Adds the row of one setting, if it has a value.
pub(in crate::config) fn list<S: Written>(
    key: &Key<S>,
    path: &'static str,
    value: &S::Value,
    rows: &mut Vec<(&'static str, String)>,
) {
    if !key.shape.is_none(value) {
        rows.push((path, key.shape.toml(value)));
    }
}

/// Adds one setting to the fingerprint, if it has a value.
pub(in crate::config) fn identify<S: Written>(key: &Key<S>, value: &S::Value, identity: &mut Map<String, Value>) {
    if !key.shape.is_none(value) {
        identity.insert(key.name.to_owned(), key.shape.identity(value));
    }
}

/// Adds a table inside this one, unless nothing in it can change a result.
pub(in crate::config) fn identify_table(name: &str, inner: Map<String, Value>, identity: &mut Map<String, Value>) {
    if !inner.is_empty() {
        identity.insert(name.to_owned(), Value::Object(inner));
    }
}

/// Whether `condition` holds. The parameter's type lets the compiler infer the type of the closure's argument.
pub(in crate::config) fn holds<T>(settings: &T, condition: fn(&T) -> bool) -> bool {
    condition(settings)
}
