//! Keys and tables that are missing, misspelt, misplaced, or of the wrong kind.

use super::{problems, problems_of};

const PRESET: &str = "[replay]\npreset = \"paper-math\"\n";

#[test]
fn an_empty_file_hears_what_a_file_needs() {
    assert_eq!(
        problems_of(""),
        [
            "1:1: adapter: expected a non-empty string, found nothing; \
             add `adapter = ...` at the top of the file, before any table",
            "1:1: pair.rlvr: expected a non-empty string, found no table `[pair]`; \
             add `rlvr = ...` below `[pair]`",
            "1:1: pair.base: expected a non-empty string, found no table `[pair]`; \
             add `base = ...` below `[pair]`",
            "1:1: replay: expected `preset` (\"paper-math\", \"paper-math-24\", \"paper-agent\" or \
             \"paper-video\") or `strategy` (\"substitute\" or \"learned\"), found no table `[replay]`; \
             replay has no silent default; `preset = \"paper-math\"` is the paper's main setting",
        ]
    );
}

#[test]
fn neither_preset_nor_strategy() {
    assert_eq!(
        problems("[replay]\nlayers = 3"),
        ["5:2: replay: expected `preset` (\"paper-math\", \"paper-math-24\", \"paper-agent\" or \
             \"paper-video\") or `strategy` (\"substitute\" or \"learned\"), found neither; \
             replay has no silent default; `preset = \"paper-math\"` is the paper's main setting"]
    );
}

#[test]
fn strategy_without_layers_and_rule() {
    assert_eq!(
        problems("[replay]\nstrategy = \"learned\"\n[replay.rank]\nkeep = \"high\""),
        [
            "5:2: replay.layers: expected `layers` (a number of layers from 1 to 4096, or a non-empty \
             ascending list of layer numbers such as [0, 1, 5]), found nothing; without a preset, `layers` \
             and a rule in `[replay.rank]` are required; the paper uses 16",
            "7:9: replay.rank: expected `fraction_of_max`, `below`, `quantile` or `top`, found none of them; \
             without a preset, `layers` and a rule in `[replay.rank]` are required; the paper uses \
             `fraction_of_max = 0.4`",
        ]
    );
}

#[test]
fn a_missing_model() {
    assert_eq!(
        problems_of("adapter = \"a\"\n\n  [pair]\nrlvr = \"r\"\n[replay]\npreset = \"paper-math\""),
        ["3:4: pair.base: expected a non-empty string, found nothing; add `base = ...` below `[pair]`"]
    );
}

#[test]
fn a_misspelt_key_is_one_problem_and_not_a_missing_key_too() {
    assert_eq!(
        problems_of("adaptor = \"a\"\n[pair]\nrlvr = \"r\"\nbsae = \"b\"\n[replay]\npreset = \"paper-math\"\n[a]"),
        [
            "1:1: adaptor: expected `adapter`, `pair`, `replay` or `profiles`, found unknown key `adaptor`; \
             did you mean `adapter`?",
            "4:1: pair.bsae: expected `rlvr` or `base`, found unknown key `bsae`; did you mean `base`?",
        ]
    );
}

#[test]
fn a_misspelt_preset_asks_for_nothing_else() {
    assert_eq!(
        problems("[replay]\npresets = \"paper-math\""),
        ["6:1: replay.presets: expected `enabled`, `preset`, `strategy`, `layers`, `positions`, \
             `alignment`, `on_error`, `blend`, `measure_kl`, `lens_memory`, `rank`, `learned`, `gate` or `cache`, \
             found unknown key `presets`; did you mean `preset`?"]
    );
}

#[test]
fn a_misspelt_rule_asks_for_no_rule() {
    assert_eq!(
        problems("[replay]\nstrategy = \"learned\"\nlayers = 1\n[replay.rank]\nfraction = 0.4"),
        [
            "9:1: replay.rank.fraction: expected `fraction_of_max`, `below`, `quantile`, `top`, `keep`, `base_below_rlvr` or `seed`, found unknown key `fraction`; did you mean `fraction_of_max`?"
        ]
    );
}

