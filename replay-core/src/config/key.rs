//! The declaration of a key, from which the reader, the JSON schema and the reference page are derived.

use toml::de::DeValue;

use super::shape::Shape;

/// A key of a table: its name, what its value may be, and what it is for.
///
/// An adapter may describe the keys of its own table the same way, read them with
/// [`TableReader::key`](super::reader::TableReader::key), and put them into the schema and the reference with
/// [`Table`](super::Table).
#[derive(Debug, Clone)]
pub struct Key<S> {
    /// The name in the file.
    pub name: &'static str,
    /// What the value may be.
    pub shape: S,
    /// What applies if the file does not give the key.
    pub fallback: Fallback,
    /// What the key is for, in one or two sentences.
    pub meaning: &'static str,
}

/// What applies if a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing: the file is refused.
    Required,
    /// This value, written as in the file.
    Value(&'static str),
    /// A default that depends on other settings, described in words.
    Depends(&'static str),
}

impl<S: Shape> Key<S> {
    /// The default, or any value of this shape if there is none.
    ///
    /// # Panics
    ///
    /// If the default is not TOML of this shape: a mistake in the declaration, which a test finds.
    pub(super) fn initial(&self) -> S::Value {
        let Fallback::Value(text) = self.fallback else {
            return self.shape.placeholder();
        };
        let value = DeValue::parse(text).unwrap_or_else(|error| panic!("default of `{}`: {error}", self.name));
        self.shape.read(&value).unwrap_or_else(|_| panic!("default of `{}`: {}", self.name, self.shape.expected()))
    }
}

/// A key as the schema and the reference see it, whatever its value may be.
pub trait Described: Sync {
    /// The name in the file.
    fn name(&self) -> &'static str;
    /// What the value may be, in words.
    fn expected(&self) -> String;
    /// What applies if the file does not give the key.
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
