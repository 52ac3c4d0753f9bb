//! The checks that every adapter runs against its engine.
//!
//! An adapter implements [`Subject`] (prefill some prompts together, with a [`Plan`] for each) and [`Maker`] (a fresh subject for each
//! check), and calls [`run`]. With the feature `mock` there is an engine that passes, and faults of it that each fail one check.
mod checks;
mod gradients;
#[cfg(any(test, feature = "mock"))]
pub mod mock;
mod plan;

use std::fmt;

use async_trait::async_trait;

use crate::Result;

pub use gradients::Gradients;
pub use plan::{Observed, Plan, Step};

/// An engine under test, with at least two prompts: the first two of equal length, each with an image, and of different content.
#[async_trait(?Send)]
pub trait Subject {
    /// Prefills these prompts in one batch. Before the real prefill of each, runs its plan with the backend of that prompt.
    ///
    /// # Errors
    /// If the engine or a plan fails.
    async fn prefill(&mut self, batch: Vec<(usize, Plan)>) -> Result<Vec<Prefill>>;

    /// Decoder layers of the models; their taps see `residual[0]` to `residual[layers]`.
    fn decoder_layers(&self) -> usize;

    /// Whether images have rows of their own in a prompt; in a model that attends to them from the side they have none.
    fn has_visual_rows(&self) -> bool {
        true
    }

    /// How many of the layers read what other rows' residuals become: later ones share keys and values of earlier ones, so that only the
    /// last row of their residuals reaches the first token.
    fn reading_layers(&self) -> usize {
        self.decoder_layers()
    }

    /// How far the log-probabilities of a batch may be from those of a solo run (matrix kernels sum in another order).
    fn batch_tolerance(&self) -> f32 {
        1e-4
    }
}

/// The answer to one prompt.
#[derive(Debug, Clone)]
pub struct Prefill {
    /// Natural log-probabilities of the first generated token, one per vocabulary entry.
    pub log_probs: Vec<f32>,
    /// What the plan observed.
    pub observed: Observed,
}

/// Makes fresh subjects.
#[async_trait(?Send)]
pub trait Maker {
    /// A pair of different models, or, for `twins`, a base that is the RLVR model itself.
    ///
    /// # Errors
    /// If the engine does not start.
    async fn make(&mut self, twins: bool) -> Result<Box<dyn Subject>>;
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Every visual token of every image is labelled once, in order, with the sequence it belongs to.
    LabelsAreWhole,
    /// Off, on, off: the first answer comes back, as exactly as the engine says that it repeats itself.
    OffIsIdentical,
    /// A capture changes nothing in the prefill that follows.
    CaptureDoesNotPerturb,
    /// A pass that was stopped early gives what a full one gives, and leaves nothing for the next.
    EarlyExitLeavesNoTrace,
    /// A capture of some rows holds what a capture of all holds there.
    CapturesHoldTheirRows,
    /// Rows replaced by themselves change nothing; rows replaced by the base's do.
    EditsLandOnTheirRows,
    /// With base == RLVR, captures are equal and replay changes nothing.
    TwinsAreANoOp,
    /// A prompt that is replayed next to one that is not: both answer as alone.
    RowsStayWithTheirSequence,
    /// Differentiable layers compute what the passes do, and their gradients are those of what they compute. It holds for a backend
    /// that has none.
    GradientsAreOfThePasses,
}

impl Check {
    /// All checks, in the order they run.
    pub const ALL: [Self; 9] = [
        Self::LabelsAreWhole,
        Self::OffIsIdentical,
        Self::CaptureDoesNotPerturb,
        Self::EarlyExitLeavesNoTrace,
        Self::CapturesHoldTheirRows,
        Self::EditsLandOnTheirRows,
        Self::TwinsAreANoOp,
        Self::RowsStayWithTheirSequence,
        Self::GradientsAreOfThePasses,
    ];

