//! The facts of a loaded pair, for `replay check`.
use replay_core::session::{Facts, Note};

use crate::pairing::attached::Attached;

/// Collects the facts of a replayed pipeline; empty without replay.
pub(crate) fn collect_facts(replay: Option<&Attached>) -> Facts {
    let Some(replay) = replay else { return Facts { pair: None, notes: Vec::new(), sees_videos: false } };
    Facts { pair: Some(replay.pair().clone()), notes: notes(replay), sees_videos: replay.sees_videos() }
}

fn notes(replay: &Attached) -> Vec<Note> {
    let pair = replay.pair();
    let taps = |layers: usize| format!("{} of {}", layers + 1, layers + 1);
    let (base, rlvr) = (taps(pair.base.loaded_layers), taps(pair.rlvr.loaded_layers));
    let tower = match replay.same_vision_tower() {
        true => "the same in both models: what one has made of an image the other uses",
        false => "each model's own",
    };
    let (shared_bytes, total_bytes) = replay.shared_bytes();
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let weights = format!(
        "{:.1} MiB, of which {:.1} MiB are the RLVR model's too and held once",
        mib(total_bytes),
        mib(shared_bytes)
    );
    let (base_entries, rlvr_entries) = (pair.base.vocabulary, pair.rlvr.vocabulary);
    let mut notes: Vec<Note> =
        replay.remarks().iter().map(|(role, remark)| Note::new("files", format!("{role}: {remark}"))).collect();
    if base_entries != rlvr_entries {
        let text = format!(
            "{base_entries} entries in the base, {rlvr_entries} in the RLVR model: entropies are over the {} that both have",
            base_entries.min(rlvr_entries)
        );
        notes.push(Note::new("vocabulary", text));
    }
    notes.extend([
        Note::new(
            "taps",
            format!("{base} in the base, {rlvr} in the RLVR model; a second pass gives the same residuals"),
        ),
        Note::new("keys and values", replay.kv_cache()),
        Note::new("prefix cache", prefix_cache(replay)),
        Note::new("vision tower", tower),
        Note::new("base weights", weights),
    ]);
    if let Some((base, rlvr)) = replay.decoder_errors() {
        let text = format!("residuals within {base:.0e} (base) and {rlvr:.0e} (RLVR model) of the engine's");
        notes.push(Note::new("differentiable decoder", text));
    }
    notes
}

fn prefix_cache(replay: &Attached) -> String {
    match replay.prefix_cache_fault() {
        _ if replay.settings().replayer().settings().cache.prefix_bytes == 0 => {
            "off (replay.cache.prefix_bytes is 0); the engine's knows nothing of replay".into()
        }
        Some(why) => format!("off: {why}"),
        None => "on, by what replay did to the prefix; begun after one, the model computes the same".into(),
    }
}
