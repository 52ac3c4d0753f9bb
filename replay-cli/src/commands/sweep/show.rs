//! Prints a sweep on a terminal, or writes it as a page.
use crate::evaluation::Estimate;
use crate::evaluation::sweep::{Effect, Outcome, Sweep};
use crate::page::{self, Chart, CurvesData, Series, TableData};
use replay_core::tables;

const NOTE: &str = "Every visual row of the named residuals is replaced by the base's. The change is against replay off, prompt by prompt with \
     the same seeds; in brackets its bootstrap interval (95 %). p is of a sign-flip permutation test, corrected for the number of rows of \
     the table (Holm). The ceiling is the change with all residuals: bringing back a part can do better only where some of the rest does \
     harm. A proposal is a hypothesis: test it on other prompts with replay eval.";

pub(super) fn print(about: &str, sweep: &Sweep) {
    println!("{about}\n");
    let table = table(sweep);
    let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    println!("{}\n{}\n", table.title, tables::dynamic(&columns, &table.rows));
    for line in conclusions(sweep) {
        println!("{line}");
    }
    println!();
}

pub(super) fn page(about: &str, sweep: &Sweep) -> anyhow::Result<String> {
    let x: Vec<f64> = sweep.residuals.iter().filter_map(|effect| Some(effect.residual? as f64)).collect();
    let at = |pick: fn(&Estimate) -> f64| sweep.residuals.iter().map(|effect| pick(&effect.change)).collect();
    let single =
        Series { name: "one residual".into(), y: at(|e| e.mean), low: Some(at(|e| e.low)), high: Some(at(|e| e.high)) };
    let level = |name: &str, effect: &Effect| {
        let all = |value: f64| vec![value; x.len()];
        let Estimate { mean, low, high } = effect.change;
        Series { name: name.to_owned(), y: all(mean), low: Some(all(low)), high: Some(all(high)) }
    };
    let mut series = vec![single];
    series.extend(sweep.ceiling.iter().map(|effect| level("all residuals: the ceiling", effect)));
    series.extend(sweep.configured.iter().map(|effect| level(&effect.arm, effect)));
    let chart = Chart {
        title: format!("change of {} by residual", name(sweep.outcome)),
        x_label: "residual".into(),
        y_label: format!("change of {}", name(sweep.outcome)),
        x,
        series,
        log_x: false,
    };
    let rows = conclusions(sweep).into_iter().map(|line| vec![line]).collect();
    let conclusions = TableData { title: "conclusions".into(), columns: vec![String::new()], rows };
    let data = CurvesData {
        title: "Sweep",
        subtitle: about,
        note: NOTE,
        charts: vec![chart],
        tables: vec![table(sweep), conclusions],
    };
    Ok(page::curves(&data)?)
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Right => "pass@1",
        Outcome::LikeBase => "answers like the base's",
    }
}

fn table(sweep: &Sweep) -> TableData {
    let judged = sweep.outcome == Outcome::Right;
    let mut columns =
        vec!["the base's visual rows at".to_owned(), name(sweep.outcome).to_owned(), "change".into(), "p Holm".into()];
    if judged {
        columns.extend(["greedy", "solved", "like the base's"].map(String::from));
    }
    columns.push("like off".into());
    let effects = sweep.residuals.iter().chain(&sweep.ceiling).chain(&sweep.configured);
    let mut rows: Vec<Vec<String>> = effects
        .map(|effect| {
            let mut row = vec![
                effect.arm.clone(),
                format!("{:.3}", effect.outcome.mean),
                interval(&effect.change, 3),
                format!("{:.4}", effect.p_corrected),
            ];
            if judged {
                let shares = [effect.greedy, effect.solved, Some(effect.like_base)];
                row.extend(shares.map(|share| share.map_or("-".into(), |share| format!("{:.3}", share.mean))));
            }
            row.push(format!("{:.3}", effect.like_off.mean));
            row
        })
        .collect();
    for (arm, outcome) in [("nowhere (replay off)", sweep.off), ("the base alone", sweep.base)] {
        let mut row = vec![arm.to_owned(), outcome.map_or("-".into(), |outcome| format!("{:.3}", outcome.mean))];
        row.resize(columns.len(), "-".into());
        rows.push(row);
    }
    TableData { title: format!("{} prompts that every arm has answered", sweep.prompts), columns, rows }
}

/// What the sweep says, in sentences.
fn conclusions(sweep: &Sweep) -> Vec<String> {
    let (Some(ceiling), Some(configured)) = (&sweep.ceiling, &sweep.configured) else {
        return vec!["no prompt was answered by every arm: nothing can be said".into()];
    };
    let outcome = name(sweep.outcome);
    let mut lines = vec![format!("ceiling: {} of {outcome}", signed(&ceiling.change))];
    lines.push(match &sweep.reached {
        Some(reached) => format!(
            "reached: {:.0} % [{:.0}, {:.0}] of it by {}",
            100.0 * reached.mean,
            100.0 * reached.low,
            100.0 * reached.high,
            configured.arm
        ),
        None => format!(
            "reached: {} by {}; a share of a ceiling that may be zero says nothing",
            signed(&configured.change),
            configured.arm
        ),
    });
    lines.push(match () {
        () if ceiling.change.low > 0.0 => "The base's visual rows hold something that the RLVR model lost: replay can help here.".into(),
        () if ceiling.change.high < 0.0 => "Bringing back the base's visual rows costs here: RLVR made them better for these prompts.".into(),
        () => format!(
            "On these {} prompts, bringing back every visual row of the base changes nothing that can be told from chance: no replay of \
             visual rows is likely to help. More prompts narrow the interval.",
            sweep.prompts
        ),
    });
    match &sweep.proposal {
        Some(proposal) => {
            lines.push("proposed, to be tested on other prompts:".into());
            if !proposal.layers.is_empty() {
                lines.push(format!("  replay.layers = {:?}", proposal.layers));
            }
            lines.push(format!("  replay.learned.inject = {}", proposal.inject));
        }
        None => lines.push("proposed: nothing, as no residual alone helps beyond chance".into()),
    }
    lines
}

fn interval(estimate: &Estimate, digits: usize) -> String {
    format!("{:+.digits$} [{:+.digits$}, {:+.digits$}]", estimate.mean, estimate.low, estimate.high)
}

fn signed(estimate: &Estimate) -> String {
    interval(estimate, 3)
}
