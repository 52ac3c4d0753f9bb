//! Settings that are valid one by one and contradict each other.

use super::problems;

#[test]
fn two_rules() {
    assert_eq!(
        problems("[replay]\npreset = \"paper-math\"\n[replay.rank]\ntop = 3\nfraction_of_max = 0.4\nquantile = 0.5"),
        [
            "9:1: replay.rank.fraction_of_max: expected one rule in `[replay.rank]`, \
             found `fraction_of_max` next to `top`; keep either `top` or `fraction_of_max`",
            "10:1: replay.rank.quantile: expected one rule in `[replay.rank]`, \
             found `quantile` next to `top`; keep either `top` or `quantile`",
        ]
    );
}

#[test]
fn blend_with_learned() {
    assert_eq!(
        problems("[replay]\npreset = \"paper-math\"\nblend = 1.0"),
        ["7:1: replay.blend: expected `blend` with strategy \"substitute\" only, found strategy \"learned\"; \
             remove `blend`: `learned` sets its strength with `learning_rate` in `[replay.learned]`"]
    );
}

#[test]
fn learned_settings_with_substitute() {
    assert_eq!(
        problems(
            "[replay]\nstrategy = \"substitute\"\nlayers = 1\nrank.top = 1\n[replay.learned]\niterations = 25\nnormalize = true"
        ),
        [
            "10:1: replay.learned.iterations: expected keys of `[replay.learned]` with strategy \"learned\" only, \
             found strategy \"substitute\"; remove the table `[replay.learned]`, or use strategy \"learned\"",
            "11:1: replay.learned.normalize: expected keys of `[replay.learned]` with strategy \"learned\" only, \
             found strategy \"substitute\"; remove the table `[replay.learned]`, or use strategy \"learned\"",
        ]
    );
}

#[test]
fn thresholds_that_do_not_match_the_layers() {
    assert_eq!(
        problems("[replay]\nstrategy = \"substitute\"\nlayers = [0, 4, 9]\n[replay.rank]\nbelow = [1, 2]"),
        ["9:1: replay.rank.below: expected one threshold per policy layer, which are 3, \
             found a list of 2; a single number holds for every layer"]
    );
    assert_eq!(
        problems("[replay]\npreset = \"paper-math\"\n[replay.rank]\nbelow = [1, 2]"),
        ["8:1: replay.rank.below: expected one threshold per policy layer, which are 16, \
             found a list of 2; a single number holds for every layer"]
    );
}

#[test]
fn layers_that_do_not_match_the_thresholds_of_the_preset() {
    assert_eq!(
        problems("[replay]\npreset = \"paper-video\"\nlayers = 5"),
        ["7:1: replay.layers: expected 7 policy layers, as preset \"paper-video\" has 7 thresholds, \
             found 5; or give `[replay.rank]` a rule of its own"]
    );
}

#[test]
fn all_positions_with_learned() {
    assert_eq!(
        problems("[replay]\npreset = \"paper-math\"\npositions = \"all\""),
        ["7:1: replay.positions: expected `positions = \"visual\"` with strategy \"learned\", which corrects \
             visual tokens, found `positions = \"all\"`; remove `positions`, or use strategy \"substitute\""]
    );
    assert_eq!(
        problems("[replay]\npreset = \"paper-agent\"\nstrategy = \"learned\""),
        ["7:1: replay.strategy: expected `positions = \"visual\"` with strategy \"learned\", which corrects \
             visual tokens, found `positions = \"all\"`; the preset ranks all positions: add \
             `positions = \"visual\"`"]
    );
}

#[test]
fn base_below_rlvr_with_the_high_end() {
    assert_eq!(
        problems("[replay]\npreset = \"paper-math\"\n[replay.rank]\nbase_below_rlvr = true\nkeep = \"high\""),
        ["8:1: replay.rank.base_below_rlvr: expected `base_below_rlvr` with `keep = \"low\"` only, \
             found `keep = \"high\"`; remove one of the two: rows the base is unsure about are seldom those it \
             is surer about than RLVR"]
    );
    assert_eq!(
        problems("[replay]\npreset = \"paper-video\"\n[replay.rank]\nkeep = \"high\""),
        ["8:1: replay.rank.keep: expected `keep = \"low\"`, as the preset sets `base_below_rlvr = true`, \
             found `keep = \"high\"`; add `base_below_rlvr = false`"]
    );
}

#[test]
fn refused_values_contradict_nothing() {
    assert_eq!(
        problems(
            "[replay]\npreset = \"paper-video\"\nstrategy = \"larned\"\nlayers = -3\nblend = 0.5\npositions = \"all\""
        ),
        [
            "7:12: replay.strategy: expected \"substitute\" or \"learned\", found string \"larned\"; \
             did you mean \"learned\"?",
            "8:10: replay.layers: expected a number of layers from 1 to 4096, or a non-empty ascending list of \
             layer numbers such as [0, 1, 5], found integer -3",
        ]
    );
    assert_eq!(problems("[replay]\nstrategy = 1\nlayers = 2\n[replay.rank]\ntop = 0").len(), 2);
}

