use super::*;

fn record(arm: &str, item: usize, sample: Option<u32>, answer: &str) -> Record {
    Record {
        arm: arm.into(),
        item,
        fingerprint: format!("of {item}"),
        sample,
        seed: 0,
        text: answer.into(),
        tokens: 3,
        finish_reason: "stop".into(),
        answer: (answer != "-").then(|| answer.into()),
        correct: answer == "8",
        time_to_first_token_ms: None,
        replay_status: None,
    }
}

/// Forty prompts with two samples. The base answers 8, and the RLVR model 7. `residual[1]` brings back the answers to the even
/// prompts, all residuals those to all but every tenth, and the policy half of the samples of the even prompts.
fn records() -> Vec<Record> {
    let answer = |arm: &str, item: usize, sample: u32| match arm {
        "base" => "8",
        "1" if item.is_multiple_of(2) => "8.0",
        "all" if !item.is_multiple_of(10) => "8",
        "policy" if item.is_multiple_of(2) && sample == 0 => "8",
        _ => "7",
    };
    let mut records = Vec::new();
    for arm in ["off", "base", "0", "1", "all", "policy"] {
        for item in 0..40 {
            records.push(record(arm, item, None, "8"));
            for sample in 0..2 {
                let answer = answer(arm, item, sample);
                records.push(Record { correct: answer != "7", ..record(arm, item, Some(sample), answer) });
            }
        }
    }
    records
}

fn arms() -> SweepArms<'static> {
    SweepArms { off: "off", base: "base", configured: "policy", ceiling: "all", residuals: vec![(0, "0"), (1, "1")] }
}

#[test]
fn effects_ceiling_and_what_is_reached() {
    let records = records();
    // Equal answers whether they are judged or compared with the base's: 8.0 is 8.
    for outcome in [Outcome::Right, Outcome::LikeBase] {
        let result = sweep(&records, &arms(), outcome, &Resampling::default());
        assert_eq!(result.prompts, 40);
        assert_eq!((result.off.unwrap().mean, result.base.unwrap().mean), (0.0, 1.0));
        let changes: Vec<f64> = result.residuals.iter().map(|effect| effect.change.mean).collect();
        assert_eq!(changes, [0.0, 0.5]);
        let (ceiling, policy) = (result.ceiling.unwrap(), result.configured.unwrap());
        assert!((ceiling.change.mean - 0.9).abs() < 1e-12 && (policy.change.mean - 0.25).abs() < 1e-12);
        assert_eq!((policy.like_off.mean, policy.like_base.mean), (0.75, 0.25));
        // Without right answers nothing is right, and nothing is wrong.
        let judged = (outcome == Outcome::Right).then_some((0.5, 1.0));
        assert_eq!(policy.solved.map(|e| e.mean).zip(policy.greedy.map(|e| e.mean)), judged);
        let reached = result.reached.unwrap();
        assert!((reached.mean - 0.25 / 0.9).abs() < 1e-12 && reached.low < reached.mean && reached.mean < reached.high);
        assert!(ceiling.p_corrected >= ceiling.p && result.residuals[0].p_corrected == 1.0);
        assert_eq!(result.proposal, Some(Proposal { layers: vec![0], inject: 1 }));
    }
}

#[test]
fn nothing_to_recover_proposes_nothing() {
    let mut records = records();
    records.retain(|record| record.arm != "1" && record.arm != "all");
    let copies = |arm: &str| {
        let off = records.iter().filter(|record| record.arm == "off").cloned();
        off.map(|record| Record { arm: arm.into(), ..record }).collect::<Vec<_>>()
    };
    let (one, all) = (copies("1"), copies("all"));
    records.extend(one.into_iter().chain(all));
    let result = sweep(&records, &arms(), Outcome::Right, &Resampling::default());
    assert_eq!((result.ceiling.unwrap().change.mean, result.reached, result.proposal), (0.0, None, None));
}

#[test]
fn prompts_that_an_arm_lacks_are_left_out_and_an_arm_without_records_leaves_nothing() {
    let mut records = records();
    records.retain(|record| record.arm != "all" || record.item < 30);
    assert_eq!(sweep(&records, &arms(), Outcome::Right, &Resampling::default()).prompts, 30);
    records.retain(|record| record.arm != "all");
    let result = sweep(&records, &arms(), Outcome::Right, &Resampling::default());
    assert_eq!((result.prompts, result.ceiling, result.off), (0, None, None));
}
