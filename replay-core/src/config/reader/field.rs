//! One key that was looked up: absent, refused, or given.

use std::ops::Range;

use super::super::shape::Mismatch;
use super::session::Session;

/// What became of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot<T> {
    /// The file does not have the key.
    Absent,
    /// The file has the key with a wrong value, or a wrong value instead of its table. Either has been reported.
    Refused,
    /// The file has the key.
    Given(Given<T>),
}

/// A value that was given, with its place.
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

/// A key that was looked up, before it is decided what its absence means.
#[derive(Debug)]
#[must_use = "a field does nothing until `required`, `optional`, `or` or `slot` is called"]
pub struct Field<'a, T> {
    pub(super) slot: Slot<T>,
    pub(super) placeholder: T,
    pub(super) session: &'a mut Session,
    pub(super) path: String,
    /// What to report if the key is needed and absent.
    pub(super) absence: Mismatch,
}

impl<T> Field<'_, T> {
    /// The value; its absence is a problem.
    ///
    /// If it is absent or refused, the problem has been recorded and the result is a placeholder to go on with: it
    /// never reaches a caller, because the problem turns the whole reading into an error.
    pub fn required(self) -> T {
        if self.slot.is_absent() {
            self.session.report_absence(&self.path, self.absence);
        }
        match self.slot {
            Slot::Given(given) => given.value,
            Slot::Absent | Slot::Refused => self.placeholder,
        }
    }

    /// The value with its place; its absence is a problem.
    pub(in crate::config) fn required_slot(self) -> Slot<T> {
        if self.slot.is_absent() {
            self.session.report_absence(&self.path, self.absence);
        }
        self.slot
    }

    /// The value, or nothing.
    pub fn optional(self) -> Option<T> {
        match self.slot {
            Slot::Given(given) => Some(given.value),
            Slot::Absent | Slot::Refused => None,
        }
    }

    /// The value, or a default.
    pub fn or(self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    /// The value with its place, for checks that concern several keys.
    pub fn slot(self) -> Slot<T> {
        self.slot
    }
}

impl<'a, T> Field<'a, T> {
    /// Applies `convert` to the value, and to the placeholder that stands in for a refused one: it must accept any
    /// value of the kind that was asked for.
    pub fn map<U>(self, convert: impl Fn(T) -> U) -> Field<'a, U> {
        Field {
            slot: self.slot.map(&convert),
            placeholder: convert(self.placeholder),
            session: self.session,
            path: self.path,
            absence: self.absence,
        }
    }
}