#[test]
fn misspelt_keys_contradict_nothing() {
    let only = |body: &str, hint: &str| {
        let found = problems(body);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(hint), "{found:?}");
    };
    only(
        "[replay]\npreset = \"paper-agent\"\nstrategy = \"learned\"\npositon = \"visual\"",
        "did you mean `positions`?",
    );
    only("[replay]\npreset = \"paper-agent\"\nlayers = 5\n[replay.rank]\nquantil = 0.5", "did you mean `quantile`?");
    only("[replay]\npreset = \"paper-agent\"\nlayers = 5\n[replay.rank]\nquantile = 5", "found integer 5");
    only(
        "[replay]\npreset = \"paper-agent\"\nbase_below_rlvr = false\n[replay.rank]\nkeep = \"high\"",
        "`base_below_rlvr` belongs in the table `[replay.rank]`",
    );
}

#[test]
fn problems_of_every_kind_are_reported_together_in_the_order_of_the_file() {
    let found = problems(
        "[replay]\npreset = \"paper-math\"\nlayers = 0\nblend = 0.5\npositons = \"all\"\n\
         [replay.rank]\nquantile = 2\ntop = 1\n[replay.cache]\nmax_bytes = \"1 gib\"\n[extra]\n",
    );
    let places: Vec<String> = found.iter().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        places,
        [
            "7:10 replay.layers",
            "8:1 replay.blend",
            "9:1 replay.positons",
            "11:12 replay.rank.quantile",
            "14:13 replay.cache.max_bytes",
            "15:2 extra",
        ]
    );
}

#[test]
fn a_delta_cannot_be_injected_after_the_first_compared_residual() {
    let file = |alignment: &str| {
        problems(&format!(
            "[replay]\nstrategy = \"learned\"\nlayers = [2, 3]\nalignment = \"{alignment}\"\nrank.top = 1\n[replay.learned]\ninject = 3"
        ))
    };
    assert_eq!(
        file("released"),
        ["11:1: replay.learned.inject: expected at most 2, the first residual that is compared, found 3; \
          the policy layers in front of it could not change: leave them out of `layers`"]
    );
    super::valid("[replay]\nstrategy = \"learned\"\nlayers = [2, 3]\nrank.top = 1\n[replay.learned]\ninject = 3");
}

#[test]
fn the_loss_of_hidden_states_has_no_vocabulary_and_compares_one_residual() {
    let head = "[replay]\nstrategy = \"learned\"\nlayers = 2\nrank.top = 1\n";
    assert_eq!(
        problems(&format!("{head}[replay.learned]\nloss = \"residual\"\ntop_tokens = 9")),
        [
            "11:1: replay.learned.top_tokens: expected `top_tokens` with `loss = \"lens\"` only, found `loss = \"residual\"`; \
          remove `top_tokens`: the distance of hidden states has no vocabulary"
        ]
    );
    let released = "expected `alignment = \"aligned\"` with `loss = \"residual\"`, found `alignment = \"released\"`; \
                    hidden states of different layers cannot be compared: use aligned layers, or the loss of the lens";
    assert_eq!(
        problems(&format!("{head}alignment = \"released\"\n[replay.learned]\nloss = \"residual\"")),
        [format!("9:1: replay.alignment: {released}")]
    );
    // In a profile, whichever of the two it says is at fault.
    assert_eq!(
        problems(&format!("{head}alignment = \"released\"\n[profiles.own.learned]\nloss = \"residual\"")),
        [format!("11:1: replay.learned.loss: {released}")]
    );
    super::valid(&format!("{head}learned.loss = \"residual\""));
}

#[test]
fn a_gate_needs_a_threshold_and_a_residual_that_is_reached() {
    let file = |gate: &str| {
        problems(&format!("[replay]\nstrategy = \"substitute\"\nlayers = [1, 2]\nrank.top = 1\n[replay.gate]\n{gate}"))
    };
    assert_eq!(
        file("residual = 2"),
        ["10:1: replay.gate.residual: expected `residual` with `drift_below` only, found no `drift_below`; \
          add `drift_below`, or remove `residual`: without a threshold there is no gate"]
    );
    assert_eq!(
        file("residual = 4\ndrift_below = 0.1"),
        ["10:1: replay.gate.residual: expected at most 3, the output of the last policy layer, found 4; \
          the base is loaded up to the last policy layer only"]
    );
    super::valid(
        "[replay]\nstrategy = \"substitute\"\nlayers = [1, 2]\nrank.top = 1\ngate.drift_below = 0.1\ngate.residual = 3",
    );
}

#[test]
fn a_seed_is_for_a_random_mask() {
    assert_eq!(
        problems("[replay]\nstrategy = \"learned\"\nlayers = 2\n[replay.rank]\ntop = 1\nseed = 3"),
        ["10:1: replay.rank.seed: expected `seed` with `keep = \"random\"` only, found `keep = \"low\"`; \
          remove `seed`, or set `keep = \"random\"`"]
    );
}
