//! Methods for the kinds of value that adapters commonly read.

use std::ops::{Bound, RangeBounds, RangeInclusive};

use super::super::key::Key;
use super::super::shape::{Bytes, Choice, Flag, Integer, List, Number, Shape, Text};
use super::field::Field;
use super::table::TableReader;

impl TableReader<'_> {
    /// A key with its description; see [`Key`].
    pub fn key<S: Shape>(&mut self, key: &Key<S>) -> Field<'_, S::Value> {
        self.field(key.name, &key.shape)
    }

    /// A non-empty string.
    pub fn string(&mut self, key: &str) -> Field<'_, String> {
        self.field(key, &Text)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &str) -> Field<'_, bool> {
        self.field(key, &Flag)
    }

    /// An integer within limits; `i64::MAX` as upper limit means none.
    pub fn integer(&mut self, key: &str, limits: RangeInclusive<i64>) -> Field<'_, i64> {
        self.field(key, &Integer(limits))
    }

    /// A finite number within limits.
    pub fn number(&mut self, key: &str, limits: impl RangeBounds<f64>) -> Field<'_, f64> {
        let owned = |bound: Bound<&f64>| bound.cloned();
        let shape = Number { what: "a number", low: owned(limits.start_bound()), high: owned(limits.end_bound()) };
        self.field(key, &shape)
    }

    /// One of several names, each standing for a value.
    ///
    /// # Panics
    ///
    /// If there is no name to choose from.
    pub fn choice<T: Clone>(&mut self, key: &str, names: &[(&str, T)]) -> Field<'_, T> {
        self.field(key, &Choice(names))
    }

    /// An amount of memory: `"512MiB"`, or a number of bytes.
    pub fn bytes(&mut self, key: &str) -> Field<'_, u64> {
        self.field(key, &Bytes { min: 0 })
    }

    /// A non-empty list with items of one shape.
    pub fn list<S: Shape>(&mut self, key: &str, item: S) -> Field<'_, Vec<S::Value>> {
        self.field(key, &List(item))
    }
}
