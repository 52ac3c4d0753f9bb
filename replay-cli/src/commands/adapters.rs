//! `replay adapters`
use replay_core::registry;

use replay_core::tables;

pub(crate) fn adapters() -> anyhow::Result<()> {
    let mut table = tables::table(["adapter", "engine", "architecture", "strategies"]);
    for adapter in registry::adapters()? {
        for architecture in adapter.architectures() {
            table.add_row([adapter.name(), adapter.engine(), architecture.name, &architecture.strategies.join(", ")]);
        }
    }
    println!("{table}");
    Ok(())
}
