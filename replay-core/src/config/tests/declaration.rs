//! A table that is declared here and nowhere else: what follows from a declaration, without another line.

#![expect(unreachable_pub, reason = "the macros declare public types, and nothing exports those of a test")]

use serde_json::json;
use toml::de::DeTable;

use super::super::key::Fallback;
use super::super::keys::group::{Group, PartOf, Slots};
use super::super::keys::settings::settings;
use super::super::named_enum::named_enum;
use super::super::reader::{Diagnostics, TableReader};
use super::super::reference::table_markdown;
use super::super::schema::table_schema;
use super::super::shape::{Bytes, Choice, Count, Flag};

settings! {
    table "extra": "A table of this test.";

    /// Settings of this test.
    pub struct Extra, read as ExtraSlots {
        /// How many
        /// there are.
        count: u32 {
            shape: Count::<u32>::within(1..=9),
            fallback: Fallback::Value("3"),
            part_of: PartOf::Both,
            note: "For callers of the library.",
        }
        /// How large they are.
        size: u64 {
            shape: Bytes { min: 0 },
            fallback: Fallback::Value("\"2KiB\""),
            part_of: PartOf::Listing,
        }
        /// Which colour they have.
        colour: Colour {
            shape: Choice(Colour::NAMED),
            fallback: Fallback::Required,
            part_of: PartOf::Fingerprint,
        }
        /// Whether red is bright.
        bright: bool {
            shape: Flag,
            fallback: Fallback::Value("false"),
            part_of: PartOf::Both,
            when: |extra| extra.colour == Colour::Red,
        }
        tables {
            /// The table inside it.
            inner: Inner,
        }
    }
}

settings! {
    table "extra.inner": "The table inside it.";

    /// A table without a setting that can change a result.
    pub struct Inner, read as InnerSlots {
        /// A label.
        label: u64 {
            shape: Count::<u64>::within(0..=9),
            fallback: Fallback::Depends("nothing"),
            part_of: PartOf::Neither,
        }
    }
}

named_enum! {
    /// A colour.
    pub enum Colour {
        /// Blue.
        Blue = "blue",
        /// Red.
        Red = "red",
    }
}

/// The settings of a file, or its problems.
fn read(source: &str) -> Result<Extra, String> {
    let tree = DeTable::parse(source).expect("TOML");
    let mut diagnostics = Diagnostics::new("t.toml", source, |_| None);
    let mut top = TableReader::new(&mut diagnostics, Some(tree.get_ref()), "", 0..0);
    let mut slots = top.table_or_empty("extra", Extra::read);
    top.finish();
    slots.refuse_suspected(&diagnostics);
    let mut extra = Extra::initial();
    extra.overlay(&slots);
    let error = diagnostics.finish(Vec::new());
    if error.problems.is_empty() { Ok(extra) } else { Err(error.to_string()) }
}

fn rows(extra: &Extra) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    extra.list(&mut rows);
    rows
}

#[test]
fn reader_and_defaults_follow_from_the_declaration() {
    let extra = read("extra.colour = \"blue\"").unwrap();
    let inner = Inner { label: 0 };
    assert_eq!(extra, Extra { count: 3, size: 2048, colour: Colour::Blue, bright: false, inner });
    let extra = read("[extra]\ncount = 4\nsize = 5\ncolour = \"red\"\nbright = true\ninner.label = 6").unwrap();
    let inner = Inner { label: 6 };
    assert_eq!(extra, Extra { count: 4, size: 5, colour: Colour::Red, bright: true, inner });
}

#[test]
fn messages_follow_from_the_declaration() {
    assert_eq!(
        read("[extra]\ncount = 10\nsizes = 1\n").unwrap_err(),
        "t.toml:1:2: extra.colour: expected \"blue\" or \"red\", found nothing; add `colour = ...` below `[extra]`\n\
         t.toml:2:9: extra.count: expected an integer from 1 to 9, found integer 10\n\
         t.toml:3:1: extra.sizes: expected `count`, `size`, `colour`, `bright` or `inner`, found unknown key `sizes`; \
         did you mean `size`?"
    );
    // A misspelt required key is one mistake, not two.
    assert_eq!(read("[extra]\ncolor = \"red\"").unwrap_err().lines().count(), 1);
}

#[test]
fn given_keys_are_known_with_their_places() {
    let tree = DeTable::parse("[extra]\nsize = 5\ncount = \"no\"").unwrap();
    let mut diagnostics = Diagnostics::new("t.toml", "", |_| None);
    let mut top = TableReader::new(&mut diagnostics, Some(tree.get_ref()), "", 0..0);
    let slots = top.table_or_empty("extra", Extra::read);
    assert_eq!(slots.given(), [("extra.size", 8..12)]);
    assert!(slots.place().present);
    assert!(!slots.inner.place().present);
}

#[test]
fn listing_follows_from_the_declaration() {
    let blue = read("extra.colour = \"blue\"").unwrap();
    assert_eq!(rows(&blue), [("extra.count", "3".to_owned()), ("extra.size", "\"2KiB\"".to_owned())]);
    let red = read("extra.colour = \"red\"").unwrap();
    assert_eq!(rows(&red).last(), Some(&("extra.bright", "false".to_owned())));
}

#[test]
fn fingerprint_follows_from_the_declaration() {
    let identity = |source: &str| serde_json::Value::Object(read(source).unwrap().identity());
    assert_eq!(identity("extra.colour = \"blue\""), json!({ "count": 3, "colour": "blue" }));
    assert_eq!(identity("extra = { colour = \"blue\", size = 1 }"), identity("extra.colour = \"blue\""));
    let red = json!({ "count": 3, "colour": "red", "bright": false });
    assert_eq!(identity("extra.colour = \"red\""), red);
}

#[test]
fn schema_and_reference_follow_from_the_declaration() {
    let schema = table_schema(&Extra::TABLE);
    assert_eq!(schema["required"], json!(["colour"]));
    let count =
        json!({ "type": "integer", "minimum": 1, "maximum": 9, "default": 3, "description": "How many there are." });
    assert_eq!(schema["properties"]["count"], count);
    assert_eq!(schema["properties"]["size"]["default"], "2KiB");
    assert_eq!(schema["properties"]["colour"]["enum"], json!(Colour::ALL));
    assert_eq!(table_schema(&Inner::TABLE)["properties"]["label"]["default"], json!(null));
    let page = table_markdown(&Extra::TABLE);
    assert!(page.contains("## `[extra]`\n\nA table of this test.\n"), "{page}");
    assert!(page.contains("| `count` | an integer from 1 to 9 | `3` | How many there are. |"), "{page}");
}
