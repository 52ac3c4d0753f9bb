//! The implementation of the checks. Each compares two runs that differ in one thing only, so that one fault fails one check.
use candle_core::DType;

use super::check::Check;
use super::plan::{Plan, Step};
use super::subject::{Prefill, Subject};
use crate::config::{Layers, Positions, Replay, Rule, Strategy};
use crate::{Activations, Exactness, Replayer, Result, Role, RowSet};

/// The inner result is the reason why a check failed; the outer one is an error of the engine while the check ran.
type CheckRun = Result<std::result::Result<(), String>>;

/// Runs one check on a subject.
pub(super) async fn run_check(check: Check, subject: &mut dyn Subject) -> CheckRun {
    match check {
        Check::LabelsAreComplete => labels(subject).await,
        Check::OffIsIdentical => off(subject).await,
        Check::CaptureDoesNotPerturb => capture(subject).await,
        Check::EarlyExitLeavesNoTrace => early_exit(subject).await,
        Check::CapturesHoldTheirRows => captured_rows(subject).await,
        Check::EditsLandOnTheirRows => edits(subject).await,
        Check::EqualModelsChangeNothing => equal_models(subject).await,
        Check::RowsStayWithTheirSequence => batch(subject).await,
        Check::GradientsMatchThePasses => gradients(subject).await,
    }
}

/// A replayer that replaces every row of every residual with a tap.
fn replace_all_rows(subject: &dyn Subject) -> Result<Replayer> {
    let layers = subject.decoder_layers();
    let mut replay = Replay::new(Strategy::Substitute, Layers::First(layers), Rule::FractionOfMax(1.0));
    replay.positions = Positions::All;
    Replayer::new(&replay, layers)
}

/// The captures of [`replace_all_rows`], without its edits.
fn captures_of_replace_all_rows(subject: &dyn Subject) -> Plan {
    Plan(vec![Step::Capture(Role::Base, (1..=subject.decoder_layers()).collect())])
}

async fn prefill_one(subject: &mut dyn Subject, prompt: usize, plan: Plan) -> Result<Prefill> {
    let mut all = subject.prefill(vec![(prompt, plan)]).await?;
    Ok(all.remove(0))
}

/// Whether two prefills give the same answer, within the exactness that the engine states.
fn same_answer(what: &str, a: &Prefill, b: &Prefill) -> std::result::Result<(), String> {
    if exactness(a, b).agree(&a.log_probs, &b.log_probs, 1.0) {
        return Ok(());
    }
    Err(format!("{what}: log-probabilities differ by {:e}", distance(&a.log_probs, &b.log_probs)))
}

