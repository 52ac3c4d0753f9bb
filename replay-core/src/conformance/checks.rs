//! The checks themselves. Each compares two runs that differ in one thing only, so that one fault fails one check.
use super::{Check, Plan, Prefill, Step, Subject};
use crate::config::{Layers, Positions, Replay, Rule, Strategy};
use crate::{Activations, Replayer, Result, Role};

type Outcome = Result<std::result::Result<(), String>>;

pub(super) async fn check(check: Check, subject: &mut dyn Subject) -> Outcome {
    match check {
        Check::LabelsAreWhole => labels(subject).await,
        Check::OffIsIdentical => off(subject).await,
        Check::CaptureDoesNotPerturb => capture(subject).await,
        Check::EarlyExitLeavesNoTrace => early_exit(subject).await,
        Check::EditsLandOnTheirRows => edits(subject).await,
        Check::TwinsAreANoOp => twins(subject).await,
        Check::RowsStayWithTheirSequence => batch(subject).await,
        Check::GradientsAreOfThePasses => gradients(subject).await,
    }
}

/// Replaces every row of every residual that a tap sees.
fn everything(subject: &dyn Subject) -> Result<Replayer> {
    let layers = subject.decoder_layers();
    let mut replay = Replay::new(Strategy::Substitute, Layers::First(layers), Rule::FractionOfMax(1.0));
    replay.positions = Positions::All;
    Replayer::new(&replay, layers)
}

/// What [`everything`] captures, without the edits.
fn same_captures(subject: &dyn Subject) -> Plan {
    Plan(vec![Step::Capture(Role::Base, (1..=subject.decoder_layers()).collect())])
}

async fn one(subject: &mut dyn Subject, prompt: usize, plan: Plan) -> Result<Prefill> {
    let mut all = subject.prefill(vec![(prompt, plan)]).await?;
    Ok(all.remove(0))
}

fn same_bits(what: &str, a: &[f32], b: &[f32]) -> std::result::Result<(), String> {
    let equal = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
    if equal { Ok(()) } else { Err(format!("{what}: log-probabilities differ by {:e}", distance(a, b))) }
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}

fn same_residuals(what: &str, a: &Activations, b: &Activations, layers: &[usize]) -> Outcome {
    for &layer in layers {
        let bits = |activations: &Activations| -> Result<Vec<u32>> {
            let residual = activations.residual(layer)?.to_dtype(candle_core::DType::F32)?;
            Ok(residual.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits).collect())
        };
        if bits(a)? != bits(b)? {
            return Ok(Err(format!("{what}: residual[{layer}] differs")));
        }
    }
    Ok(Ok(()))
}

async fn labels(subject: &mut dyn Subject) -> Outcome {
    let look = || Plan(vec![Step::Capture(Role::Base, vec![0])]);
    let prefills = subject.prefill(vec![(0, look()), (1, look())]).await?;
    let mut sequences = Vec::new();
    for prefill in &prefills {
        let Some(prompt) = &prefill.observed.prompt else { return Ok(Err("the plan was not run".into())) };
        let rows = prompt.rows();
        if rows.iter().enumerate().any(|(i, row)| row.position != i || row.sequence != rows[0].sequence) {
            return Ok(Err("rows are not in prompt order, or not of one sequence".into()));
        }
        let mut next = 0;
        for (index, image) in prompt.images().iter().enumerate() {
            let labels: Vec<_> = rows.iter().filter_map(|row| row.visual).filter(|v| v.image == index).collect();
            let mut places = Vec::new();
            let mut first = 0;
            for grid in &image.grids {
                for frame in first..first + grid.frames {
                    places.extend(
                        (0..grid.rows).flat_map(|row| (0..grid.columns).map(move |column| (frame, row, column))),
                    );
                }
                first += grid.frames;
            }
            if !labels.iter().map(|v| (v.frame, v.row, v.column)).eq(places.iter().copied()) {
                return Ok(Err(format!("image {index} of {} tokens is labelled {labels:?}", places.len())));
            }
            next += places.len();
        }
        if (next > 0) != subject.has_visual_rows() || prompt.visual_rows().len() != next {
            return Ok(Err(format!("{} visual rows for images of {next} tokens", prompt.visual_rows().len())));
        }
        if prefill.observed.captures[0].rows() != rows.len() {
            return Ok(Err("a capture has other rows than the prompt".into()));
        }
        sequences.push(rows[0].sequence);
    }
    Ok(if sequences[0] == sequences[1] { Err("two sequences have one name".into()) } else { Ok(()) })
}

async fn off(subject: &mut dyn Subject) -> Outcome {
    let replay = Plan(vec![Step::Replay(everything(subject)?)]);
    let before = one(subject, 0, Plan::default()).await?;
    one(subject, 0, replay).await?;
    let after = one(subject, 0, Plan::default()).await?;
    Ok(same_bits("off, on, off", &before.log_probs, &after.log_probs))
}