#[test]
fn a_misspelt_table() {
    assert_eq!(
        problems("[Replay]\npreset = \"paper-math\""),
        [
            "5:2: Replay: expected `adapter`, `pair`, `replay`, `profiles` or `mistralrs`, found unknown table `Replay`; \
             did you mean `replay`?"
        ]
    );
}

#[test]
fn a_key_nothing_resembles() {
    assert_eq!(
        problems(&format!("{PRESET}[replay.cache]\ncolour = 1")),
        ["8:1: replay.cache.colour: expected `max_bytes` or `prefix_bytes`, found unknown key `colour`"]
    );
}

#[test]
fn keys_in_the_wrong_table_hear_where_they_belong() {
    assert_eq!(
        problems(&format!("{PRESET}iterations = 3\n[replay.learned]\ntop = 1\nadapter = \"x\"")),
        [
            "7:1: replay.iterations: expected `enabled`, `preset`, `strategy`, `layers`, `positions`, \
             `alignment`, `on_error`, `blend`, `measure_kl`, `lens_memory`, `rank`, `learned`, `gate` or `cache`, \
             found unknown key `iterations`; `iterations` belongs in the table `[replay.learned]`",
            "9:1: replay.learned.top: expected `iterations`, `learning_rate`, `loss`, `top_tokens`, `normalize`, `solver`, `tolerance`, `time_budget_ms`, `inject` or `activation_memory`, \
             found unknown key `top`; `top` belongs in the table `[replay.rank]`",
            "10:1: replay.learned.adapter: expected `iterations`, `learning_rate`, `loss`, `top_tokens`, `normalize`, `solver`, `tolerance`, `time_budget_ms`, `inject` or `activation_memory`, found unknown key `adapter`; `adapter` belongs at the top of the file, before any \
             table",
        ]
    );
}

#[test]
fn tables_in_the_wrong_place_hear_where_they_belong() {
    assert_eq!(
        problems(&format!("{PRESET}[rank]\ntop = 1")),
        ["7:2: rank: expected `adapter`, `pair`, `replay`, `profiles` or `mistralrs`, found unknown table `rank`; \
             `rank` belongs in the table `[replay]`"]
    );
}

#[test]
fn the_table_of_another_adapter() {
    assert_eq!(
        problems(&format!("{PRESET}[vllm]\n[mistralrs]\nanything = 1")),
        ["7:2: vllm: expected `adapter`, `pair`, `replay`, `profiles` or `mistralrs`, found unknown table `vllm`"]
    );
}

#[test]
fn values_in_place_of_tables() {
    assert_eq!(
        problems_of(
            "adapter = \"a\"\npair = 5\na = 1.5\n[replay]\npreset = \"paper-math\"\nlearned = true\n[[replay.rank]]"
        ),
        [
            "2:8: pair: expected a table, found integer 5; write a header `[pair]` and the keys below it",
            "3:5: a: expected a table, found number 1.5; write a header `[a]` and the keys below it",
            "6:11: replay.learned: expected a table, found boolean true; \
             write a header `[replay.learned]` and the keys below it",
            "7:1: replay.rank: expected a table, found a list of 1 value; \
             write a header `[replay.rank]` and the keys below it",
        ]
    );
}

#[test]
fn tables_in_place_of_values() {
    assert_eq!(
        problems("[replay]\npreset = \"paper-math\"\n[replay.layers]\n[replay.enabled]"),
        [
            "7:1: replay.layers: expected a number of layers from 1 to 4096, or a non-empty ascending list \
             of layer numbers such as [0, 1, 5], found a table",
            "8:1: replay.enabled: expected true or false, found a table",
        ]
    );
}

#[test]
fn keys_that_need_quotes_are_shown_in_quotes() {
    assert_eq!(
        problems(&format!("{PRESET}[replay.cache]\n\"a\\nb.c\" = 1\n")),
        ["8:1: replay.cache.\"a\\nb.c\": expected `max_bytes` or `prefix_bytes`, found unknown key `a\\nb.c`"]
    );
}
