//! The top of the file: the name of the engine adapter.

use super::super::host::Host;
use super::super::key::{Fallback, Key};
use super::super::reader::{Given, Slot, TableReader};
use super::super::shape::Text;
use super::super::table::Table;

pub(super) const TABLE: Table = Table {
    path: "",
    meaning: "At the top of the file, before any table. The adapter may have a table of its own, named like it.",
    keys: &[&ADAPTER],
};

static ADAPTER: Key<Text> = Key {
    name: "adapter",
    shape: Text,
    fallback: Fallback::Required,
    meaning: "The engine adapter, by the name it is registered under.",
};

/// Reads the adapter's name. An absent or refused name has been reported.
pub(in crate::config) fn read(top: &mut TableReader<'_>) -> Slot<String> {
    let adapter = top.key(&ADAPTER).required_slot();
    match adapter.value().map(String::as_str) {
        // The adapter's table would have the name of a core table.
        Some("adapter" | "pair" | "replay" | "profiles") => {
            top.report("adapter", "the name of an engine adapter", None);
            Slot::Refused
        }
        _ => adapter,
    }
}

/// Reads the adapter's name from an engine's own configuration file, and accepts the engine's keys.
pub(in crate::config) fn read_in_host(top: &mut TableReader<'_>, host: &Host<'_>) -> Slot<String> {
    top.accept(host.keys);
    match top.key(&ADAPTER).slot() {
        Slot::Absent => Slot::Given(Given { value: host.adapter.to_owned(), key: 0..0, span: 0..0 }),
        Slot::Given(name) if name.value != host.adapter => {
            let expected = format!("{:?}, the adapter of this file's engine, or nothing", host.adapter);
            top.report("adapter", &expected, None);
            Slot::Refused
        }
        named => named,
    }
}