async fn capture(subject: &mut dyn Subject) -> Outcome {
    let layers: Vec<usize> = (0..=subject.decoder_layers()).collect();
    let plain = one(subject, 0, Plan::default()).await?;
    for role in [Role::Base, Role::Rlvr] {
        let captured = one(subject, 0, Plan(vec![Step::Capture(role, layers.clone())])).await?;
        if let Err(why) = same_bits(&format!("with a {role} capture"), &plain.log_probs, &captured.log_probs) {
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}

async fn early_exit(subject: &mut dyn Subject) -> Outcome {
    let all: Vec<usize> = (0..=subject.decoder_layers()).collect();
    for role in [Role::Base, Role::Rlvr] {
        let full = one(subject, 0, Plan(vec![Step::Capture(role, all.clone())])).await?;
        let stopped = Plan(vec![Step::Capture(role, vec![1]), Step::Capture(role, all.clone())]);
        let stopped = one(subject, 0, stopped).await?;
        let [early, again] = &stopped.observed.captures[..] else { return Ok(Err("a capture is missing".into())) };
        let full = &full.observed.captures[0];
        for (what, other, layers) in [("stopped early", early, &all[1..2]), ("after an early stop", again, &all[..])] {
            if let Err(why) = same_residuals(&format!("{role}, {what}"), full, other, layers)? {
                return Ok(Err(why));
            }
        }
    }
    Ok(Ok(()))
}

async fn edits(subject: &mut dyn Subject) -> Outcome {
    let layers = subject.decoder_layers();
    let plain = one(subject, 0, Plan(vec![Step::Capture(Role::Rlvr, vec![layers])])).await?;
    let candidates = if subject.has_visual_rows() { Positions::Visual } else { Positions::All };
    let rows = plain.observed.prompt.as_ref().map(|prompt| prompt.candidates(candidates)).unwrap_or_default();
    // Not all rows, or a shift by one row could go unseen.
    let rows: Vec<usize> = rows.iter().copied().step_by(2).collect();
    for layer in 1..=layers {
        let own = Plan(vec![Step::Edit { role: Role::Rlvr, layer, rows: rows.clone() }]);
        let own = one(subject, 0, own).await?;
        if let Err(why) =
            same_bits(&format!("rows of residual[{layer}] replaced by themselves"), &plain.log_probs, &own.log_probs)
        {
            return Ok(Err(why));
        }
    }
    // After the last layer that reads them, only the last row reaches the first token.
    for layer in 1..subject.reading_layers() {
        let base = Plan(vec![Step::Edit { role: Role::Base, layer, rows: rows.clone() }]);
        let base = one(subject, 0, base).await?;
        if same_bits("", &plain.log_probs, &base.log_probs).is_ok() {
            return Ok(Err(format!("rows of residual[{layer}] replaced by the base's changed nothing")));
        }
    }
    Ok(Ok(()))
}

async fn twins(subject: &mut dyn Subject) -> Outcome {
    let all: Vec<usize> = (0..=subject.decoder_layers()).collect();
    let both = Plan(vec![Step::Capture(Role::Base, all.clone()), Step::Capture(Role::Rlvr, all.clone())]);
    let both = one(subject, 0, both).await?;
    let [base, rlvr] = &both.observed.captures[..] else { return Ok(Err("a capture is missing".into())) };
    if let Err(why) = same_residuals("base and RLVR", base, rlvr, &all)? {
        return Ok(Err(why));
    }
    let plain = same_captures(subject);
    let plain = one(subject, 0, plain).await?;
    let replay = Plan(vec![Step::Replay(everything(subject)?)]);
    let replayed = one(subject, 0, replay).await?;
    Ok(same_bits("replayed", &plain.log_probs, &replayed.log_probs))
}

async fn batch(subject: &mut dyn Subject) -> Outcome {
    let replay = Plan(vec![Step::Replay(everything(subject)?)]);
    let alone = [one(subject, 0, replay.clone()).await?, one(subject, 1, Plan::default()).await?];
    let tolerance = subject.batch_tolerance();
    for order in [[0, 1], [1, 0]] {
        let plan = |prompt| if prompt == 0 { replay.clone() } else { Plan::default() };
        let together = subject.prefill(order.iter().map(|&prompt| (prompt, plan(prompt))).collect()).await?;
        for (place, &prompt) in order.iter().enumerate() {
            let distance = distance(&alone[prompt].log_probs, &together[place].log_probs);
            if distance > tolerance || distance.is_nan() {
                return Ok(Err(format!(
                    "prompt {prompt} at place {place} of a batch differs from alone by {distance:e}"
                )));
            }
        }
    }
    Ok(Ok(()))
}

/// An engine in half precision rounds so far on its way; layers that are not its own are further off.
const ROUNDED: f64 = 0.05;
/// What f32 and the bend of a layer leave between a slope and the gradient.
const SLOPE: f64 = 0.02;

async fn gradients(subject: &mut dyn Subject) -> Outcome {
    let layers = 0..subject.decoder_layers();
    for role in [Role::Base, Role::Rlvr] {
        let look = one(subject, 0, Plan(vec![Step::Differentiate(role, layers.clone())])).await?;
        let Some(Some(found)) = look.observed.gradients.first() else { continue };
        // A NaN must not pass for small.
        if found.forward.is_nan() || found.forward > ROUNDED {
            return Ok(Err(format!(
                "{role}: the last residual is {:e} of the largest off a captured one",
                found.forward
            )));
        }
        if found.slope.is_nan() || found.slope > SLOPE {
            return Ok(Err(format!("{role}: a slope is {:e} of the steepest off the gradient", found.slope)));
        }
    }
    Ok(Ok(()))
}
