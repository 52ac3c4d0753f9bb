//! What an analysis says about the gate.
use crate::analysis::{Analysis, GateCalibration, Spread, calibrate};
use crate::page::TableData;

/// The calibration at each residual.
pub(super) fn calibrated(wanted: &Analysis, against: Option<&Analysis>) -> Vec<GateCalibration> {
    let others = |residual: usize| {
        let mut drifts = against.into_iter().flat_map(Analysis::text_drift);
        drifts.find(|(other, _)| *other == residual).map_or(&[][..], |(_, drift)| drift)
    };
    wanted.text_drift().filter_map(|(residual, drift)| calibrate(residual, drift, others(residual))).collect()
}

pub(super) fn table(gate: &[GateCalibration]) -> TableData {
    let compared = gate.iter().any(|calibration| calibration.others.is_some());
    let mut columns = vec!["residual", "drift 5 %", "median", "95 %"];
    if compared {
        columns.extend(["against 5 %", "median", "95 %", "drift_below", "replayed", "kept out"]);
    }
    let rows = gate.iter().map(|calibration| {
        let mut row = vec![calibration.residual.to_string()];
        let mut push =
            |spread: Spread| row.extend([spread.low, spread.median, spread.high].map(|drift| format!("{drift:.4}")));
        push(calibration.wanted);
        if let Some(others) = calibration.others {
            push(others);
            let values = [(calibration.drift_below, 4), (calibration.replayed, 3), (calibration.kept_out, 3)];
            row.extend(values.map(|(value, digits)| value.map_or("-".into(), |value| format!("{value:.digits$}"))));
        }
        row
    });
    TableData {
        title: "drift of the text rows, |rlvr - base| / |base|, a mean for each prompt: what replay.gate measures"
            .into(),
        columns: columns.into_iter().map(String::from).collect(),
        rows: rows.collect(),
    }
}

/// The gate that parts the two data sets best, as lines of a configuration; nothing without a second set.
pub(super) fn proposal(gate: &[GateCalibration]) -> Vec<String> {
    let parted =
        |calibration: &&GateCalibration| calibration.replayed.zip(calibration.kept_out).map_or(0.0, |(a, b)| a + b);
    // Of equals, the first: its passes are the shortest.
    let best = gate.iter().rev().max_by(|a, b| parted(a).total_cmp(&parted(b)));
    let Some((best, drift_below)) = best.and_then(|best| Some((best, best.drift_below?))) else { return Vec::new() };
    let percent = |share: Option<f64>| 100.0 * share.unwrap_or_default();
    vec![
        format!(
            "for a gate that replays {:.0} % of these prompts and keeps out {:.0} % of the others:",
            percent(best.replayed),
            percent(best.kept_out)
        ),
        "  [replay.gate]".into(),
        format!("  residual = {}", best.residual),
        format!("  drift_below = {drift_below:.4}"),
    ]
}
