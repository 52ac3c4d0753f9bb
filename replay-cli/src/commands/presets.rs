//! `replay presets` and `replay schema`
use replay_core::config::{Preset, json_schema};

pub(crate) fn presets() -> anyhow::Result<()> {
    for (index, preset) in Preset::ALL.iter().enumerate() {
        if index > 0 {
            println!();
        }
        println!("{}", preset.name());
        println!("  {}", preset.source());
        for (key, value) in preset.describe() {
            println!("  {key} = {value}");
        }
    }
    Ok(())
}

pub(crate) fn schema() -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(&json_schema())?);
    Ok(())
}
