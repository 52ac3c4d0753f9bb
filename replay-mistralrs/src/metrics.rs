//! What is counted, by the names that a monitoring system sees. Labels come from closed sets. Without a recorder it costs nothing.
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use replay_core::{ReplayCache, Report, Status};

/// Units and meanings, for a recorder that wants them.
pub(crate) fn describe() {
    describe_counter!(
        "replay_requests_total",
        "Prompts by outcome: replayed, nothing_selected, unchanged, passthrough, failed"
    );
    describe_counter!("replay_cache_hits_total", "Replayed prompts that paid nothing");
    describe_counter!("replay_cache_misses_total", "Replayed prompts that had to pay");
    describe_gauge!("replay_cache_bytes", Unit::Bytes, "Held by the cache");
    describe_counter!("replay_rows_selected_total", "Rows selected over all policy layers");
    describe_counter!("replay_degraded_total", "Prompts whose replay failed, by reason");
    describe_counter!("replay_learning_passes_total", "Evaluations of loss and gradient");
    describe_histogram!("replay_step_duration_seconds", Unit::Seconds, "Time of each step of replay");
}

/// One prompt was decided.
pub(crate) fn decided(report: &Report, failed: bool, cache: &ReplayCache) {
    let outcome = match report.status {
        _ if failed => "failed",
        Status::Replayed => "replayed",
        Status::NothingSelected => "nothing_selected",
        Status::Unchanged => "unchanged",
        Status::Passthrough => "passthrough",
    };
    counter!("replay_requests_total", "outcome" => outcome).increment(1);
    if failed || report.status == Status::Passthrough {
        return;
    }
    let paid = if report.cache_hits > 0 { "replay_cache_hits_total" } else { "replay_cache_misses_total" };
    counter!(paid).increment(1);
    counter!("replay_rows_selected_total").increment(report.selected() as u64);
    gauge!("replay_cache_bytes").set(cache.bytes() as f64);
    if report.cache_hits > 0 {
        return;
    }
    if let Some(learned) = &report.learned {
        counter!("replay_learning_passes_total").increment(learned.iterations as u64);
    }
    let ms = report.milliseconds;
    for (step, took) in [
        ("capture_base", ms.capture_base),
        ("capture_rlvr", ms.capture_rlvr),
        ("rank", ms.rank),
        ("targets", ms.targets),
        ("learn", ms.learn),
        ("substitute", ms.substitute),
        ("measure_kl", ms.measure_kl),
    ] {
        if took > 0.0 {
            histogram!("replay_step_duration_seconds", "step" => step).record(took / 1e3);
        }
    }
}

/// The replay of a prompt failed.
pub(crate) fn degraded(error: &replay_core::Error) {
    use replay_core::Error;
    let reason = match error {
        Error::Size { .. } => "size",
        Error::NotCaptured { .. } | Error::NoSuchLayer { .. } | Error::Taps { .. } => "taps",
        Error::Cancelled => "cancelled",
        Error::Unavailable(_) => "unavailable",
        Error::Engine(_) => "engine",
        Error::Tensor(_) => "tensor",
    };
    counter!("replay_degraded_total", "reason" => reason).increment(1);
}
