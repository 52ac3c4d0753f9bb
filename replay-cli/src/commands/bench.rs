//! `replay bench`: the cost of replay on this machine. The three modes (off, on, on from the cache) take turns in every round, so that other
//! load on the machine affects all of them.
use anyhow::Context;
use replay_core::config::Strategy;
use replay_core::session::{Answer, Directive, Mode, Prompt, Sampling, Session};
use replay_core::tables;
use replay_core::{Milliseconds, PairInfo, Report};
use serde::Serialize;

use super::args::BenchArgs;
use super::exit::InputError;
use super::{memory, open};

const MODES: [&str; 3] = ["off", "on", "on, cached"];

/// The measurements of one mode over all rounds.
#[derive(Debug, Serialize)]
struct ModeFigures {
    name: &'static str,
    time_to_first_token_ms: Spread,
    /// Time to first token relative to replay off in the same round.
    ratio: Spread,
    /// Generated tokens per second, from the first to the last.
    tokens_per_second: Spread,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

#[derive(Debug, Serialize)]
struct Figures<'a> {
    pair: &'a PairInfo,
    rounds: u32,
    rows: usize,
    visual_rows: usize,
    selected: usize,
    /// The JSON key is older than the name.
    #[serde(rename = "ways")]
    modes: Vec<ModeFigures>,
    /// Medians of the steps of replay without the cache.
    milliseconds: Milliseconds,
    /// Lower limit of the time to first token relative to replay off, from the arithmetic that replay cannot avoid.
    limit: f64,
    limit_terms: String,
    memory_mib: Option<Memory>,
}

#[derive(Debug, Serialize)]
struct Memory {
    loaded: u64,
    peak: u64,
    cache: f64,
}

pub(crate) async fn bench(args: BenchArgs) -> anyhow::Result<()> {
    let mut config = open::config(&args.config.config)?;
    // The third mode needs a cache that holds the prompt.
    config.replay.cache.max_bytes = config.replay.cache.max_bytes.max(1 << 30);
    // Every mode has to run the whole prompt.
    config.replay.cache.prefix_bytes = 0;
    if !args.prompt.has_media() {
        return Err(InputError("a bench needs a prompt with at least one --image or --video".into()).into());
    }
    let prompt = open::prompt(args.prompt).await?;
    let session = open::session(&config).await?;
    let pair = session.facts().pair.context("replay.enabled is false: there is nothing to measure")?;
    let loaded = memory::resident();
    let sampling = Sampling { max_tokens: Some(args.max_tokens as usize), ..Sampling::default() };
    let bar = open::bar(u64::from(args.rounds) + 1, "rounds");
    let mut rounds: Vec<[Answer; 3]> = Vec::new();
    for round in 0..=args.rounds as usize {
        let mut answers = [None, None, None];
        for offset in 0..MODES.len() {
            let mode = (offset + round) % MODES.len();
            answers[mode] = Some(ask(&*session, &prompt, sampling, mode).await?);
        }
        bar.inc(1);
        let [Some(off), Some(on), Some(cached)] = answers else { continue };
        // The first round fills caches, including the replay cache, and is not measured.
        if round > 0 {
            rounds.push([off, on, cached]);
        }
    }
    bar.finish_and_clear();
    let report = |index: usize| rounds.iter().filter_map(move |round| round[index].replay.as_ref());
    let first: &Report = report(1).next().context("the engine answered without a report")?;
    let closed = |report: &Report| report.gate.is_some_and(|gate| !gate.open);
    let served = report(2).all(|report| report.cache_hits == 1 || closed(report));
    anyhow::ensure!(served, "a prompt was not served from the replay cache");
    let milliseconds = medians(&report(1).map(|report| report.milliseconds).collect::<Vec<_>>());
    let off = median(rounds.iter().map(|round| round[0].time_to_first_token_ms).collect());
    let (limit, limit_terms) = limit(&pair, config.replay.strategy, first, &milliseconds, off);
    let figures = Figures {
        pair: &pair,
        rounds: args.rounds,
        rows: first.rows,
        visual_rows: first.visual_rows,
        selected: first.selected(),
        modes: (0..MODES.len()).map(|mode| figures_of(mode, &rounds)).collect(),
        milliseconds,
        limit,
        limit_terms,
        memory_mib: loaded.zip(memory::resident()).map(|(loaded, now)| Memory {
            loaded: loaded.0,
            peak: now.1,
            cache: session.statistics().cache_bytes as f64 / f64::from(1 << 20),
        }),
    };
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&figures)?),
        false => print(&figures),
    }
    Ok(())
}

/// Asks in one of [`MODES`].
async fn ask(session: &dyn Session, prompt: &Prompt, sampling: Sampling, index: usize) -> anyhow::Result<Answer> {
    let mode = if index == 0 { Mode::Off } else { Mode::On };
    let directive = Directive { mode, fresh: index == 1, ..Directive::default() };
    Ok(session.answer(prompt.clone(), sampling, directive).await?)
}

