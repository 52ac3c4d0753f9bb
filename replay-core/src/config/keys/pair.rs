//! The top of the file, and the pair of models.

use super::super::key::{Fallback, Key};
use super::super::shape::Text;
use super::super::table::Table;

pub(super) const TOP_OF_FILE: Table = Table {
    path: "",
    meaning: "At the top of the file, before any table. The adapter may have a table of its own, named like it.",
    keys: &[&ADAPTER],
};

pub(in crate::config) static ADAPTER: Key<Text> = Key {
    name: "adapter",
    shape: Text,
    fallback: Fallback::Required,
    meaning: "The engine adapter, by the name it is registered under.",
};

pub(super) const TABLE: Table = Table {
    path: "pair",
    meaning: "The two models. Hub id or directory; a relative directory counts from the folder of this file.",
    keys: &[&RLVR, &BASE],
};

pub(in crate::config) static RLVR: Key<Text> = Key {
    name: "rlvr",
    shape: Text,
    fallback: Fallback::Required,
    meaning: "The post-trained model: the one that is served.",
};

pub(in crate::config) static BASE: Key<Text> = Key {
    name: "base",
    shape: Text,
    fallback: Fallback::Required,
    meaning: "The model it was trained from. The same as `rlvr` is allowed and must change nothing: a self-test.",
};