/// The exactness that the engine states. It is known from a prefill with a plan only.
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
) -> CheckRun {
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

async fn labels(subject: &mut dyn Subject) -> CheckRun {
    let capture = || Plan(vec![Step::Capture(Role::Base, vec![0])]);
    let prefills = subject.prefill(vec![(0, capture()), (1, capture())]).await?;
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
    Ok(if sequences[0] == sequences[1] { Err("two sequences have the same number".into()) } else { Ok(()) })
}

async fn off(subject: &mut dyn Subject) -> CheckRun {
    let replay = Plan(vec![Step::Replay(replace_all_rows(subject)?)]);
    let mut before = prefill_one(subject, 0, Plan::default()).await?;
    let replayed = prefill_one(subject, 0, replay).await?;
    let after = prefill_one(subject, 0, Plan::default()).await?;
    before.observed.exactness = replayed.observed.exactness;
    Ok(same_answer("off, on, off", &before, &after))
}

async fn capture(subject: &mut dyn Subject) -> CheckRun {
    let layers: Vec<usize> = (0..=subject.decoder_layers()).collect();
    let plain = prefill_one(subject, 0, Plan::default()).await?;
    for role in [Role::Base, Role::Rlvr] {
        let captured = prefill_one(subject, 0, Plan(vec![Step::Capture(role, layers.clone())])).await?;
        if let Err(why) = same_answer(&format!("with a {role} capture"), &plain, &captured) {
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}

async fn early_exit(subject: &mut dyn Subject) -> CheckRun {
    let all: Vec<usize> = (0..=subject.decoder_layers()).collect();
    for role in [Role::Base, Role::Rlvr] {
        let full = prefill_one(subject, 0, Plan(vec![Step::Capture(role, all.clone())])).await?;
        let stopped = Plan(vec![Step::Capture(role, vec![1]), Step::Capture(role, all.clone())]);
        let stopped = prefill_one(subject, 0, stopped).await?;
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

async fn captured_rows(subject: &mut dyn Subject) -> CheckRun {
    let layers: Vec<usize> = (0..=subject.decoder_layers()).collect();
    for role in [Role::Base, Role::Rlvr] {
        let full = prefill_one(subject, 0, Plan(vec![Step::Capture(role, layers.clone())])).await?;
        let [all] = &full.observed.captures[..] else { return Ok(Err("a capture is missing".into())) };
        for (first, step) in [(1, 2), (0, 3)] {
            let rows = RowSet::new((first..all.rows()).step_by(step).collect())?;
            let plan = Plan(vec![Step::CaptureRows { role, layers: layers.clone(), rows: rows.clone() }]);
            let part = prefill_one(subject, 0, plan).await?;
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

async fn edits(subject: &mut dyn Subject) -> CheckRun {
    let layers = subject.decoder_layers();
    let plain = prefill_one(subject, 0, Plan(vec![Step::Capture(Role::Rlvr, vec![layers])])).await?;
    let candidates = if subject.has_visual_rows() { Positions::Visual } else { Positions::All };
    let rows = plain.observed.prompt.as_ref().map(|prompt| prompt.candidates(candidates)).unwrap_or_default();
    // Every second row only, so that a shift by one row changes the answer.
    let rows = RowSet::new(rows.iter().step_by(2).collect())?;
    for layer in 1..=layers {
        let replaced_by_themselves = Plan(vec![Step::Edit { role: Role::Rlvr, layer, rows: rows.clone() }]);
        let own = prefill_one(subject, 0, replaced_by_themselves).await?;
        if let Err(why) = same_answer(&format!("rows of residual[{layer}] replaced by themselves"), &plain, &own) {
            return Ok(Err(why));
        }
    }
    // After the last layer with keys and values of its own, only the last row affects the first token.
    for layer in 1..subject.reading_layers() {
        let base = Plan(vec![Step::Edit { role: Role::Base, layer, rows: rows.clone() }]);
        let base = prefill_one(subject, 0, base).await?;
        if same_answer("", &plain, &base).is_ok() {
            return Ok(Err(format!("rows of residual[{layer}] replaced by the base's changed nothing")));
        }
    }
    Ok(Ok(()))
}

async fn equal_models(subject: &mut dyn Subject) -> CheckRun {
    let all: Vec<usize> = (0..=subject.decoder_layers()).collect();
    let both = Plan(vec![Step::Capture(Role::Base, all.clone()), Step::Capture(Role::Rlvr, all.clone())]);
    let both = prefill_one(subject, 0, both).await?;
    let exactness = exactness(&both, &both);
    let [base, rlvr] = &both.observed.captures[..] else { return Ok(Err("a capture is missing".into())) };
    if let Err(why) = same_residuals("base and RLVR", exactness, (base, rlvr), &all, base.prompt_rows())? {
        return Ok(Err(why));
    }
    let captures = captures_of_replace_all_rows(subject);
    let plain = prefill_one(subject, 0, captures).await?;
    let replay = Plan(vec![Step::Replay(replace_all_rows(subject)?)]);
    let replayed = prefill_one(subject, 0, replay).await?;
    Ok(same_answer("replayed", &plain, &replayed))
}

async fn batch(subject: &mut dyn Subject) -> CheckRun {
    let replay = Plan(vec![Step::Replay(replace_all_rows(subject)?)]);
    let alone = [prefill_one(subject, 0, replay.clone()).await?, prefill_one(subject, 1, Plan::default()).await?];
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

/// Tolerance of the last residual, as a share of its largest value: an engine in half precision stays below it, layers of another model
/// do not.
const FORWARD_TOLERANCE: f64 = 0.05;
/// Tolerance of a slope, as a share of the steepest: f32 rounding plus curvature over the step.
const SLOPE_TOLERANCE: f64 = 0.02;

async fn gradients(subject: &mut dyn Subject) -> CheckRun {
    let layers = 0..subject.decoder_layers();
    for role in [Role::Base, Role::Rlvr] {
        let prefill = prefill_one(subject, 0, Plan(vec![Step::Differentiate(role, layers.clone())])).await?;
        let Some(Some(measured)) = prefill.observed.gradients.first() else { continue };
        // NaN compares false with every tolerance.
        if measured.forward.is_nan() || measured.forward > FORWARD_TOLERANCE {
            return Ok(Err(format!(
                "{role}: the last residual differs from the captured one by {:e} of its largest value",
                measured.forward
            )));
        }
        if measured.slope.is_nan() || measured.slope > SLOPE_TOLERANCE {
            let slope = measured.slope;
            return Ok(Err(format!(
                "{role}: a measured slope differs from the gradient's by {slope:e} of the steepest"
            )));
        }
    }
    Ok(Ok(()))
}
