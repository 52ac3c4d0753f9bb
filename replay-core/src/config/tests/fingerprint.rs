//! Equal effective settings have equal fingerprints, different ones do not.

use super::valid;

fn fingerprint(body: &str) -> String {
    valid(body).fingerprint()
}

const PRESET: &str = "[replay]\npreset = \"paper-math\"\n";

#[test]
fn by_preset_or_by_hand() {
    let by_hand = r#"
        [replay]
        strategy = "learned"   # a comment
        layers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        [replay.rank]
        fraction_of_max = 4e-1
        [replay.learned]
        learning_rate = 10
    "#;
    let fingerprint_of_preset = fingerprint(PRESET);
    assert_eq!(fingerprint(by_hand), fingerprint_of_preset);
    assert_eq!(fingerprint_of_preset.len(), 64);
    assert!(fingerprint_of_preset.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(fingerprint("[replay]\npreset = \"paper-agent\""), fingerprint("[replay]\npreset = \"paper-video\""));
}

#[test]
fn settings_without_effect_on_results_do_not_change_the_fingerprint() {
    let preset = fingerprint(PRESET);
    for line in [
        "on_error = \"passthrough\"",
        "measure_kl = true",
        "lens_memory = 1",
        "cache.max_bytes = 0",
        "cache.prefix_bytes = 1",
    ] {
        assert_eq!(fingerprint(&format!("{PRESET}{line}")), preset, "{line}");
    }
    let below =
        |value: &str| fingerprint(&format!("[replay]\nstrategy = \"substitute\"\nlayers = 2\nrank.below = {value}"));
    assert_eq!(below("3.5"), below("[3.5, 3.5]"));
    assert_eq!(below("0.0"), below("-0.0"));
    assert_ne!(below("3.5"), below("[3.5, 3.6]"));
}

#[test]
fn settings_with_effect_on_results_change_the_fingerprint() {
    let lines = [
        "",
        "enabled = false",
        "strategy = \"substitute\"",
        "strategy = \"substitute\"\nblend = 0.5",
        "strategy = \"substitute\"\npositions = \"all\"",
        "layers = 15",
        "layers = [0, 2]",
        "alignment = \"released\"",
        "rank.fraction_of_max = 0.5",
        "rank.quantile = 0.4",
        "rank.below = 0.4",
        "rank.top = 4",
        "rank.keep = \"high\"",
        "rank.base_below_rlvr = true",
        "learned.iterations = 24",
        "learned.learning_rate = 9.5",
        "learned.top_tokens = 49",
        "learned.normalize = false",
    ];
    let mut prints: Vec<String> = lines.iter().map(|line| fingerprint(&format!("{PRESET}{line}"))).collect();
    prints.sort();
    prints.dedup();
    assert_eq!(prints.len(), lines.len());
}

/// Old cache entries must not be taken for new ones: if this fails on purpose, raise `VERSION`.
#[test]
fn the_fingerprint_is_stable() {
    assert_eq!(fingerprint(PRESET), "9503aee9074e85870d25843bba985812e0a9f4b35ceff426df8bd5edd934e54b");
}
