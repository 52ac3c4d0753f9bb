//! The progress of learning, and why it ended.
use serde::Serialize;

/// The state of learning after an evaluation of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Progress {
    /// Evaluations of loss and gradient so far.
    pub pass: usize,
    /// The largest number of evaluations there may be.
    pub passes: usize,
    /// The loss of the last evaluation.
    pub loss: f64,
}

/// Why a solver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The solver ran as many passes as the settings allow.
    Iterations,
    /// The loss fell by less than the tolerance.
    Tolerance,
    /// The loss is exactly zero: nothing is left to learn.
    Zero,
    /// The time budget was used up.
    TimeBudget,
    /// The loss or its gradient was not finite; the best delta before it was kept.
    NotFinite,
    /// The loss rose; the best delta before it was kept.
    Rising,
    /// No step along the search direction lowered the loss any more.
    NoDescent,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Iterations => "all iterations done",
            Self::Tolerance => "the loss fell by less than the tolerance",
            Self::Zero => "the loss is zero",
            Self::TimeBudget => "the time budget is used up",
            Self::NotFinite => "the loss was not finite; the best delta before was kept",
            Self::Rising => "the loss rose; the best delta before was kept",
            Self::NoDescent => "no step lowers the loss any more",
        })
    }
}
