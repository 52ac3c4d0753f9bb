//! All tables of the core.

use super::super::table::Table;
use super::adapter;
use super::cache::Cache;
use super::gate::Gate;
use super::learned::Learned;
use super::pair::Pair;
use super::rank::Rank;
use super::replay::Replay;

/// The tables that the core knows; a table comes before the tables inside it.
pub(in crate::config) const TABLES: [Table; 7] =
    [adapter::TABLE, Pair::TABLE, Replay::TABLE, Rank::TABLE, Learned::TABLE, Gate::TABLE, Cache::TABLE];

/// The path that a key or table of this name has, if the core knows the name. The core's names are unique.
pub(in crate::config) fn home_of(name: &str) -> Option<String> {
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
