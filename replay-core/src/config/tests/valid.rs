//! Files that are right: minimal ones, presets, overrides, every kind of value.

use super::super::*;
use super::{HEAD, valid};

const THRESHOLDS: [f64; 7] = [4.812, 4.781, 3.734, 3.297, 3.328, 3.812, 4.312];

#[test]
fn the_shortest_file_names_a_preset() {
    let config = valid("[replay]\npreset = \"paper-math\"\n");
    assert_eq!(config.adapter, "mistralrs");
    assert_eq!(config.pair.rlvr, "org/rlvr");
    assert_eq!(config.pair.base, "org/base");
    assert_eq!(config.source_path, None);
    assert!(!config.adapter_table.is_present());
}

#[test]
fn without_a_preset_three_things_suffice() {
    let config = valid("[replay]\nstrategy = \"learned\"\nlayers = 4\n[replay.rank]\ntop = 9\n");
    let expected = Replay {
        enabled: true,
        preset: None,
        strategy: Strategy::Learned,
        layers: Layers::First(4),
        positions: Positions::Visual,
        alignment: Alignment::Aligned,
        on_error: OnError::Fail,
        blend: 1.0,
        measure_kl: false,
        lens_memory: 64 << 20,
        rank: Rank { rule: Rule::Top(9), keep: Keep::Low, base_below_rlvr: false, seed: 0 },
        learned: Learned {
            iterations: 25,
            learning_rate: 10.0,
            loss: Loss::Lens,
            top_tokens: 50,
            normalize: true,
            solver: Solver::GradientDescent,
            tolerance: 0.0,
            time_budget_ms: 0,
            inject: 0,
            activation_memory: 256 << 20,
        },
        gate: Gate { drift_below: None, residual: None },
        cache: Cache { max_bytes: 512 << 20, prefix_bytes: 0 },
    };
    assert_eq!(config.replay, expected);
}

#[test]
fn mathematics_presets_carry_the_published_values() {
    for (name, layers) in [("paper-math", 16), ("paper-math-24", 24)] {
        let replay = valid(&format!("[replay]\npreset = \"{name}\"\n")).replay;
        assert_eq!(replay.preset.map(Preset::name), Some(name));
        assert_eq!(replay.strategy, Strategy::Learned);
        assert_eq!(replay.layers, Layers::First(layers));
        assert_eq!(replay.positions, Positions::Visual);
        assert_eq!(replay.alignment, Alignment::Aligned);
        assert_eq!(replay.rank.rule, Rule::FractionOfMax(0.4));
        assert_eq!(replay.rank.keep, Keep::Low);
        assert!(!replay.rank.base_below_rlvr);
        assert_eq!(replay.learned, Learned::default());
    }
}

#[test]
fn agent_and_video_presets_carry_the_published_values() {
    for name in ["paper-agent", "paper-video"] {
        let replay = valid(&format!("[replay]\npreset = \"{name}\"\n")).replay;
        assert_eq!(replay.strategy, Strategy::Substitute);
        assert_eq!(replay.layers, Layers::First(7));
        assert_eq!(replay.positions, Positions::All);
        assert_eq!(replay.alignment, Alignment::Released);
        assert_eq!(replay.rank.rule, Rule::Below(Below::PerLayer(THRESHOLDS.to_vec())));
        assert!(replay.rank.base_below_rlvr);
        assert!((replay.blend - 1.0).abs() < f64::EPSILON);
    }
}

#[test]
fn presets_are_all_selectable_and_say_where_they_come_from() {
    assert_eq!(Preset::ALL.len(), 4);
    for preset in Preset::ALL {
        let replay = valid(&format!("[replay]\npreset = \"{preset}\"\n")).replay;
        assert_eq!(replay, preset.settings());
        assert!(preset.source().contains("Qwen/Qwen2.5-VL-7B-Instruct"));
        let listing = preset.describe();
        assert!(listing.iter().any(|(key, _)| *key == "replay.strategy"));
        assert_eq!(serde_json::to_value(preset).unwrap(), preset.name());
    }
}

#[test]
fn a_description_written_into_a_file_gives_the_same_settings() {
    for preset in Preset::ALL {
        let by_hand: String = preset.describe().iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let source = format!("{by_hand}{HEAD}");
        let config = Config::from_str(&source, "t.toml").unwrap_or_else(|e| panic!("{e}"));
        let expected = Replay { preset: None, ..preset.settings() };
        assert_eq!(config.replay, expected);
    }
}

