//! Listings and fingerprints that other files and caches rely on.

use super::valid;

/// Each body with the fingerprint that caches of this version hold. If this fails on purpose, raise `VERSION`.
const FINGERPRINTS: [(&str, &str); 5] = [
    ("preset = \"paper-math-24\"", "39ea73b4ae83e04fbf5139965533b38cc52bc2551de00656632a51992acfcef8"),
    ("preset = \"paper-agent\"", "dabb101f8750c7e43648dab16173e705430a2f38ec11d3c0573e96dafb510fdb"),
    (
        "preset = \"paper-math\"\nrank.keep = \"random\"",
        "10a92c2a616925dafe4aae94a9cfd110a9e2f03caf312b2aabcc5a87dc826865",
    ),
    (
        "preset = \"paper-math\"\nlearned.solver = \"lbfgs\"",
        "28416b8cf52a6b635a64d9cc218442f893dbfded91c69124e37ccf442c9a8008",
    ),
    ("preset = \"paper-agent\"\nblend = 0.5", "0e1bf0a372fb80e6a4cf9a89b5aed2b5fbf89250afc9f95f3c2aec86f468424e"),
];

#[test]
fn fingerprints_of_both_strategies_are_stable() {
    for (body, fingerprint) in FINGERPRINTS {
        assert_eq!(valid(&format!("[replay]\n{body}\n")).fingerprint(), fingerprint, "{body}");
    }
}

#[test]
fn listing_of_substitute_is_stable() {
    let replay = valid("[replay]\nstrategy = \"substitute\"\nlayers = [0, 2]\nrank.below = [1, 2.5]\n").replay;
    let expected = [
        ("replay.enabled", "true"),
        ("replay.strategy", "\"substitute\""),
        ("replay.layers", "[0, 2]"),
        ("replay.positions", "\"visual\""),
        ("replay.alignment", "\"aligned\""),
        ("replay.on_error", "\"fail\""),
        ("replay.blend", "1.0"),
        ("replay.measure_kl", "false"),
        ("replay.lens_memory", "\"64MiB\""),
        ("replay.rank.below", "[1.0, 2.5]"),
        ("replay.rank.keep", "\"low\""),
        ("replay.rank.base_below_rlvr", "false"),
        ("replay.cache.max_bytes", "\"512MiB\""),
        ("replay.cache.prefix_bytes", "0"),
    ];
    assert_eq!(replay.describe(), expected.map(|(key, value)| (key, value.to_owned())));
}

#[test]
fn listing_of_learned_is_stable() {
    let replay =
        valid("[replay]\nstrategy = \"learned\"\nlayers = 3\nrank.quantile = 0.5\ncache.max_bytes = 7\n").replay;
    let expected = [
        ("replay.enabled", "true"),
        ("replay.strategy", "\"learned\""),
        ("replay.layers", "3"),
        ("replay.positions", "\"visual\""),
        ("replay.alignment", "\"aligned\""),
        ("replay.on_error", "\"fail\""),
        ("replay.measure_kl", "false"),
        ("replay.lens_memory", "\"64MiB\""),
        ("replay.rank.quantile", "0.5"),
        ("replay.rank.keep", "\"low\""),
        ("replay.rank.base_below_rlvr", "false"),
        ("replay.learned.iterations", "25"),
        ("replay.learned.learning_rate", "10.0"),
        ("replay.learned.top_tokens", "50"),
        ("replay.learned.normalize", "true"),
        ("replay.learned.solver", "\"gradient-descent\""),
        ("replay.learned.tolerance", "0.0"),
        ("replay.learned.time_budget_ms", "0"),
        ("replay.learned.inject", "0"),
        ("replay.learned.activation_memory", "\"256MiB\""),
        ("replay.cache.max_bytes", "7"),
        ("replay.cache.prefix_bytes", "0"),
    ];
    assert_eq!(replay.describe(), expected.map(|(key, value)| (key, value.to_owned())));
}
