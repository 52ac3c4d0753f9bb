//! Pair and report as tables for a terminal.
use crate::{LearnedReport, PairInfo, Report, Status};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

/// An empty table.
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    table
}

/// A table of the given columns and rows, with every column but the first aligned to the right.
pub fn dynamic(columns: &[&str], rows: &[Vec<String>]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(columns);
    table.add_rows(rows);
    numbers_right(&mut table, 1);
    table
}

/// Aligns the columns from `from` on to the right.
pub fn numbers_right(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// The two models.
pub fn pair(pair: &PairInfo) -> Table {
    let mut table = table(["model", "id", "architecture", "layers loaded", "hidden", "vocabulary", "precision"]);
    for (name, model) in [("base", &pair.base), ("RLVR", &pair.rlvr)] {
        table.add_row([
            name.to_string(),
            model.id.clone(),
            model.architecture.clone(),
            format!("{} of {}", model.loaded_layers, model.decoder_layers),
            model.hidden.to_string(),
            model.vocabulary.to_string(),
            model.dtype.clone(),
        ]);
    }
    numbers_right(&mut table, 3);
    table
}

/// Ranking, entropies and divergences of each policy layer.
pub fn layers(report: &Report) -> Table {
    let measured =
        if report.layers.iter().any(|layer| layer.distance.is_some()) { "distance before" } else { "KL before" };
    let mut table =
        table(["layer", "residual", "ranked rows", "selected", "entropy min", "mean", "max", measured, "after"]);
    for layer in &report.layers {
        let entropy = |pick: fn(&crate::EntropySpread) -> f32| {
            layer.entropy.as_ref().map_or("-".into(), |spread| format!("{:.4}", pick(spread)))
        };
        let apart = |pick: fn(&crate::BeforeAfter) -> f32| {
            layer.distance.as_ref().or(layer.kl.as_ref()).map_or("-".into(), |apart| format!("{:.5}", pick(apart)))
        };
        table.add_row([
            layer.layer.to_string(),
            layer.edited_residual.to_string(),
            layer.ranked.to_string(),
            layer.selected.to_string(),
            entropy(|s| s.min),
            entropy(|s| s.mean),
            entropy(|s| s.max),
            apart(|a| a.before),
            apart(|a| a.after),
        ]);
    }
    numbers_right(&mut table, 0);
    table
}

/// How a delta was learned, in one line.
pub fn learned(learned: &LearnedReport, milliseconds: f64) -> String {
    let first = learned.losses.first().copied().unwrap_or(f64::NAN);
    format!(
        "learned by {} in {} passes ({milliseconds:.0} ms): loss {first:.3e} to {:.3e}, |delta| {:.3e} at residual[{}]; {}",
        learned.solver, learned.iterations, learned.final_loss, learned.delta_norm, learned.inject, learned.stop
    )
}

/// The result of replay, in one line.
pub fn status(report: &Report) -> String {
    let from = if report.cache_hits > 0 { ", from the cache" } else { "" };
    match report.status {
        Status::Replayed => format!(
            "replayed{from}: {} rows over {} policy layers, of {} visual rows in a prompt of {}",
            report.selected(),
            report.layers.len(),
            report.visual_rows,
            report.rows
        ),
        Status::Unchanged => format!("unchanged{from}: nothing was learned, the answer is the engine's own"),
        Status::NothingSelected => "nothing selected: the rule keeps no row, the answer is the engine's own".into(),
        Status::Passthrough => format!("not replayed: {}", report.reason.as_deref().unwrap_or("no reason given")),
    }
}
