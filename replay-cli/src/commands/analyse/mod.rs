//! `replay analyse`
mod gate;

use crate::analysis::{Analysis, AnalysisSettings, GateCalibration, LayerAnalysis};
use crate::evaluation::{Answers, Item};
use crate::page::{self, Chart, CurvesData, Series, TableData};
use anyhow::Context;
use replay_core::config::Positions;
use replay_core::session::{Directive, Mode, Sampling, Session};
use replay_core::tables;
use serde_json::json;

use super::args::{AnalyseArgs, DataArgs};
use super::exit::InputError;
use super::{data, open, write};

const FRACTIONS: [f64; 6] = [0.2, 0.4, 0.6, 0.8, 0.9, 0.95];

const NOTE: &str = "Read at the output of each policy layer, over the rows that the policy may select, of all prompts. KL(base || RLVR) in \
     nats over the whole vocabulary, each model through its own final norm and head. The paper finds that RLVR moves the rows where the \
     base is most certain (the first bucket) most; whether that is so for these two models is what this shows.";

pub(crate) async fn analyse(args: AnalyseArgs) -> anyhow::Result<()> {
    let config = open::config(&args.config.config)?;
    let items = data::read(&args.data, Answers::Optional)?;
    let others = args.against.as_ref().map(|data| {
        data::read(
            &DataArgs { data: data.clone(), limit: args.data.limit, keep_going: args.data.keep_going },
            Answers::Optional,
        )
    });
    let others = others.transpose()?;
    let session = open::session(&config).await?;
    if session.settings().is_none() {
        return Err(config.refuse("replay.enabled", "true, to analyse a pair", None).into());
    }
    let positions = config.replay.positions;
    let analysis = observed(&*session, &items, positions, args.data.keep_going).await?;
    let against = match others {
        Some(items) => Some(observed(&*session, &items, positions, args.data.keep_going).await?),
        None => None,
    };
    if against.as_ref().is_some_and(|against| against.prompts() == 0) {
        return Err(InputError("--against: no prompt has a row to look at: do they have images?".into()).into());
    }
    let gate = gate::calibrated(&analysis, against.as_ref());
    let settings =
        AnalysisSettings { quantiles: args.quantiles as usize, fractions: FRACTIONS.to_vec(), share: args.share };
    let layers = analysis.layers(&settings);
    layers.first().context("no prompt has a row to look at: do they have images?")?;
    let subtitle = format!(
        "{} against {}, {} prompts, {} rows a layer ({})",
        config.pair.rlvr,
        config.pair.base,
        analysis.prompts(),
        layers[0].rows,
        match positions {
            Positions::Visual => "visual",
            Positions::All => "all",
        }
    );
    if let Some(out) = &args.html {
        write::text(out, &page(&subtitle, &layers, args.share, &gate)?)?;
    }
    if args.json {
        let object = json!({
            "pair": { "base": config.pair.base, "rlvr": config.pair.rlvr },
            "positions": positions,
            "prompts": analysis.prompts(),
            "fractions": FRACTIONS,
            "share": args.share,
            "layers": layers,
            "gate": gate,
        });
        println!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        print(&subtitle, &layers, args.share, &gate);
    }
    Ok(())
}

