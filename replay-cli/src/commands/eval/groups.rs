//! The summary of an evaluation by a key of the data set: by category, by source.
use std::collections::BTreeMap;

use replay_core::tables;
use serde::Serialize;
use serde_json::Value;

use crate::evaluation::{Item, Journal, Resampling, Summary, summarise};

/// The summaries of the prompts with each value of a key.
#[derive(Debug, Serialize)]
pub(super) struct Groups {
    key: String,
    groups: BTreeMap<String, Summary>,
}

impl Groups {
    /// The groups by `key`, or by `category` where the data set has it; `None` if no line has the key.
    pub(super) fn of(
        key: Option<&str>,
        items: &[Item],
        journal: &Journal,
        arms: &[&str],
        resampling: &Resampling,
    ) -> Option<Self> {
        let key = key.unwrap_or("category");
        let mut grouped: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for item in items {
            let value = match item.extra.get(key) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            grouped.entry(value).or_default().push(item.clone());
        }
        let summary = |items: &Vec<Item>| summarise(journal.records_of(items), arms, None, resampling);
        let groups: BTreeMap<_, _> = grouped.iter().map(|(value, items)| (value.clone(), summary(items))).collect();
        (!groups.is_empty()).then(|| Self { key: key.into(), groups })
    }

    pub(super) fn print(&self) {
        let Some(first) = self.groups.values().next() else { return };
        let mut columns = vec![self.key.as_str(), "prompts"];
        columns.extend(first.arms.iter().map(|arm| arm.name.as_str()));
        let rows = self.groups.iter().map(|(value, summary)| {
            let mut row =
                vec![value.clone(), summary.arms.iter().map(|arm| arm.prompts).max().unwrap_or(0).to_string()];
            row.extend(summary.arms.iter().map(|arm| {
                let pass = arm.pass_at.iter().find(|pass| pass.k == 1);
                pass.map_or("-".into(), |pass| {
                    format!("{:.3} [{:.3}, {:.3}]", pass.estimate.mean, pass.estimate.low, pass.estimate.high)
                })
            }));
            row
        });
        let rows: Vec<Vec<String>> = rows.collect();
        println!("pass@1 by {}\n{}\n", self.key, tables::dynamic(&columns, &rows));
    }
}
