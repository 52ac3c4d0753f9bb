//! Prints a summary on a terminal, or writes it as a page.
use crate::evaluation::{Estimate, Summary};
use crate::page::{self, Chart, CurvesData, Series, TableData};
use replay_core::tables;

const NOTE: &str = "Means over prompts; in brackets, percentile bootstrap intervals over prompts (95 %). pass@k is the unbiased estimator. \
     Differences are paired: the same prompts and the same seeds; p is of a sign-flip permutation test over prompts, and p Holm corrects it \
     for the number of arms. A small difference on few prompts is not evidence, and neither is the best of many settings.";

pub(super) fn print(about: &str, summary: &Summary) {
    println!("{about}\n");
    // A selection for a narrow terminal; the page and --json have all metrics.
    let max_k = summary.arms.iter().flat_map(|arm| &arm.pass_at).map(|pass| pass.k).max().unwrap_or(1);
    let shown_k = |k: u32| matches!(k, 1 | 4 | 16) || k == max_k;
    let shown_metric =
        |metric: &str| ["greedy".into(), "pass@1".into(), format!("pass@{max_k}")].iter().any(|m: &String| m == metric);
    for table in [arms(summary, &shown_k), differences(summary, &shown_metric)] {
        let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
        println!("{}\n{}\n", table.title, tables::dynamic(&columns, &table.rows));
    }
}

pub(super) fn page(about: &str, summary: &Summary) -> anyhow::Result<String> {
    let ks: Vec<f64> = summary.arms.iter().flat_map(|arm| arm.pass_at.iter().map(|pass| f64::from(pass.k))).collect();
    let mut ks = ks;
    ks.sort_by(f64::total_cmp);
    ks.dedup();
    let series = summary.arms.iter().map(|arm| {
        let at = |pick: fn(&Estimate) -> f64| arm.pass_at.iter().map(|pass| pick(&pass.estimate)).collect();
        Series { name: arm.name.clone(), y: at(|e| e.mean), low: Some(at(|e| e.low)), high: Some(at(|e| e.high)) }
    });
    let chart = Chart {
        title: "pass@k".into(),
        x_label: "k".into(),
        y_label: "share of prompts".into(),
        x: ks,
        series: series.collect(),
        log_x: true,
    };
    let tables = vec![arms(summary, &|_| true), differences(summary, &|_| true)];
    let data = CurvesData { title: "Evaluation", subtitle: about, note: NOTE, charts: vec![chart], tables };
    Ok(page::curves(&data)?)
}

fn interval(estimate: &Estimate, digits: usize) -> String {
    format!("{:.digits$} [{:.digits$}, {:.digits$}]", estimate.mean, estimate.low, estimate.high)
}

fn arms(summary: &Summary, shown: &dyn Fn(u32) -> bool) -> TableData {
    let all = summary.arms.first().into_iter().flat_map(|arm| arm.pass_at.iter().map(|pass| pass.k));
    let ks: Vec<u32> = all.filter(|&k| shown(k)).collect();
    let mut columns = vec!["arm".to_owned()];
    columns.extend(ks.iter().map(|k| format!("pass@{k}")));
    columns.extend(["greedy", "tokens", "distinct answers", "no answer", "cut off", "replayed"].map(String::from));
    let rows = summary.arms.iter().map(|arm| {
        let optional = |e: &Option<Estimate>, digits| e.as_ref().map_or("-".into(), |e| interval(e, digits));
        let mut row = vec![arm.name.clone()];
        row.extend(ks.iter().map(|k| {
            let found = arm.pass_at.iter().find(|pass| pass.k == *k);
            found.map_or("-".into(), |pass| interval(&pass.estimate, 3))
        }));
        row.push(optional(&arm.greedy, 3));
        row.push(optional(&arm.mean_tokens, 1));
        row.push(optional(&arm.distinct_answers, 2));
        row.push(format!("{:.3}", arm.unanswered));
        let all: usize = arm.finish_reasons.values().sum();
        let share = |count: usize| format!("{:.3}", count as f64 / all.max(1) as f64);
        row.push(share(arm.finish_reasons.get("length").copied().unwrap_or(0)));
        row.push(share(arm.replay.replayed));
        row
    });
    TableData { title: "each arm".into(), columns, rows: rows.collect() }
}

fn differences(summary: &Summary, shown: &dyn Fn(&str) -> bool) -> TableData {
    let columns = ["arm", "against", "metric", "difference", "p", "p Holm", "prompts"].map(String::from).to_vec();
    let rows = summary.paired.iter().filter(|pair| shown(&pair.metric.to_string())).map(|pair| {
        vec![
            pair.arm.clone(),
            pair.against.clone(),
            pair.metric.to_string(),
            interval(&pair.difference, 4),
            format!("{:.4}", pair.p),
            format!("{:.4}", pair.p_corrected),
            pair.prompts.to_string(),
        ]
    });
    TableData { title: "differences, prompt by prompt".into(), columns, rows: rows.collect() }
}
