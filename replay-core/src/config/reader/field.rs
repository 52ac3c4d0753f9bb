//! The result of looking up one key: absent, refused, or given.

use std::ops::Range;

use super::super::shape::Diagnostic;
use super::diagnostics::Diagnostics;

/// The result of looking up a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot<T> {
    /// The file does not have the key.
    Absent,
    /// The file has the key with a wrong value, or a wrong value instead of its table. Either has been reported.
    Refused,
    /// The file has the key.
    Given(Given<T>),
}

/// A value that the file gives, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// The bytes of the key.
    pub key: Range<usize>,
    /// The bytes of the value.
    pub span: Range<usize>,
}

impl<T> Slot<T> {
    /// The value and its place, if given.
    #[must_use]
    pub fn given(&self) -> Option<&Given<T>> {
        match self {
            Self::Given(given) => Some(given),
            Self::Absent | Self::Refused => None,
        }
    }

    /// The value, if given.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        self.given().map(|given| &given.value)
    }

    /// Whether the file does not have the key.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Applies `convert` to the value, if given.
    #[must_use]
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Slot<U> {
        match self {
            Self::Absent => Slot::Absent,
            Self::Refused => Slot::Refused,
            Self::Given(given) => Slot::Given(Given { value: convert(given.value), key: given.key, span: given.span }),
        }
    }
}

/// A key that was looked up, before the caller says what its absence means.
#[derive(Debug)]
#[must_use = "a field does nothing until `required`, `optional`, `or` or `slot` is called"]
pub struct Field<'a, T> {
    pub(super) slot: Slot<T>,
    pub(super) placeholder: T,
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) path: String,
    /// The problem to report if the key is required and absent.
    pub(super) absence: Diagnostic,
}

impl<T> Field<'_, T> {
    /// The value of a required key: its absence is reported as a problem.
    ///
    /// If the key is absent or refused, the problem has been recorded and the result is a placeholder, with which
    /// reading goes on. The placeholder never reaches a caller, because the problem makes the whole reading an error.
    pub fn required(self) -> T {
        if self.slot.is_absent() {
            self.diagnostics.report_absence(&self.path, self.absence);
        }
        match self.slot {
            Slot::Given(given) => given.value,
            Slot::Absent | Slot::Refused => self.placeholder,
        }
    }

    /// The value of a required key with its place: its absence is reported as a problem.
    pub(in crate::config) fn required_slot(self) -> Slot<T> {
        if self.slot.is_absent() {
            self.diagnostics.report_absence(&self.path, self.absence);
        }
        self.slot
    }

    /// The value, or `None` if the key is absent or refused.
    pub fn optional(self) -> Option<T> {
        match self.slot {
            Slot::Given(given) => Some(given.value),
            Slot::Absent | Slot::Refused => None,
        }
    }

    /// The value, or a default if the key is absent or refused.
    pub fn or(self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    /// The value with its place, for checks that concern several keys.
    pub fn slot(self) -> Slot<T> {
        self.slot
    }
}

impl<'a, T> Field<'a, T> {
    /// Applies `convert` to the value, and to the placeholder for a refused one, so `convert` must accept any value of
    /// the shape.
    pub fn map<U>(self, convert: impl Fn(T) -> U) -> Field<'a, U> {
        Field {
            slot: self.slot.map(&convert),
            placeholder: convert(self.placeholder),
            diagnostics: self.diagnostics,
            path: self.path,
            absence: self.absence,
        }
    }
}