/// Observes every prompt of a data set.
async fn observed(
    session: &dyn Session,
    items: &[Item],
    positions: Positions,
    keep_going: bool,
) -> anyhow::Result<Analysis> {
    let mut analysis = Analysis::new(positions);
    let bar = open::bar(items.len() as u64, "prompts");
    let one_token = Sampling { max_tokens: Some(1), ..Sampling::default() };
    let observe = Directive { mode: Mode::Off, observe: true, ..Directive::default() };
    for item in items {
        let Some(prompt) = data::prompt(item, keep_going)? else { continue };
        match session.answer(prompt, one_token, observe).await {
            Ok(answer) => {
                if let Some(observation) = &answer.observation {
                    analysis.add(observation);
                }
            }
            Err(error) if keep_going => tracing::warn!("line {}: {error}", item.line),
            Err(error) => return Err(anyhow::Error::from(error).context(format!("line {}", item.line))),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(analysis)
}

fn print(subtitle: &str, layers: &[LayerAnalysis], share: f64, gate: &[GateCalibration]) {
    println!("{subtitle}\n");
    for table in [divergence(layers), selection(layers, share), gate::table(gate)] {
        let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
        println!("{}", table.title);
        println!("{}\n", tables::dynamic(&columns, &table.rows));
    }
    println!("for a configuration that selects {:.0} % of the rows of each layer:", share * 100.0);
    println!("  layers = {}", layer_list(layers));
    println!("  rank.below = {}", thresholds(layers));
    for line in gate::proposal(gate) {
        println!("{line}");
    }
}

fn layer_list(layers: &[LayerAnalysis]) -> String {
    format!("{:?}", layers.iter().map(|layer| layer.layer).collect::<Vec<_>>())
}

/// The thresholds as a TOML list. Four decimals are more than the entropies of two models can be reproduced to.
fn thresholds(layers: &[LayerAnalysis]) -> String {
    let values: Vec<String> = layers.iter().map(|layer| format!("{:.4}", layer.threshold)).collect();
    format!("[{}]", values.join(", "))
}

fn divergence(layers: &[LayerAnalysis]) -> TableData {
    let buckets = layers.iter().map(|layer| layer.kl_by_quantile.len()).max().unwrap_or(0);
    let mut columns: Vec<String> =
        ["layer", "H base min", "mean", "max", "KL mean"].iter().map(ToString::to_string).collect();
    columns.extend((1..=buckets).map(|bucket| format!("KL Q{bucket}")));
    columns.extend(["top-1 agree", "H base < H RLVR", "rows"].map(String::from));
    let row = |layer: &LayerAnalysis| {
        let entropy = layer.entropy;
        let nats =
            |pick: fn(&replay_core::EntropySpread) -> f32| entropy.map_or("-".into(), |e| format!("{:.3}", pick(&e)));
        let mut row = vec![layer.layer.to_string(), nats(|e| e.min), nats(|e| e.mean), nats(|e| e.max)];
        row.push(format!("{:.4}", layer.kl));
        row.extend(layer.kl_by_quantile.iter().map(|kl| format!("{kl:.4}")));
        row.push(format!("{:.3}", layer.agree));
        row.push(format!("{:.3}", layer.base_below_rlvr));
        row.push(layer.rows.to_string());
        row
    };
    TableData {
        title: "KL(base || RLVR) in nats, by base entropy: Q1 are the rows where the base is most certain".into(),
        columns,
        rows: layers.iter().map(row).collect(),
    }
}

fn selection(layers: &[LayerAnalysis], share: f64) -> TableData {
    let mut columns = vec!["layer".to_owned()];
    columns.extend(FRACTIONS.iter().map(|fraction| format!("<= {fraction} max")));
    columns.push(format!("below for {:.0} %", share * 100.0));
    let row = |layer: &LayerAnalysis| {
        let mut row = vec![layer.layer.to_string()];
        row.extend(layer.selected.iter().map(|share| format!("{share:.3}")));
        row.push(format!("{:.4}", layer.threshold));
        row
    };
    TableData {
        title: "share of the rows that fraction_of_max selects, and the absolute threshold for a share".into(),
        columns,
        rows: layers.iter().map(row).collect(),
    }
}

fn page(subtitle: &str, layers: &[LayerAnalysis], share: f64, gate: &[GateCalibration]) -> anyhow::Result<String> {
    let x: Vec<f64> = layers.iter().map(|layer| layer.layer as f64).collect();
    let line = |name: String, pick: &dyn Fn(&LayerAnalysis) -> f64| Series {
        name,
        y: layers.iter().map(pick).collect(),
        low: None,
        high: None,
    };
    let chart = |title: &str, y_label: &str, series: Vec<Series>| Chart {
        title: title.into(),
        x_label: "policy layer".into(),
        y_label: y_label.into(),
        x: x.clone(),
        series,
        log_x: false,
    };
    let buckets = layers.iter().map(|layer| layer.kl_by_quantile.len()).min().unwrap_or(0);
    let entropy = layers.iter().filter_map(|layer| layer.entropy).collect::<Vec<_>>();
    let spread = Series {
        name: "mean, least to largest".into(),
        y: entropy.iter().map(|e| f64::from(e.mean)).collect(),
        low: Some(entropy.iter().map(|e| f64::from(e.min)).collect()),
        high: Some(entropy.iter().map(|e| f64::from(e.max)).collect()),
    };
    let charts = vec![
        chart(
            "How far RLVR moved, by how certain the base was",
            "KL(base || RLVR), nats",
            (0..buckets).map(|b| line(format!("Q{}", b + 1), &move |layer| layer.kl_by_quantile[b])).collect(),
        ),
        chart("Entropy of the base", "nats", vec![spread]),
        chart("Both find the same token likeliest", "share of rows", vec![line("agree".into(), &|l| l.agree)]),
        chart(
            "What fraction_of_max selects",
            "share of rows",
            FRACTIONS.iter().enumerate().map(|(i, f)| line(f.to_string(), &move |layer| layer.selected[i])).collect(),
        ),
    ];
    let tables = vec![divergence(layers), selection(layers, share), gate::table(gate)];
    Ok(page::curves(&CurvesData { title: "Where RLVR moved the activations", subtitle, note: NOTE, charts, tables })?)
}
