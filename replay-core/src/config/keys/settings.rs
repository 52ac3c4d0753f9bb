//! The declaration of a table: one entry per key, from which everything else follows.
//!
//! ```text
//! settings! {
//!     table "replay.cache": "What is kept of a prompt for later ones.";
//!
//!     /// The struct that holds the effective values.
//!     pub struct Cache, read as CacheSlots {
//!         /// What the key is for: the help in the schema and the reference, and the documentation of the field.
//!         max_bytes: u64 {
//!             shape: Bytes { min: 0 },
//!             fallback: Fallback::Value("\"512MiB\""),
//!             part_of: PartOf::Listing,
//!         }
//!     }
//! }
//! ```
//!
//! - The name of the field is the name in the file, and its type is what the shape reads.
//! - `shape` says which values are valid; reader, messages, schema, reference, listing and fingerprint use it.
//! - `fallback` is what applies if the key is not given. A default is written as in the file and read with the shape.
//! - `part_of` says whether the setting is listed among the effective ones and whether it enters the fingerprint.
//! - `when` (optional) limits both to settings that match a condition.
//! - `note` (optional) is a second paragraph of documentation for callers of the library.
//!
//! Before the keys, `includes { field: Type }` names a field that several keys of this table set. After them,
//! `tables { name: Type }` names the tables inside this one. Both types implement [`Group`](super::group::Group).

/// One key of a declaration as a [`Key`](super::super::key::Key).
macro_rules! key {
    ($name:ident, $shape:expr, $fallback:expr, $($help:literal)+) => {
        $crate::config::key::Key {
            name: stringify!($name),
            shape: $shape,
            fallback: $fallback,
            // A doc comment of several lines: each begins with the space that follows the slashes.
            meaning: concat!($($help),+).trim_ascii_start(),
        }
    };
}

/// Declares a table of the file; see the documentation of this module.
macro_rules! settings {
    (
        table $path:literal: $about:expr;

        $(#[$attribute:meta])*
        pub struct $name:ident, read as $slots:ident {
            $(includes {
                $(#[$include_attribute:meta])*
                $include:ident: $include_type:ty $(,)?
            })?
            $(
                $(#[doc = $help:literal])+
                $key:ident: $type:ty {
                    shape: $shape:expr,
                    fallback: $fallback:expr,
                    part_of: $part_of:expr
                    $(, when: $when:expr)?
                    $(, note: $note:literal)?
                    $(,)?
                }
            )+
            $(tables {
                $(
                    $(#[$table_attribute:meta])*
                    $table:ident: $table_type:ty $({ when: $table_when:expr })?,
                )+
            })?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, schemars::JsonSchema)]
        pub struct $name {
            $($(#[$include_attribute])* pub $include: $include_type,)?
            $($(#[doc = $help])+ $(#[doc = ""] #[doc = $note])? pub $key: $type,)+
            $($($(#[$table_attribute])* pub $table: $table_type,)+)?
        }

        /// The table as given in the file.
        #[derive(Debug)]
        pub(in crate::config) struct $slots {
            place: $crate::config::keys::group::Place,
            $(pub(in crate::config) $include: <$include_type as $crate::config::keys::group::Group>::Slots,)?
            $(pub(in crate::config) $key: $crate::config::reader::Slot<$type>,)+
            $($(pub(in crate::config) $table: <$table_type as $crate::config::keys::group::Group>::Slots,)+)?
        }

        const _: () = {
            use $crate::config::key::Described;
            use $crate::config::keys::group::{self, Group, Place, Slots};
            use $crate::config::keys::settings::key;
            use $crate::config::reader::{Diagnostics, TableReader};

            const OWN_KEYS: &[&dyn Described] = &[$(&key!($key, $shape, $fallback, $($help)+),)+];
            const COUNT: usize = OWN_KEYS.len() $(+ <$include_type as Group>::KEYS.len())?;

            impl $name {
                /// The declaration of the table.
                pub(in crate::config) const TABLE: $crate::config::table::Table =
                    $crate::config::table::Table { path: $path, meaning: $about, keys: <Self as Group>::KEYS };
            }

            impl Group for $name {
                type Slots = $slots;

                const KEYS: &'static [&'static dyn Described] =
                    &group::join::<COUNT>(&[$(<$include_type as Group>::KEYS,)? OWN_KEYS]);

                fn read(table: &mut TableReader<'_>) -> $slots {
                    $slots {
                        place: Place::of(table),
                        $($include: <$include_type as Group>::read(table),)?
                        $($key: group::read(table, &key!($key, $shape, $fallback, $($help)+)),)+
                        $($($table: table.table_or_empty(stringify!($table), <$table_type as Group>::read),)+)?
                    }
                }

                fn initial() -> Self {
                    Self {
                        $($include: <$include_type as Group>::initial(),)?
                        $($key: key!($key, $shape, $fallback, $($help)+).initial(),)+
                        $($($table: <$table_type as Group>::initial(),)+)?
                    }
                }

                fn overlay(&mut self, slots: &$slots) {
                    $(self.$include.overlay(&slots.$include);)?
                    $(group::overlay(&slots.$key, &mut self.$key);)+
                    $($(self.$table.overlay(&slots.$table);)+)?
                }

                fn list(&self, rows: &mut Vec<(&'static str, String)>) {
                    $(self.$include.list(rows);)?
                    $(if $part_of.listing() $(&& group::holds(self, $when))? {
                        let path = concat!($path, ".", stringify!($key));
                        group::list(&key!($key, $shape, $fallback, $($help)+), path, &self.$key, rows);
                    })+
                    $($(if true $(&& group::holds(self, $table_when))? {
                        self.$table.list(rows);
                    })+)?
                }

                fn identity(&self) -> serde_json::Map<String, serde_json::Value> {
                    let mut identity = serde_json::Map::new();
                    $(identity.extend(self.$include.identity());)?
                    $(if $part_of.fingerprint() $(&& group::holds(self, $when))? {
                        group::identify(&key!($key, $shape, $fallback, $($help)+), &self.$key, &mut identity);
                    })+
                    $($(if true $(&& group::holds(self, $table_when))? {
                        group::identify_table(stringify!($table), self.$table.identity(), &mut identity);
                    })+)?
                    identity
                }
            }

            impl Slots for $slots {
                fn place(&self) -> &Place {
                    &self.place
                }

                fn refuse_suspected(&mut self, diagnostics: &Diagnostics) {
                    $(self.$include.refuse_suspected(diagnostics);)?
                    $(group::refuse_suspected(&mut self.$key, concat!($path, ".", stringify!($key)), diagnostics);)+
                    $($(self.$table.refuse_suspected(diagnostics);)+)?
                }

                fn given(&self) -> Vec<(&'static str, std::ops::Range<usize>)> {
                    let mut all = Vec::new();
                    $(all.extend(self.$include.given());)?
                    $(group::push_given(&self.$key, concat!($path, ".", stringify!($key)), &mut all);)+
                    all
                }
            }
        };
    };
}

pub(in crate::config) use {key, settings};
