use super::*;
use crate::evaluation::Estimate;

fn record(arm: &str, item: usize, sample: Option<u32>, answer: Option<&str>, tokens: u32) -> Record {
    Record {
        arm: arm.into(),
        item,
        fingerprint: format!("of {item}"),
        sample,
        seed: 0,
        text: String::new(),
        tokens,
        finish_reason: if tokens < 100 { "stop" } else { "length" }.into(),
        answer: answer.map(Into::into),
        correct: answer.is_some_and(|answer| answer.parse() == Ok(8.0)),
        time_to_first_token_ms: None,
        replay_status: (arm == "on").then_some(Status::Replayed),
    }
}

/// Two prompts: "off" is right in 2 of 4 and 0 of 4 samples, "on" in 4 of 4 of the first alone.
fn records() -> Vec<Record> {
    let mut records = Vec::new();
    let answers =
        [("off", 1, ["8", "8.0", "7", "6"]), ("off", 2, ["1", "2", "3", "-"]), ("on", 1, ["8", "8", "8", "8"])];
    for (arm, item, answers) in answers {
        for (sample, answer) in (0..).zip(answers) {
            let answer = (answer != "-").then_some(answer);
            records.push(record(arm, item, Some(sample), answer, if answer.is_some() { 10 } else { 100 }));
        }
    }
    records.push(record("off", 1, None, Some("7"), 20));
    records.push(record("on", 1, None, Some("8"), 20));
    records
}

fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Summary {
    summarise(records, &["off", "on", "base"], Some("off"), &Resampling::default())
}

#[test]
fn each_arm_has_its_numbers() {
    let summary = of(&records());
    let [off, on, base] = &summary.arms[..] else { panic!("{summary:?}") };
    assert_eq!((off.prompts, off.samples, on.prompts, on.samples), (2, 8, 1, 4));
    let means: Vec<_> = off.pass_at.iter().map(|pass| (pass.k, pass.prompts, pass.estimate.mean)).collect();
    // The first prompt: 1/2, 1 - 1/6, 1. The second: 0.
    assert_eq!(means.iter().map(|(k, prompts, _)| (*k, *prompts)).collect::<Vec<_>>(), [(1, 2), (2, 2), (4, 2)]);
    for ((_, _, mean), expected) in means.iter().zip([0.25, 5.0 / 12.0, 0.5]) {
        assert!((mean - expected).abs() < 1e-12);
    }
    assert_eq!(off.greedy.unwrap().mean, 0.0);
    assert_eq!(on.greedy.unwrap().mean, 1.0);
    assert_eq!(off.mean_tokens.unwrap().mean, (10.0 + 130.0 / 4.0) / 2.0);
    // 8 and 8.0 are one answer, none is none.
    assert_eq!(off.distinct_answers.unwrap().mean, 3.0);
    assert_eq!(off.unanswered, 1.0 / 9.0);
    assert_eq!(off.finish_reasons, [("length".to_owned(), 1), ("stop".to_owned(), 8)].into());
    assert_eq!((off.replay, on.replay), (ReplayCounts::default(), ReplayCounts { replayed: 5, ..Default::default() }));
    assert_eq!((base.prompts, base.greedy, base.unanswered, base.pass_at.len()), (0, None, 0.0, 0));
}

#[test]
fn arms_are_compared_on_the_prompts_that_both_have() {
    let summary = of(&records());
    let rows: Vec<_> = summary
        .paired
        .iter()
        .map(|row| (row.metric.to_string(), row.prompts, row.left_out, row.difference.mean))
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| &*row.0).collect();
    assert_eq!(names, ["pass@1", "pass@2", "pass@4", "greedy", "tokens", "distinct answers"]);
    assert!(summary.paired.iter().all(|row| row.arm == "on" && row.against == "off"));
    assert_eq!((rows[0].1, rows[0].2, rows[0].3), (1, 1, 0.5));
    // The second prompt has no greedy answer in either arm.
    assert_eq!((rows[3].1, rows[3].2, rows[3].3), (1, 0, 1.0));
    assert_eq!((rows[5].1, rows[5].2, rows[5].3), (1, 1, -2.0));
    assert!(summarise(&records(), &["on"], Some("off"), &Resampling::default()).paired.is_empty());
    assert!(summarise(&records(), &["on", "off"], None, &Resampling::default()).paired.is_empty());
}

