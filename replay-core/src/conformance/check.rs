//! The checks, by name.

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
