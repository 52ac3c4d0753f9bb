//! The tap of the real prefill, which applies the edits of each sequence of the batch.
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{IndexOp, Result, Tensor};
use mistralrs_core::forward_hook::{Flow, LayerTap, Site};
use replay_core::substitute::Edits;
use replay_core::{Error, ReplayCache, metrics};

use crate::runtime::pending_report::PendingReport;
use crate::runtime::prefix_cache::PrefixCache;
use crate::runtime::replay_pair::ReplayPair;

/// The edits of each sequence of a batch, in its order.
pub(crate) type BatchEdits = Vec<Option<Arc<Edits>>>;

/// Applies edits to the residuals of a real prefill, and reports what came of them.
pub(crate) struct EditTap {
    /// The edits of whole prompts.
    whole: BatchEdits,
    /// The edits of the rows after a cached prefix, and the length of the prefix. The engine says at each layer whether it skipped it.
    later: Option<(usize, BatchEdits)>,
    reports: Mutex<Vec<PendingReport>>,
    /// Why an edit could not be made.
    fault: Mutex<Option<String>>,
    prefix_cache: Arc<PrefixCache>,
    cache: Arc<ReplayCache>,
}

impl EditTap {
    /// Creates a tap, or `None` if no sequence of the batch has edits or waits for its report.
    pub(crate) fn new(
        whole: BatchEdits,
        later: Option<(usize, BatchEdits)>,
        reports: Vec<PendingReport>,
        pair: &ReplayPair,
    ) -> Option<Self> {
        let has_work = whole.iter().any(Option::is_some) || !reports.is_empty();
        has_work.then(|| Self {
            whole,
            later,
            reports: Mutex::new(reports),
            fault: Mutex::new(None),
            prefix_cache: pair.prefix_cache.clone(),
            cache: pair.cache.clone(),
        })
    }

    /// The edits that belong to the rows that are computed.
    fn edits(&self, skipped: usize) -> Result<&BatchEdits> {
        match &self.later {
            _ if skipped == 0 => Ok(&self.whole),
            Some((prefix, edits)) if *prefix == skipped => Ok(edits),
            _ => candle_core::bail!("the prefill begins after {skipped} rows, for which there are no edits"),
        }
    }
}

impl LayerTap for EditTap {
    /// # Shapes
    /// `hidden`: `[batch, positions, hidden]`. Sequences and rows without an edit stay the same bit for bit.
    fn layer_input(&self, site: Site, hidden: &Tensor) -> Result<Flow> {
        let all = self.edits(site.skipped)?;
        let edits_layer =
            |edits: &Option<Arc<Edits>>| edits.as_ref().is_some_and(|edits| edits.layer(site.layer).is_some());
        if site.call != 0 || !all.iter().any(edits_layer) {
            return Ok(Flow::Continue);
        }
        let edit_sequence = |(index, edits): (usize, &Option<Arc<Edits>>)| {
            let residual = hidden.i(index)?;
            match edits {
                Some(edits) => {
                    let edited = edits.apply(site.layer, &residual).map_err(candle_core::Error::wrap)?;
                    Ok(edited.unwrap_or(residual))
                }
                None => Ok(residual),
            }
        };
        let residuals = all.iter().enumerate().map(edit_sequence).collect::<Result<Vec<_>>>()?;
        Ok(Flow::Replace(Tensor::stack(&residuals, 0)?))
    }

    fn ignored(&self, site: Site, why: &str) {
        // Shapes were checked when the edits were made, so this is a bug in replay. The prefix cache would keep the keys and values under a
        // wrong identity.
        self.prefix_cache.disable();
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("residual[{}]: {why}", site.layer));
        if metrics::count_failed_edit() {
            tracing::error!("replay could not edit residual[{}] of a prefill: {why}", site.layer);
        }
    }

    fn finished(&self) {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fault = fault.map(|why| Error::engine(format!("an edit could not be made: {why}")));
        for report in std::mem::take(&mut *self.reports.lock().unwrap_or_else(PoisonError::into_inner)) {
            report.send(fault.as_ref(), &self.cache);
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use mistralrs_core::Response;
    use replay_core::RowSet;
    use replay_core::config::Config;
    use replay_core::session::{RequestReport, Settings};
    use replay_core::{Decided, Decision, Status};
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::runtime::prefix_cache::ImageDependence;

    /// Adds one to row 3 of residual[1].
    fn edits() -> Edits {
        let delta = Tensor::ones((1, 2), DType::F32, &Device::Cpu).unwrap();
        Edits::delta(1, RowSet::new(vec![3]).unwrap(), delta).unwrap()
    }

    fn tap(reports: Vec<PendingReport>) -> EditTap {
        EditTap {
            whole: vec![Some(Arc::new(edits()))],
            later: Some((2, vec![Some(Arc::new(edits().after(2).unwrap()))])),
            reports: Mutex::new(reports),
            fault: Mutex::new(None),
            prefix_cache: Arc::new(PrefixCache::new(0, ImageDependence::default())),
            cache: Arc::new(ReplayCache::new(0)),
        }
    }

    #[test]
    fn edits_follow_the_rows_that_the_engine_computes() {
        let edited = |skipped: usize| -> Result<Vec<f32>> {
            let hidden = Tensor::zeros((1, 4 - skipped, 2), DType::F32, &Device::Cpu)?;
            match tap(Vec::new()).layer_input(Site { layer: 1, call: 0, skipped }, &hidden)? {
                Flow::Replace(new) => new.i((0, .., 0))?.to_vec1(),
                _ => Ok(Vec::new()),
            }
        };
        assert_eq!(edited(0).unwrap(), [0.0, 0.0, 0.0, 1.0], "the whole prompt runs, though a prefix was known");
        assert_eq!(edited(2).unwrap(), [0.0, 1.0], "it begins after the known prefix");
        assert!(edited(1).is_err(), "it begins somewhere else");
    }

    #[test]
    fn a_report_waits_for_the_edits_and_says_whether_they_were_made() {
        let policy = |on_error: &str| {
            let text = format!(
                "adapter = \"x\"\n[pair]\nbase = \"b\"\nrlvr = \"r\"\n[replay]\nstrategy = \"substitute\"\nlayers = 1\non_error = \"{on_error}\"\n\
                 rank.quantile = 0.5\n"
            );
            Settings::new(&Config::from_str(&text, "test.toml").unwrap(), 4).unwrap()
        };
        let finish = |on_error: &str, fault: bool| {
            let settings = policy(on_error);
            let report = replay_core::Report { status: Status::Replayed, ..settings.replayer().passthrough("") };
            let request_report = RequestReport { report, trace: None, observation: None };
            let decided = Decided { decision: Decision::Edit(Arc::new(edits())), request_report };
            let (sender, mut receiver) = oneshot::channel();
            let (responder, mut answers) = mpsc::channel(1);
            let tap = tap(vec![PendingReport { decided, settings, profile: None, receiver: Some(sender), responder }]);
            assert!(receiver.try_recv().is_err(), "before the prefill nobody knows");
            if fault {
                tap.ignored(Site { layer: 1, call: 0, skipped: 0 }, "no such row");
            }
            tap.finished();
            (receiver.try_recv().unwrap().report.status, matches!(answers.try_recv(), Ok(Response::InternalError(_))))
        };
        assert_eq!(finish("fail", false), (Status::Replayed, false));
        assert_eq!(finish("fail", true), (Status::Passthrough, true));
        assert_eq!(finish("passthrough", true), (Status::Passthrough, false));
    }
}
