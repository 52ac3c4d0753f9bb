//! The metrics of replay, under the names that a monitoring system sees. All labels come from fixed sets. Without a recorder the functions
//! do nothing.
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, ReplayCache, Report, Status};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const OUTCOMES: [&str; 5] = ["replayed", "nothing_selected", "unchanged", "passthrough", "failed"];
const REASONS: [&str; 7] = ["size", "taps", "cancelled", "unavailable", "engine", "tensor", "edit"];

/// Registers units and descriptions with the recorder, and sets every counter to zero, since a rate needs a first value.
pub fn describe() {
    describe_counter!(
        "replay_requests_total",
        "Prompts by outcome: replayed, nothing_selected, unchanged, passthrough, failed"
    );
    describe_counter!("replay_gate_total", "Prompts that the gate measured, by state: open, closed");
    describe_counter!("replay_cache_hits_total", "Replayed prompts whose edits came from the cache");
    describe_counter!("replay_cache_misses_total", "Replayed prompts whose edits were computed");
    describe_gauge!("replay_cache_bytes", Unit::Bytes, "Memory held by the replay cache");
    describe_counter!("replay_known_rows_total", "Prompt rows whose keys and values came from the prefix cache");
    describe_gauge!("replay_prefix_bytes", Unit::Bytes, "Memory held by keys and values of earlier prompts");
    describe_gauge!("replay_base_bytes", Unit::Bytes, "Weights of the base models' decoders");
    describe_counter!("replay_rows_selected_total", "Rows selected over all policy layers");
    describe_counter!("replay_degraded_total", "Prompts whose replay failed, by reason");
    describe_counter!("replay_learning_passes_total", "Evaluations of loss and gradient");
    describe_histogram!("replay_step_duration_seconds", Unit::Seconds, "Time of each step of replay");
    for outcome in OUTCOMES {
        counter!("replay_requests_total", "outcome" => outcome).increment(0);
    }
    for state in ["open", "closed"] {
        counter!("replay_gate_total", "state" => state).increment(0);
    }
    for reason in REASONS {
        counter!("replay_degraded_total", "reason" => reason).increment(0);
    }
    for name in [
        "replay_cache_hits_total",
        "replay_cache_misses_total",
        "replay_rows_selected_total",
        "replay_known_rows_total",
        "replay_learning_passes_total",
    ] {
        counter!(name).increment(0);
    }
}

/// Sets the gauges of the memory that the models hold, in bytes.
pub fn set_memory(cache: u64, prefixes: u64, base: u64) {
    gauge!("replay_cache_bytes").set(cache as f64);
    gauge!("replay_prefix_bytes").set(prefixes as f64);
    gauge!("replay_base_bytes").set(base as f64);
}

/// Counts prompt rows that did not run, since their keys and values were in the prefix cache.
pub fn count_known_rows(rows: usize) {
    counter!("replay_known_rows_total").increment(rows as u64);
}

/// Counts the decision about one prompt.
pub fn count_decision(report: &Report, failed: bool, cache: &ReplayCache) {
    let outcome = match report.status {
        _ if failed => "failed",
        Status::Replayed => "replayed",
        Status::NothingSelected => "nothing_selected",
        Status::Unchanged => "unchanged",
        Status::Passthrough => "passthrough",
    };
    counter!("replay_requests_total", "outcome" => outcome).increment(1);
    if let Some(gate) = report.gate {
        counter!("replay_gate_total", "state" => if gate.open { "open" } else { "closed" }).increment(1);
        histogram!("replay_step_duration_seconds", "step" => "gate").record(report.milliseconds.gate / 1e3);
    }
    if failed || report.status == Status::Passthrough {
        return;
    }
    let lookups = if report.cache_hits > 0 { "replay_cache_hits_total" } else { "replay_cache_misses_total" };
    counter!(lookups).increment(1);
    counter!("replay_rows_selected_total").increment(report.selected() as u64);
    gauge!("replay_cache_bytes").set(cache.bytes() as f64);
    if report.cache_hits > 0 {
        return;
    }
    if let Some(learned) = &report.learned {
        counter!("replay_learning_passes_total").increment(learned.iterations as u64);
    }
    let ms = report.milliseconds;
    for (step, duration) in [
        ("capture_base", ms.capture_base),
        ("capture_rlvr", ms.capture_rlvr),
        ("rank", ms.rank),
        ("targets", ms.targets),
        ("learn", ms.learn),
        ("substitute", ms.substitute),
        ("measure_kl", ms.measure_kl),
    ] {
        if duration > 0.0 {
            histogram!("replay_step_duration_seconds", "step" => step).record(duration / 1e3);
        }
    }
}

/// Counts a failed replay. Returns whether it is the first one for its reason, which deserves a warning.
pub fn count_failure(error: &Error) -> bool {
    count_reason(match error {
        Error::Size { .. } => 0,
        Error::NotCaptured { .. } | Error::RowNotCaptured { .. } | Error::NoSuchLayer { .. } | Error::Taps { .. } => 1,
        Error::Cancelled => 2,
        Error::Unavailable(_) | Error::Settings(_) | Error::Prompt(_) | Error::NotFinite { .. } => 3,
        Error::Engine(_) => 4,
        Error::Tensor(_) => 5,
    })
}

/// Counts edits that could not be applied in the prefill. Returns whether they are the first ones, which deserve a warning.
pub fn count_failed_edit() -> bool {
    count_reason(6)
}

fn count_reason(reason: usize) -> bool {
    static SEEN: [AtomicBool; REASONS.len()] = [const { AtomicBool::new(false) }; REASONS.len()];
    counter!("replay_degraded_total", "reason" => REASONS[reason]).increment(1);
    !SEEN[reason].swap(true, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_warns_once() {
        let error = |what: &str| Error::Unavailable(what.into());
        assert!(count_failure(&error("a")));
        assert!(!count_failure(&error("b")) && !count_failure(&error("a")));
        assert!(count_failure(&Error::Cancelled) && count_failed_edit() && !count_failed_edit());
    }
}
