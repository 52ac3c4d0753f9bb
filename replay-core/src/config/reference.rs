//! The reference page of the file, generated from the declaration of keys that the reader uses.

use std::fmt::Write;

use super::keys::{Fallback, Preset, TABLES};
use super::schema::PROFILES;
use super::table::Table;

const TITLE: &str = "# Configuration reference

Generated; do not edit. \"Without it\" is what holds without a preset; with a preset, its value holds.
";

/// All keys and presets, in Markdown.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = String::from(TITLE);
    for table in &TABLES {
        page.push('\n');
        page.push_str(&table_markdown(table));
    }
    push_line(&mut page, format_args!("\n## `[profiles.NAME]`\n\n{PROFILES}\n"));
    page.push_str(&presets());
    page
}

/// The keys of one table, in Markdown: for an adapter that declares the keys of its own.
#[must_use]
pub fn table_markdown(table: &Table) -> String {
    let title = match table.path {
        "" => "Top of the file".to_owned(),
        path => format!("`[{path}]`"),
    };
    let mut page = format!("## {title}\n\n{}\n\n", table.meaning);
    page.push_str("| key | value | without it | meaning |\n|---|---|---|---|\n");
    for key in table.keys {
        let fallback = match key.fallback() {
            Fallback::Required => "required".to_owned(),
            Fallback::Value(value) => format!("`{value}`"),
            Fallback::Depends(words) => words.to_owned(),
        };
        let cells = [key.expected(), fallback, key.meaning().to_owned()].map(|text| cell(&text));
        push_line(&mut page, format_args!("| `{}` | {} |", key.name(), cells.join(" | ")));
    }
    page
}

fn presets() -> String {
    let mut page = String::from("## Presets\n\nWhat a preset sets; every key of the file overrides it.\n\n");
    let listings: Vec<_> = Preset::ALL.iter().map(|preset| preset.describe()).collect();
    let names = Preset::ALL.iter().map(|preset| format!("`{preset}`"));
    let names: Vec<String> = names.collect();
    push_line(&mut page, format_args!("| key | {} |", names.join(" | ")));
    push_line(&mut page, format_args!("|---|{}", "---|".repeat(names.len())));
    // A strategy's own settings appear in some listings only; the order of the file is that of the tables.
    for table in &TABLES {
        for key in table.keys {
            let path = format!("{}.{}", table.path, key.name());
            let value = |listing: &Vec<(&str, String)>| {
                let found = listing.iter().find(|(name, _)| *name == path);
                found.map(|(_, value)| cell(&format!("`{value}`")))
            };
            let cells: Vec<_> = listings.iter().map(value).collect();
            if cells.iter().any(Option::is_some) {
                let cells: Vec<String> = cells.into_iter().map(Option::unwrap_or_default).collect();
                push_line(&mut page, format_args!("| `{path}` | {} |", cells.join(" | ")));
            }
        }
    }
    page.push('\n');
    for preset in Preset::ALL {
        push_line(&mut page, format_args!("- `{preset}`: {}", preset.source()));
    }
    page
}

fn push_line(page: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{line}");
}

/// Escapes the bars of a text, which would end its table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
