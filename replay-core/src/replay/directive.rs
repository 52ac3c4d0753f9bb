//! What one request asks of replay, and what it hears of it.
use super::settings::Profile;
use crate::{Observation, Report, Trace};

/// Whether one request is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As configured.
    #[default]
    On,
    /// Not at all.
    Off,
}

/// What one request asks of replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directive {
    /// Whether it is replayed.
    pub mode: Mode,
    /// By which settings; `None`: those of `[replay]`.
    pub profile: Option<Profile>,
    /// Also write down every intermediate, and what was learned. Costs clean passes of both models and the lens over all rows.
    pub trace: bool,
    /// Also tell what both models make of every row. Costs clean passes of both models, an edited one, and the lens over all rows.
    pub observe: bool,
    /// Neither read nor fill the cache: compute everything again.
    pub fresh: bool,
}

/// What replay did to one request.
#[derive(Debug, Clone)]
pub struct RequestReport {
    /// The report.
    pub report: Report,
    /// With [`Directive::trace`].
    pub trace: Option<Trace>,
    /// With [`Directive::observe`].
    pub observation: Option<Observation>,
}