#[test]
fn each_key_overrides_the_preset() {
    let replay = valid(
        r#"
        [replay]
        preset = "paper-math"
        enabled = false
        layers = [1, 3, 15]
        alignment = "released"
        on_error = "passthrough"
        measure_kl = true
        lens_memory = 1024
        [replay.rank]
        quantile = 0.25
        keep = "high"
        [replay.learned]
        iterations = 5
        learning_rate = 4
        loss = "lens"
        top_tokens = 20
        normalize = false
        solver = "lbfgs"
        tolerance = 0.01
        time_budget_ms = 1500
        inject = 1
        activation_memory = "1MiB"
        [replay.gate]
        drift_below = 0.125
        residual = 2
        [replay.cache]
        max_bytes = "2 GiB"
        prefix_bytes = "3 GiB"
        "#,
    )
    .replay;
    let mut expected = Preset::PaperMath.settings();
    expected.enabled = false;
    expected.layers = Layers::List(vec![1, 3, 15]);
    expected.alignment = Alignment::Released;
    expected.on_error = OnError::Passthrough;
    expected.measure_kl = true;
    expected.lens_memory = 1024;
    expected.rank.rule = Rule::Quantile(0.25);
    expected.rank.keep = Keep::High;
    expected.learned = Learned {
        iterations: 5,
        learning_rate: 4.0,
        loss: Loss::Lens,
        top_tokens: 20,
        normalize: false,
        solver: Solver::Lbfgs,
        tolerance: 0.01,
        time_budget_ms: 1500,
        inject: 1,
        activation_memory: 1 << 20,
    };
    expected.gate = Gate { drift_below: Some(0.125), residual: Some(2) };
    expected.cache = Cache { max_bytes: 2 << 30, prefix_bytes: 3 << 30 };
    assert_eq!(replay, expected);
}

#[test]
fn a_preset_can_change_its_strategy() {
    let replay = valid("[replay]\npreset = \"paper-math\"\nstrategy = \"substitute\"\nblend = 0.5").replay;
    assert_eq!(replay.strategy, Strategy::Substitute);
    assert!((replay.blend - 0.5).abs() < f64::EPSILON);
    let replay = valid(
        "[replay]\npreset = \"paper-video\"\nstrategy = \"learned\"\npositions = \"visual\"\n\
         [replay.rank]\nbase_below_rlvr = false\nkeep = \"high\"",
    )
    .replay;
    assert_eq!(replay.positions, Positions::Visual);
}

#[test]
fn thresholds_are_one_number_or_one_per_layer() {
    let rule = |below: &str| {
        let body = format!("[replay]\nstrategy = \"substitute\"\nlayers = 2\n[replay.rank]\nbelow = {below}\n");
        valid(&body).replay.rank.rule
    };
    assert_eq!(rule("3"), Rule::Below(Below::All(3.0)));
    assert_eq!(rule("[3.5, 0]"), Rule::Below(Below::PerLayer(vec![3.5, 0.0])));
    let Rule::Below(below) = rule("[3.5, 0]") else { panic!() };
    assert_eq!(below.threshold(0), Some(3.5));
    assert_eq!(below.threshold(2), None);
}

#[test]
fn inline_tables_and_dotted_keys_are_as_good_as_headers() {
    let config = Config::from_str(
        r#"
        adapter = "mistralrs"
        pair = { rlvr = "r", base = "b" }
        replay.preset = "paper-math"
        replay.rank = { top = 0x10 }
        "#,
        "t.toml",
    )
    .unwrap();
    assert_eq!(config.replay.rank.rule, Rule::Top(16));
}

#[test]
fn a_model_paired_with_itself_is_a_self_test() {
    let source = "adapter = \"a\"\npair.rlvr = \"m\"\npair.base = \"m\"\nreplay.preset = \"paper-math\"";
    assert!(Config::from_str(source, "t.toml").is_ok());
}

#[test]
fn configurations_are_cloneable_comparable_and_serializable() {
    let config = valid("[replay]\npreset = \"paper-agent\"\n");
    assert_eq!(config.clone(), config);
    let json = serde_json::to_value(&config).unwrap();
    assert_eq!(json["replay"]["strategy"], "substitute");
    assert_eq!(json["replay"]["layers"]["first"], 7);
    assert_eq!(json["replay"]["preset"], "paper-agent");
    let schema = schemars::schema_for!(Config);
    assert!(schema.as_value()["properties"]["replay"].is_object());
}

#[test]
fn a_profile_is_the_replay_table_with_its_own_keys_over_it() {
    let config = valid(
        r#"
        [replay]
        preset = "paper-math"
        [profiles.cheap]
        strategy = "substitute"
        layers = 4
        [profiles.cheap.rank]
        top = 5
        [profiles.video]
        preset = "paper-video"
        [profiles.same]
        "#,
    );
    let names: Vec<_> = config.profiles.keys().map(String::as_str).collect();
    assert_eq!(names, ["cheap", "same", "video"]);
    let cheap = &config.profiles["cheap"];
    assert_eq!(
        (cheap.strategy, &cheap.layers, &cheap.rank.rule),
        (Strategy::Substitute, &Layers::First(4), &Rule::Top(5))
    );
    assert_eq!(config.profiles["same"], config.replay);
    assert_eq!(config.profiles["video"], Preset::PaperVideo.settings());
}
