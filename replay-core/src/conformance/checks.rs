//! The checks themselves. Each compares two runs that differ in one thing only, so that one fault fails one check.
use candle_core::DType;

use super::check::Check;
use super::plan::{Plan, Step};
use super::subject::{Prefill, Subject};
use crate::config::{Layers, Positions, Replay, Rule, Strategy};
use crate::{Activations, Exactness, Replayer, Result, Role, RowSet};

/// Whether a check holds, or why it does not; an error where it could not be run.
type Holds = Result<std::result::Result<(), String>>;

/// Whether a check holds for a subject.
pub(super) async fn holds(check: Check, subject: &mut dyn Subject) -> Holds {
    match check {
        Check::LabelsAreWhole => labels(subject).await,
        Check::OffIsIdentical => off(subject).await,
        Check::CaptureDoesNotPerturb => capture(subject).await,
        Check::EarlyExitLeavesNoTrace => early_exit(subject).await,
        Check::CapturesHoldTheirRows => captured_rows(subject).await,
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

/// Whether two prefills give the same answer, as exactly as the engine says that it repeats itself.
fn same_answer(what: &str, a: &Prefill, b: &Prefill) -> std::result::Result<(), String> {
    if exactness(a, b).agree(&a.log_probs, &b.log_probs, 1.0) {
        return Ok(());
    }
    Err(format!("{what}: log-probabilities differ by {:e}", distance(&a.log_probs, &b.log_probs)))
}

/// What the engine states; a prefill without a plan has not asked it.
fn exactness(a: &Prefill, b: &Prefill) -> Exactness {
    a.observed.exactness.or(b.observed.exactness).unwrap_or(Exactness::Bits)
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}

/// Whether two captures hold the same values at some rows of some residuals.
fn same_residuals(
    what: &str,
    exactness: Exactness,
    (a, b): (&Activations, &Activations),
    layers: &[usize],
    rows: &RowSet,
) -> Holds {
    for &layer in layers {
        let values = |activations: &Activations| -> Result<Vec<f32>> {
            let residual = activations.select(layer, rows)?.to_dtype(DType::F32)?;
            Ok(residual.flatten_all()?.to_vec1::<f32>()?)
        };
        let (a, b) = (values(a)?, values(b)?);
        let largest = a.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        if !exactness.agree(&a, &b, largest) {
            return Ok(Err(format!("{what}: residual[{layer}] differs by {:e}", distance(&a, &b))));
        }
    }
    Ok(Ok(()))
}

async fn labels(subject: &mut dyn Subject) -> Holds {
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
        if prefill.observed.captures.first().is_none_or(|capture| capture.rows() != rows.len()) {
            return Ok(Err("a capture has other rows than the prompt".into()));
        }
        sequences.push(rows[0].sequence);
    }
    Ok(if sequences[0] == sequences[1] { Err("two sequences have one name".into()) } else { Ok(()) })
}

async fn off(subject: &mut dyn Subject) -> Holds {
    let replay = Plan(vec![Step::Replay(everything(subject)?)]);
    let mut before = one(subject, 0, Plan::default()).await?;
    let replayed = one(subject, 0, replay).await?;
    let after = one(subject, 0, Plan::default()).await?;
    before.observed.exactness = replayed.observed.exactness;
    Ok(same_answer("off, on, off", &before, &after))
}

async fn capture(subject: &mut dyn Subject) -> Holds {
    let layers: Vec<usize> = (0..=subject.decoder_layers()).collect();
    let plain = one(subject, 0, Plan::default()).await?;
    for role in [Role::Base, Role::Rlvr] {
        let captured = one(subject, 0, Plan(vec![Step::Capture(role, layers.clone())])).await?;
        if let Err(why) = same_answer(&format!("with a {role} capture"), &plain, &captured) {
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}

async fn early_exit(subject: &mut dyn Subject) -> Holds {
    let all: Vec<usize> = (0..=subject.decoder_layers()).collect();
    for role in [Role::Base, Role::Rlvr] {
        let full = one(subject, 0, Plan(vec![Step::Capture(role, all.clone())])).await?;
        let stopped = Plan(vec![Step::Capture(role, vec![1]), Step::Capture(role, all.clone())]);
        let stopped = one(subject, 0, stopped).await?;
        let exactness = exactness(&full, &stopped);
        let [early, again] = &stopped.observed.captures[..] else { return Ok(Err("a capture is missing".into())) };
        let [full] = &full.observed.captures[..] else { return Ok(Err("a capture is missing".into())) };
        let rows = full.prompt_rows();
        for (what, other, layers) in [("stopped early", early, &all[1..2]), ("after an early stop", again, &all[..])] {
            let both = (full, other);
            if let Err(why) = same_residuals(&format!("{role}, {what}"), exactness, both, layers, rows)? {
                return Ok(Err(why));
            }
        }
    }
    Ok(Ok(()))
}

/// A capture of some rows is that part of a capture of all.
async fn captured_rows(subject: &mut dyn Subject) -> Holds {
    let layers: Vec<usize> = (0..=subject.decoder_layers()).collect();
    for role in [Role::Base, Role::Rlvr] {
        let full = one(subject, 0, Plan(vec![Step::Capture(role, layers.clone())])).await?;
        let [all] = &full.observed.captures[..] else { return Ok(Err("a capture is missing".into())) };
        for (first, step) in [(1, 2), (0, 3)] {
            let rows = RowSet::new((first..all.rows()).step_by(step).collect())?;
            let plan = Plan(vec![Step::CaptureRows { role, layers: layers.clone(), rows: rows.clone() }]);
            let part = one(subject, 0, plan).await?;
            let exactness = exactness(&full, &part);
            let [some] = &part.observed.captures[..] else { return Ok(Err("a capture is missing".into())) };
            let what = format!("{role}, {} rows of {}", rows.len(), all.rows());
            if some.prompt_rows() != &rows {
                return Ok(Err(format!("{what}: the capture holds {} rows", some.rows())));
            }
            if let Err(why) = same_residuals(&what, exactness, (all, some), &layers, &rows)? {
                return Ok(Err(why));
            }
        }
    }
    Ok(Ok(()))
}

async fn edits(subject: &mut dyn Subject) -> Holds {
    let layers = subject.decoder_layers();
    let plain = one(subject, 0, Plan(vec![Step::Capture(Role::Rlvr, vec![layers])])).await?;
    let candidates = if subject.has_visual_rows() { Positions::Visual } else { Positions::All };
    let rows = plain.observed.prompt.as_ref().map(|prompt| prompt.candidates(candidates)).unwrap_or_default();
    // Not all rows, or a shift by one row could go unseen.
    let rows = RowSet::new(rows.iter().step_by(2).collect())?;
    for layer in 1..=layers {
        let own = Plan(vec![Step::Edit { role: Role::Rlvr, layer, rows: rows.clone() }]);
        let own = one(subject, 0, own).await?;
        if let Err(why) = same_answer(&format!("rows of residual[{layer}] replaced by themselves"), &plain, &own) {
            return Ok(Err(why));
        }
    }
    // After the last layer that reads them, only the last row reaches the first token.
    for layer in 1..subject.reading_layers() {
        let base = Plan(vec![Step::Edit { role: Role::Base, layer, rows: rows.clone() }]);
        let base = one(subject, 0, base).await?;
        if same_answer("", &plain, &base).is_ok() {
            return Ok(Err(format!("rows of residual[{layer}] replaced by the base's changed nothing")));
        }
    }
    Ok(Ok(()))
}

async fn twins(subject: &mut dyn Subject) -> Holds {
    let all: Vec<usize> = (0..=subject.decoder_layers()).collect();
    let both = Plan(vec![Step::Capture(Role::Base, all.clone()), Step::Capture(Role::Rlvr, all.clone())]);
    let both = one(subject, 0, both).await?;
    let exactness = exactness(&both, &both);
    let [base, rlvr] = &both.observed.captures[..] else { return Ok(Err("a capture is missing".into())) };
    if let Err(why) = same_residuals("base and RLVR", exactness, (base, rlvr), &all, base.prompt_rows())? {
        return Ok(Err(why));
    }
    let plain = same_captures(subject);
    let plain = one(subject, 0, plain).await?;
    let replay = Plan(vec![Step::Replay(everything(subject)?)]);
    let replayed = one(subject, 0, replay).await?;
    Ok(same_answer("replayed", &plain, &replayed))
}

async fn batch(subject: &mut dyn Subject) -> Holds {
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

/// Tolerance of the forward: an engine in half precision rounds so far on its way; layers that are not its own are further off.
const ROUNDED: f64 = 0.05;
/// Tolerance of a slope: f32 rounding, and curvature over the step.
const SLOPE: f64 = 0.02;

async fn gradients(subject: &mut dyn Subject) -> Holds {
    let layers = 0..subject.decoder_layers();
    for role in [Role::Base, Role::Rlvr] {
        let look = one(subject, 0, Plan(vec![Step::Differentiate(role, layers.clone())])).await?;
        let Some(Some(measured)) = look.observed.gradients.first() else { continue };
        // A NaN must not pass for small.
        if measured.forward.is_nan() || measured.forward > ROUNDED {
            return Ok(Err(format!(
                "{role}: the last residual is {:e} of the largest off a captured one",
                measured.forward
            )));
        }
        if measured.slope.is_nan() || measured.slope > SLOPE {
            return Ok(Err(format!("{role}: a slope is {:e} of the steepest off the gradient", measured.slope)));
        }
    }
    Ok(Ok(()))
}
