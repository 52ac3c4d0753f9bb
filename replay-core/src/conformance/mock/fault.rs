//! Faults of the mock engine.
use crate::conformance::Check;

/// A fault that the mock engine can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// All rows are labelled with sequence 0.
    SequencesShareANumber,
    /// Edits stay armed for the next prefill of the prompt.
    EditsStayArmed,
    /// A capture changes the prefill after it.
    CapturePerturbs,
    /// A pass that stops early changes the pass after it.
    EarlyExitPerturbs,
    /// A capture of some rows has the values of the next rows.
    CapturesShifted,
    /// Edits are applied one row too late.
    EditsShifted,
    /// Edits are applied one layer too late.
    EditsOneLayerLate,
    /// Edits are accepted and not applied.
    EditsIgnored,
    /// The base's residuals are rounded.
    BaseRounded,
    /// In a batch, the edits of the first prompt reach every prompt.
    EditsForTheWholeBatch,
    /// A row's gradient leaves out the row's effect on later rows.
    GradientsOfRowsAlone,
    /// The differentiable layers begin one layer late.
    GradientsOneLayerLate,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 12] = [
        Self::SequencesShareANumber,
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

    /// The check that detects this fault.
    pub fn breaks(self) -> Check {
        match self {
            Self::SequencesShareANumber => Check::LabelsAreComplete,
            Self::EditsStayArmed => Check::OffIsIdentical,
            Self::CapturePerturbs => Check::CaptureDoesNotPerturb,
            Self::EarlyExitPerturbs => Check::EarlyExitLeavesNoTrace,
            Self::CapturesShifted => Check::CapturesHoldTheirRows,
            Self::EditsShifted | Self::EditsOneLayerLate | Self::EditsIgnored => Check::EditsLandOnTheirRows,
            Self::BaseRounded => Check::EqualModelsChangeNothing,
            Self::EditsForTheWholeBatch => Check::RowsStayWithTheirSequence,
            Self::GradientsOfRowsAlone | Self::GradientsOneLayerLate => Check::GradientsMatchThePasses,
        }
    }
}