fn figures_of(mode: usize, rounds: &[[Answer; 3]]) -> ModeFigures {
    let spread = |f: &dyn Fn(&[Answer; 3]) -> f64| Spread::of(rounds.iter().map(f).collect());
    ModeFigures {
        name: MODES[mode],
        time_to_first_token_ms: spread(&|round| round[mode].time_to_first_token_ms),
        ratio: spread(&|round| round[mode].time_to_first_token_ms / round[0].time_to_first_token_ms),
        tokens_per_second: spread(&|round| {
            let answer = &round[mode];
            (answer.usage.completion_tokens.saturating_sub(1)) as f64 * 1e3
                / (answer.total_ms - answer.time_to_first_token_ms).max(f64::MIN_POSITIVE)
        }),
    }
}

/// The cost of the passes and lenses that replay cannot avoid, in prefills, with its terms as text. A learning pass runs the layers forward
/// and backward, over the rows up to the last visual one only.
fn limit(pair: &PairInfo, strategy: Strategy, report: &Report, ms: &Milliseconds, off: f64) -> (f64, String) {
    let share = pair.base.loaded_layers as f64 / pair.rlvr.decoder_layers as f64;
    // The gate runs both models up to its residual; a closed one ends there.
    let gate = report.gate.map_or(0.0, |gate| 2.0 * gate.residual as f64 / pair.rlvr.decoder_layers as f64);
    if report.gate.is_some_and(|gate| !gate.open) {
        return (1.0 + gate, format!("1 + gate {gate:.2}"));
    }
    let start = 1.0 + gate;
    let lens = (ms.rank + ms.targets) / off.max(f64::MIN_POSITIVE);
    let clean = if ms.capture_rlvr > 0.5 { share } else { 0.0 };
    match (strategy, &report.learned) {
        (Strategy::Learned, Some(learned)) => {
            let rows = report.visual_rows as f64 / report.rows as f64;
            let passes = 2.0 * learned.iterations as f64 + 2.0;
            let limit = start + share * rows * passes + lens;
            let terms = format!(
                "{start:.2} + {share:.2} of the layers x {rows:.2} of the rows x (1 base + 2 x {} + 1) passes + lens {lens:.2}",
                learned.iterations
            );
            (limit, terms)
        }
        _ => (
            start + share + clean + lens,
            format!("{start:.2} + base {share:.2} + clean RLVR {clean:.2} + lens {lens:.2}"),
        ),
    }
}

impl Spread {
    fn of(values: Vec<f64>) -> Self {
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &x| (low.min(x), high.max(x)));
        Self { median: median(values), low, high }
    }

    fn show(&self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$} to {:.digits$})", self.median, self.low, self.high)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn medians(all: &[Milliseconds]) -> Milliseconds {
    let median_of = |pick: fn(&Milliseconds) -> f64| median(all.iter().map(pick).collect());
    Milliseconds {
        capture_base: median_of(|ms| ms.capture_base),
        capture_rlvr: median_of(|ms| ms.capture_rlvr),
        rank: median_of(|ms| ms.rank),
        targets: median_of(|ms| ms.targets),
        learn: median_of(|ms| ms.learn),
        substitute: median_of(|ms| ms.substitute),
        gate: median_of(|ms| ms.gate),
        measure_kl: median_of(|ms| ms.measure_kl),
    }
}

fn print(figures: &Figures<'_>) {
    println!("{}", tables::pair(figures.pair));
    println!(
        "{} prompt rows, {} visual, {} selected over the policy layers; {} rounds",
        figures.rows, figures.visual_rows, figures.selected, figures.rounds
    );
    let mut table = tables::table(["replay", "time to first token, ms", "over off", "tokens per second"]);
    for mode in &figures.modes {
        table.add_row([
            mode.name.to_string(),
            mode.time_to_first_token_ms.show(0),
            mode.ratio.show(2),
            mode.tokens_per_second.show(1),
        ]);
    }
    tables::numbers_right(&mut table, 1);
    println!("{table}");
    let ms = &figures.milliseconds;
    println!(
        "of it, ms: gate {:.0}, base pass {:.0}, clean RLVR pass {:.0}, lens and ranking {:.0}, targets {:.0}, learning {:.0}, edits {:.1}",
        ms.gate, ms.capture_base, ms.capture_rlvr, ms.rank, ms.targets, ms.learn, ms.substitute
    );
    println!("arithmetic limit of on over off: {:.2} = {}", figures.limit, figures.limit_terms);
    if let Some(memory) = &figures.memory_mib {
        println!(
            "memory: {} MiB with both models loaded, {} MiB at the peak, {:.1} MiB in the cache",
            memory.loaded, memory.peak, memory.cache
        );
    }
}
