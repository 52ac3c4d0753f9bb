//! The replay options of one request, and the report that it gets.
use super::settings::Profile;
use crate::{Observation, Report, Trace};

/// Whether a request is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The request is replayed as configured.
    #[default]
    On,
    /// The request is not replayed.
    Off,
}

/// The replay options of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directive {
    /// Whether the request is replayed.
    pub mode: Mode,
    /// The profile whose settings apply; `None`: the settings of `[replay]`.
    pub profile: Option<Profile>,
    /// Whether to record every intermediate result. Costs clean passes of both models and the lens over all rows.
    pub trace: bool,
    /// Whether to compare both models at every row. Costs clean passes of both models, an edited pass, and the lens over all rows.
    pub observe: bool,
    /// Whether to bypass the cache: the prompt is neither looked up nor stored.
    pub fresh: bool,
}

/// What replay did to one request.
#[derive(Debug, Clone)]
pub struct RequestReport {
    /// The report.
    pub report: Report,
    /// The trace, if [`Directive::trace`] asks for it.
    pub trace: Option<Trace>,
    /// The observation, if [`Directive::observe`] asks for it.
    pub observation: Option<Observation>,
}
