//! Counts in the integer type of their setting.

use std::fmt::Display;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use serde::Serialize;
use serde_json::json;

use super::kind::{Diagnostic, Shape, Value};
use super::scalar::Integer;
use super::written::Written;

/// An integer within limits that is not negative, read as a `T`.
#[derive(Debug, Clone)]
pub(in crate::config) struct Count<T> {
    integer: Integer,
    read_as: PhantomData<T>,
}

impl<T> Count<T> {
    /// A count within limits; `i64::MAX` as upper limit means none.
    pub(in crate::config) const fn within(limits: RangeInclusive<i64>) -> Self {
        Self { integer: Integer(limits), read_as: PhantomData }
    }
}

/// An unsigned integer type. On a 32-bit machine a count that does not fit means "all".
pub(in crate::config) trait Unsigned: Copy + Display + Serialize {
    /// The count, or the largest value of the type.
    fn saturating(count: i64) -> Self;
}

macro_rules! unsigned {
    ($($type:ty),+) => {$(
        impl Unsigned for $type {
            fn saturating(count: i64) -> Self {
                Self::try_from(count).unwrap_or(Self::MAX)
            }
        }
    )+};
}

unsigned!(u32, u64, usize);

impl<T: Unsigned> Shape for Count<T> {
    type Value = T;

    fn read(&self, value: &Value<'_>) -> Result<T, Vec<Diagnostic>> {
        self.integer.read(value).map(T::saturating)
    }

    fn placeholder(&self) -> T {
        T::saturating(self.integer.placeholder())
    }

    fn expected(&self) -> String {
        self.integer.expected()
    }

    fn schema(&self) -> serde_json::Value {
        self.integer.schema()
    }
}

impl<T: Unsigned> Written for Count<T> {
    fn toml(&self, value: &T) -> String {
        value.to_string()
    }

    fn identity(&self, value: &T) -> serde_json::Value {
        json!(value)
    }
}
