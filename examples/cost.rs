//! What replay costs on this machine: time to first token off and on, interleaved, and the memory of the loaded pair.
//!
//!     cargo seam run --example cost -- replay.toml image.png "What is in the picture?" 15
use std::path::Path;

use anyhow::Context;
use replay_core::Config;
use replay_mistralrs::{Directive, Mode, Prompt, Sampling, Session};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next =
        |name: &str| arguments.next().with_context(|| format!("arguments: CONFIG IMAGE PROMPT ROUNDS; no {name}"));
    let mut config = Config::from_file(next("CONFIG")?)?;
    // The same prompt again and again would pay once.
    config.replay.cache.max_bytes = 0;
    let prompt = Prompt { images: vec![image::open(next("IMAGE")?)?], text: next("PROMPT")?, system: None };
    let rounds: usize = next("ROUNDS")?.parse()?;

    let session = Session::open(&config).await?;
    let loaded = memory();
    let pair = session.replay().context("replay is disabled")?.pair().clone();
    let (mut off, mut on, mut ratios, mut steps) = (vec![], vec![], vec![], vec![]);
    for round in 0..=rounds {
        let mut times = [0.0; 2];
        for (index, mode) in [Mode::Off, Mode::On].into_iter().enumerate() {
            let sampling = Sampling { max_tokens: 1, ..Sampling::default() };
            let answer = session.ask(prompt.clone(), sampling, Directive { mode, ..Directive::default() }).await?;
            times[index] = answer.time_to_first_token_ms;
            if let (Mode::On, Some(report)) = (mode, answer.replay) {
                let ms = report.milliseconds;
                steps.push([ms.capture_base, ms.capture_rlvr, ms.rank, ms.targets + ms.learn, ms.substitute]);
                if round == 0 {
                    println!("{} rows, {} visual, {} selected", report.rows, report.visual_rows, report.selected());
                }
            }
        }
        // The first round warms caches of all kinds.
        if round > 0 {
            off.push(times[0]);
            on.push(times[1]);
            ratios.push(times[1] / times[0]);
        } else {
            steps.clear();
        }
    }
    let step = |index: usize| median(steps.iter().map(|step: &[f64; 5]| step[index]).collect());
    println!("time to first token, median of {rounds}: off {:.0} ms, on {:.0} ms", median(off), median(on));
    let (lowest, highest) = ratios.iter().fold((f64::MAX, 0f64), |(low, high), &r| (low.min(r), high.max(r)));
    println!("on / off, paired: median {:.2}, {lowest:.2} to {highest:.2}", median(ratios));
    println!(
        "of it: base pass {:.0} ms ({} of {} layers), clean RLVR pass {:.0} ms, lens and ranking {:.0} ms, learning {:.0} ms, edits {:.1} ms",
        step(0),
        pair.base.loaded_layers,
        pair.base.decoder_layers,
        step(1),
        step(2),
        step(3),
        step(4)
    );
    if let (Some(loaded), Some(peak)) = (loaded, memory()) {
        println!("memory: {} MiB resident with both models, {} MiB at the peak", loaded.0 / 1024, peak.1 / 1024);
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Resident memory and its peak, in KiB, where the system tells.
fn memory() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let field =
        |name: &str| status.lines().find(|line| line.starts_with(name))?.split_whitespace().nth(1)?.parse().ok();
    Some((field("VmRSS:")?, field("VmHWM:")?))
}
