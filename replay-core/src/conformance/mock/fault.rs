//! Faults of the mock engine.
use crate::conformance::Check;

/// A way of being wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Rows are labelled with the place in the batch of their engine, not with their sequence.
    SequencesShareAName,
    /// Edits stay armed for the next prefill of the prompt.
    EditsStayArmed,
    /// A capture leaves something behind for the prefill.
    CapturePerturbs,
    /// A stopped pass leaves something behind for the next pass.
    EarlyExitPerturbs,
    /// A capture of some rows holds the rows after them.
    CapturesShifted,
    /// Edits land one row further down.
    EditsShifted,
    /// Edits land one layer further up.
    EditsOneLayerLate,
    /// Edits are accepted and forgotten.
    EditsIgnored,
    /// The base is read in lower precision.
    BaseRounded,
    /// In a batch, the edits of the first prompt reach every prompt.
    EditsForTheWholeBatch,
    /// A row's gradient leaves out what the row does to later ones.
    GradientsOfRowsAlone,
    /// The differentiable layers begin one layer late.
    GradientsOneLayerLate,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 12] = [
        Self::SequencesShareAName,
        Self::EditsStayArmed,
        Self::CapturePerturbs,
        Self::EarlyExitPerturbs,
        Self::CapturesShifted,
        Self::EditsShifted,
        Self::EditsOneLayerLate,
        Self::EditsIgnored,
        Self::BaseRounded,
        Self::EditsForTheWholeBatch,
        Self::GradientsOfRowsAlone,
        Self::GradientsOneLayerLate,
    ];

    /// The check that finds it.
    pub fn breaks(self) -> Check {
        match self {
            Self::SequencesShareAName => Check::LabelsAreWhole,
            Self::EditsStayArmed => Check::OffIsIdentical,
            Self::CapturePerturbs => Check::CaptureDoesNotPerturb,
            Self::EarlyExitPerturbs => Check::EarlyExitLeavesNoTrace,
            Self::CapturesShifted => Check::CapturesHoldTheirRows,
            Self::EditsShifted | Self::EditsOneLayerLate | Self::EditsIgnored => Check::EditsLandOnTheirRows,
            Self::BaseRounded => Check::TwinsAreANoOp,
            Self::EditsForTheWholeBatch => Check::RowsStayWithTheirSequence,
            Self::GradientsOfRowsAlone | Self::GradientsOneLayerLate => Check::GradientsAreOfThePasses,
        }
    }
}
