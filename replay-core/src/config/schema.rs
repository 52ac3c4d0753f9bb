//! The JSON schema of the file, for editors that complete and check TOML.
//!
//! It is generated from the declaration of keys that the reader uses. Constraints that a schema cannot express, such as
//! one list item per policy layer, are checked by the reader only.

use serde_json::{Map, Value, json};

use super::keys::{Fallback, Group, Rule, TABLES};
use super::table::Table;

pub(super) const PROFILES: &str = "Variants that a request can ask for by name. `[profiles.NAME]` has the keys of `[replay]`; whatever it does \
     not say is as there. `positions`, `layers` and everything else may differ; the models are the same.";

/// The JSON schema of the file, with a table of any content for the adapter `mistralrs`.
#[must_use]
pub fn json_schema() -> Value {
    let any = json!({
        "type": "object",
        "description": "The adapter's own table.",
        "additionalProperties": true,
    });
    json_schema_with(&[("mistralrs", any)])
}

/// The JSON schema of the file, with the tables of the given adapters: name and schema of each.
#[must_use]
pub fn json_schema_with(adapters: &[(&str, Value)]) -> Value {
    let mut schema = nested("");
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Activation Replay");
    schema["description"] = json!("The file that turns Activation Replay on.");
    for (name, table) in adapters {
        schema["properties"][*name] = table.clone();
    }
    // The order must not depend on whether some other crate made serde_json keep the order of insertion.
    schema.sort_all_objects();
    schema
}

/// The JSON schema of one table: for an adapter that declares the keys of its own.
#[must_use]
pub fn table_schema(table: &Table) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in table.keys {
        let mut schema = key.schema();
        schema["description"] = json!(key.meaning());
        match key.fallback() {
            Fallback::Required => required.push(key.name()),
            Fallback::Value(toml) => {
                if let Some(default) = json_of(toml) {
                    schema["default"] = default;
                }
            }
            Fallback::Depends(_) => {}
        }
        properties.insert(key.name().to_owned(), schema);
    }
    json!({
        "type": "object",
        "description": table.meaning,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The schema of a table of the core with the tables inside it.
fn nested(path: &str) -> Value {
    let Some(table) = TABLES.iter().find(|table| table.path == path) else {
        return json!(false);
    };
    let mut schema = table_schema(table);
    for inner in &TABLES {
        let (parent, name) = inner.path.rsplit_once('.').unwrap_or(("", inner.path));
        if parent == path && !name.is_empty() {
            schema["properties"][name] = nested(inner.path);
        }
    }
    match path {
        "" => {
            schema["required"] = json!(["adapter", "pair", "replay"]);
            // A profile has the keys of `[replay]` and requires none of them: it inherits what it leaves out.
            let mut profile = nested("replay");
            if let Some(profile) = profile.as_object_mut() {
                profile.remove("anyOf");
            }
            schema["properties"]["profiles"] = json!({
                "type": "object",
                "description": PROFILES,
                "additionalProperties": profile,
            });
        }
        "replay" => schema["anyOf"] = json!([required("preset"), required("strategy")]),
        "replay.rank" => {
            let rules: Vec<Value> = Rule::KEYS.iter().map(|key| required(key.name())).collect();
            let mut alternatives = rules.clone();
            alternatives.push(json!({ "not": { "anyOf": rules } }));
            schema["oneOf"] = json!(alternatives);
        }
        _ => {}
    }
    schema
}

fn required(key: &str) -> Value {
    json!({ "required": [key] })
}

/// A value written as TOML, as JSON. Defaults are booleans, numbers and plain strings, which JSON writes alike.
fn json_of(toml: &str) -> Option<Value> {
    serde_json::from_str(toml).ok()
}