    /// Checks without which this one says nothing.
    pub fn requires(self) -> &'static [Self] {
        match self {
            Self::LabelsAreWhole | Self::OffIsIdentical | Self::CaptureDoesNotPerturb => &[],
            Self::EarlyExitLeavesNoTrace | Self::CapturesHoldTheirRows => &[Self::CaptureDoesNotPerturb],
            Self::GradientsAreOfThePasses => &[Self::CapturesHoldTheirRows],
            Self::EditsLandOnTheirRows => &[Self::LabelsAreWhole, Self::CapturesHoldTheirRows],
            Self::TwinsAreANoOp | Self::RowsStayWithTheirSequence => &[Self::EditsLandOnTheirRows],
        }
    }
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It does not hold, and why.
    Failed(String),
    /// It was not run, since this one, which it needs, did not pass.
    Skipped(Check),
}

/// The results of all checks.
#[derive(Debug, Clone)]
pub struct Outcome(Vec<(Check, Verdict)>);

impl Outcome {
    /// Every check passed.
    pub fn passed(&self) -> bool {
        self.0.iter().all(|(_, verdict)| *verdict == Verdict::Passed)
    }

    /// The checks that failed.
    pub fn failed(&self) -> Vec<Check> {
        self.0.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Failed(_))).map(|(check, _)| *check).collect()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, verdict) in &self.0 {
            match verdict {
                Verdict::Passed => writeln!(f, "passed   {check:?}")?,
                Verdict::Failed(why) => writeln!(f, "FAILED   {check:?}: {why}")?,
                Verdict::Skipped(needed) => writeln!(f, "skipped  {check:?}: needs {needed:?}")?,
            }
        }
        Ok(())
    }
}

/// Runs every check on a fresh subject.
///
/// # Errors
/// If a subject cannot be made; a check that errs has failed.
pub async fn run(maker: &mut dyn Maker) -> Result<Outcome> {
    let mut verdicts: Vec<(Check, Verdict)> = Vec::new();
    for check in Check::ALL {
        let missing = check
            .requires()
            .iter()
            .find(|needed| verdicts.iter().any(|(done, verdict)| done == *needed && *verdict != Verdict::Passed));
        let verdict = match missing {
            Some(needed) => Verdict::Skipped(*needed),
            None => {
                let mut subject = maker.make(check == Check::TwinsAreANoOp).await?;
                match checks::check(check, &mut *subject).await {
                    Ok(Ok(())) => Verdict::Passed,
                    Ok(Err(why)) => Verdict::Failed(why),
                    Err(error) => Verdict::Failed(error.to_string()),
                }
            }
        };
        verdicts.push((check, verdict));
    }
    Ok(Outcome(verdicts))
}

#[cfg(test)]
mod tests {
    use super::mock::{Fault, MockMaker};
    use super::*;
    use crate::Exactness;

    fn outcome(fault: Option<Fault>) -> Outcome {
        pollster::block_on(run(&mut MockMaker::new(fault))).unwrap()
    }

    #[test]
    fn the_mock_engine_passes() {
        let outcome = outcome(None);
        assert!(outcome.passed(), "{outcome}");
    }

    #[test]
    fn an_engine_that_does_not_repeat_itself_passes_as_exactly_as_it_says() {
        let run =
            |noise: f32, stated: Exactness| pollster::block_on(run(&mut MockMaker::noisy(noise, stated))).unwrap();
        let outcome = run(1e-5, Exactness::Tolerance(1e-3));
        assert!(outcome.passed(), "{outcome}");
        assert!(run(1e-5, Exactness::Bits).failed().contains(&Check::OffIsIdentical));
        assert!(run(1e-2, Exactness::Tolerance(1e-3)).failed().contains(&Check::OffIsIdentical));
    }

    #[test]
    fn each_fault_fails_exactly_its_own_check() {
        for fault in Fault::ALL {
            let outcome = outcome(Some(fault));
            assert_eq!(outcome.failed(), [fault.breaks()], "{fault:?}\n{outcome}");
        }
    }

    #[test]
    fn every_check_is_broken_by_some_fault() {
        for check in Check::ALL {
            assert!(Fault::ALL.iter().any(|fault| fault.breaks() == check), "{check:?}");
        }
    }
}