#[test]
fn prompts_with_fewer_samples_are_left_out_of_a_larger_k_and_counted() {
    let mut records = records();
    records.retain(|record| record.item != 2 || record.sample.is_some_and(|sample| sample < 3));
    let off = &of(&records).arms[0];
    assert_eq!(off.pass_at.iter().map(|pass| pass.prompts).collect::<Vec<_>>(), [2, 2, 1]);
}

#[test]
fn the_order_of_records_changes_nothing() {
    let records = records();
    assert_eq!(of(&records), of(records.iter().rev()));
}

#[test]
fn equal_arms_have_no_difference() {
    let mut records = records();
    let twins: Vec<Record> = records
        .iter()
        .filter(|record| record.arm == "off")
        .map(|record| Record { arm: "base".into(), ..record.clone() })
        .collect();
    records.extend(twins);
    let summary = of(&records);
    let rows: Vec<_> = summary.paired.iter().filter(|row| row.arm == "base").collect();
    assert_eq!(rows.len(), 6);
    for row in rows {
        assert_eq!((row.difference, row.p, row.left_out), (Estimate { mean: 0.0, low: 0.0, high: 0.0 }, 1.0, 0));
    }
}

#[test]
fn a_run_of_greedy_answers_alone() {
    let mut records = records();
    records.retain(|record| record.sample.is_none());
    let summary = of(&records);
    assert_eq!(summary.arms[0].mean_tokens.unwrap().mean, 20.0);
    assert_eq!((summary.arms[0].samples, summary.arms[0].distinct_answers), (0, None));
    let names: Vec<_> = summary.paired.iter().map(|row| row.metric.to_string()).collect();
    assert_eq!(names, ["greedy", "greedy tokens"]);
    assert_eq!(of(&[]).arms.len(), 3);
}

#[test]
fn it_is_written_as_json() {
    let json = serde_json::to_value(of(&records())).unwrap();
    assert_eq!(json["arms"][1]["pass_at"][0]["k"], 1);
    assert_eq!(json["arms"][1]["pass_at"][0]["estimate"]["mean"], 1.0);
    assert_eq!(json["paired"][0]["metric"], "pass@1");
    assert_eq!(json["resampling"]["resamples"], 2000);
}

#[test]
fn p_values_are_corrected_for_the_arms_of_each_metric() {
    let mut records = Vec::new();
    for item in 0..30 {
        for (arm, answer) in [("off", "7"), ("on", "8"), ("base", if item % 3 == 0 { "8" } else { "7" })] {
            records.push(record(arm, item, Some(0), Some(answer), 10));
            records.push(record(arm, item, None, Some("7"), 10));
        }
    }
    let summary = of(&records);
    let p = |metric: Metric| -> Vec<(f64, f64)> {
        let pairs = summary.paired.iter().filter(|pair| pair.metric == metric);
        pairs.map(|pair| (pair.p, pair.p_corrected)).collect()
    };
    let [(on, on_corrected), (base, base_corrected)] = p(Metric::PassAt(1))[..] else { panic!("{summary:?}") };
    assert!(on < base && base < 0.05, "{on} {base}");
    assert!((on_corrected - 2.0 * on).abs() < 1e-12 && base_corrected == base.max(on_corrected));
    // Equal greedy answers take no part in the correction of the samples.
    assert_eq!(p(Metric::Greedy), [(1.0, 1.0); 2]);
}
