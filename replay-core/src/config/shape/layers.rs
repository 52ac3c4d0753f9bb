//! The policy layers: a number, or an ascending list.

use std::cmp::Ordering;

use serde_json::json;
use toml::de::DeValue;

use super::super::layers::{Layers, MAX_LAYERS};
use super::kind::{Diagnostic, Shape, Value};
use super::list::List;
use super::scalar::Integer;
use super::written::Written;

const COUNT: Integer = Integer(1..=MAX_LAYERS as i64);
const INDEX: Integer = Integer(0..=MAX_LAYERS as i64 - 1);

/// A number of layers, counted from the first, or an ascending list of layer numbers.
#[derive(Debug, Clone, Copy)]
pub struct LayerSet;

impl Shape for LayerSet {
    type Value = Layers;

    fn read(&self, value: &Value<'_>) -> Result<Layers, Vec<Diagnostic>> {
        match value.get_ref() {
            DeValue::Array(items) if !items.is_empty() => list(value),
            DeValue::Integer(_) => match COUNT.read(value) {
                Ok(count) => Ok(Layers::First(index(count))),
                Err(_) => Err(vec![Diagnostic::of(self, value)]),
            },
            _ => Err(vec![Diagnostic::of(self, value)]),
        }
    }

    fn placeholder(&self) -> Layers {
        Layers::First(1)
    }

    fn expected(&self) -> String {
        format!(
            "a number of layers from 1 to {MAX_LAYERS}, or a non-empty ascending list of layer numbers such as [0, 1, 5]"
        )
    }

    fn schema(&self) -> serde_json::Value {
        let mut items = List(INDEX).schema();
        items["uniqueItems"] = json!(true);
        json!({ "anyOf": [COUNT.schema(), items] })
    }
}

impl Written for LayerSet {
    fn toml(&self, layers: &Layers) -> String {
        match layers {
            Layers::First(count) => count.to_string(),
            Layers::List(list) => format!("{list:?}"),
        }
    }

    /// A list of the first layers has the same identity as their number.
    fn identity(&self, layers: &Layers) -> serde_json::Value {
        match layers {
            Layers::List(list) if !list.iter().copied().eq(0..list.len()) => json!(list),
            Layers::List(_) | Layers::First(_) => json!(layers.count()),
        }
    }
}

fn list(value: &Value<'_>) -> Result<Layers, Vec<Diagnostic>> {
    let (items, mut diagnostics) = List(INDEX).items(value);
    let mut sorted: Vec<i64> = items.iter().map(|(layer, _)| *layer).collect();
    sorted.sort_unstable();
    sorted.dedup();
    for pair in items.windows(2) {
        let [(before, _), (after, place)] = pair else {
            continue;
        };
        let found = match after.cmp(before) {
            Ordering::Greater => continue,
            Ordering::Equal => format!("layer {after} twice"),
            Ordering::Less => format!("layer {after} after {before}"),
        };
        diagnostics.push(
            Diagnostic::new(place.span(), "each layer once, in ascending order", found)
                .hint(format!("did you mean {sorted:?}?")),
        );
    }
    if diagnostics.is_empty() {
        let layers = items.into_iter().map(|(layer, _)| index(layer));
        Ok(Layers::List(layers.collect()))
    } else {
        Err(diagnostics)
    }
}

/// Converts a layer number without loss: the shapes above admit 0 to [`MAX_LAYERS`] only.
fn index(layer: i64) -> usize {
    usize::try_from(layer).unwrap_or_default()
}
