//! The checks, by name.

/// A check of the conformance kit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Every visual token of every image is labelled once, in order, with the sequence it belongs to.
    LabelsAreComplete,
    /// Off, on, off: the last answer equals the first, within the exactness that the engine states.
    OffIsIdentical,
    /// A capture does not change the prefill after it.
    CaptureDoesNotPerturb,
    /// A pass that stops early captures what a full pass captures, and does not change the pass after it.
    EarlyExitLeavesNoTrace,
    /// A capture of some rows has the values that a capture of all rows has there.
    CapturesHoldTheirRows,
    /// Rows replaced by themselves change nothing; rows replaced by the base's do.
    EditsLandOnTheirRows,
    /// With base == RLVR, captures are equal and replay changes nothing.
    EqualModelsChangeNothing,
    /// In one batch, a replayed prompt and a prompt without replay get the answers that each gets alone.
    RowsStayWithTheirSequence,
    /// Differentiable layers compute what the passes compute, and their gradients agree with finite differences. A backend without
    /// gradients passes.
    GradientsMatchThePasses,
}

impl Check {
    /// All checks, in the order they run.
    pub const ALL: [Self; 9] = [
        Self::LabelsAreComplete,
        Self::OffIsIdentical,
        Self::CaptureDoesNotPerturb,
        Self::EarlyExitLeavesNoTrace,
        Self::CapturesHoldTheirRows,
        Self::EditsLandOnTheirRows,
        Self::EqualModelsChangeNothing,
        Self::RowsStayWithTheirSequence,
        Self::GradientsMatchThePasses,
    ];

    /// Checks that have to pass for this one to mean anything.
    pub fn requires(self) -> &'static [Self] {
        match self {
            Self::LabelsAreComplete | Self::OffIsIdentical | Self::CaptureDoesNotPerturb => &[],
            Self::EarlyExitLeavesNoTrace | Self::CapturesHoldTheirRows => &[Self::CaptureDoesNotPerturb],
            Self::GradientsMatchThePasses => &[Self::CapturesHoldTheirRows],
            Self::EditsLandOnTheirRows => &[Self::LabelsAreComplete, Self::CapturesHoldTheirRows],
            Self::EqualModelsChangeNothing | Self::RowsStayWithTheirSequence => &[Self::EditsLandOnTheirRows],
        }
    }
}
