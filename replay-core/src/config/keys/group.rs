//! The steps from a table of the file to effective settings, a listing and a fingerprint.
//!
//! The macro [`settings!`](super::settings::settings) implements [`Group`] with one call per key and step; the
//! functions below are what it calls.

use std::ops::Range;

use serde_json::{Map, Value};

use super::super::key::{Described, Fallback, Key};
use super::super::reader::{Session, Slot, TableReader};
use super::super::shape::{Shape, Written};

/// Settings that are declared key by key: a table of the file, or several keys of a table that set one field.
pub(in crate::config) trait Group: Sized {
    /// The keys as they stand in the file, before presets and defaults come in.
    type Slots: Slots;

    /// The keys, for the schema and the reference.
    const KEYS: &'static [&'static dyn Described];

    /// Reads the keys. A required key that is absent is reported.
    fn read(table: &mut TableReader<'_>) -> Self::Slots;

    /// What holds without any key: the default of each, or any value for a key that has none.
    fn initial() -> Self;

    /// Puts every key of the file over the value that holds without it.
    fn overlay(&mut self, slots: &Self::Slots);

    /// Adds the settings that matter, as path and TOML value, in the order of the declaration.
    fn list(&self, rows: &mut Vec<(&'static str, String)>);

    /// The settings that can change a result.
    fn identity(&self) -> Map<String, Value>;
}

/// The keys of a [`Group`] as they stand in the file.
pub(in crate::config) trait Slots {
    /// The table in which the keys stand.
    fn place(&self) -> &Place;

    /// Treats keys that were probably meant by a misspelt or misplaced one as given with a wrong value, so that
    /// nothing is concluded from their absence.
    fn refuse_suspected(&mut self, session: &Session);

    /// Path and place of each key that the file gives, without the tables inside this one.
    fn given(&self) -> Vec<(&'static str, Range<usize>)>;
}

/// Where a table stands in the file.
#[derive(Debug)]
pub(in crate::config) struct Place {
    /// Where something missing from the table is reported.
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

/// Marks one key as refused if an unknown key was probably meant to be it.
pub(in crate::config) fn refuse_suspected<T>(slot: &mut Slot<T>, path: &str, session: &Session) {
    if slot.is_absent() && session.is_suspected(path) {
        *slot = Slot::Refused;
    }
}

/// Adds path and place of one key if the file gives it.
pub(in crate::config) fn push_given<T>(
    slot: &Slot<T>,
    path: &'static str,
    all: &mut Vec<(&'static str, Range<usize>)>,
) {
    if let Some(given) = slot.given() {
        all.push((path, given.key.clone()));
    }
}

/// Puts the value of one key, if given, in the place of its setting.
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

/// Whether `condition` holds. The type of the parameter tells the compiler what the closure takes.
pub(in crate::config) fn holds<T>(settings: &T, condition: fn(&T) -> bool) -> bool {
    condition(settings)
}
