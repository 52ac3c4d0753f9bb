//! The observation point in front of every decoder layer.
use std::{
    cell::RefCell,
    panic::{catch_unwind, AssertUnwindSafe},
    sync::Arc,
};

use candle_core::{Error, Result, Tensor};

use super::{cut, encodings, pages};

/// The place where a tap is called: the input of decoder layer `layer`, or the output of the last layer if `layer` is the number of
/// layers. `call` counts the calls for this layer in one forward: 0 is the residual stream. One family maps a second tensor after it.
/// `skipped` is the number of positions in front of the first row: those of a known prefix, where the forward begins after one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    pub layer: usize,
    pub call: usize,
    pub skipped: usize,
}

/// What the forward does after the tap.
#[derive(Debug)]
pub enum Flow {
    Continue,
    /// Go on with this tensor, which has the same shape, dtype and device.
    Replace(Tensor),
    /// End the pass here. The real forward ignores it.
    Stop,
}

/// Observes the residual stream, and may replace it.
pub trait LayerTap: Send + Sync {
    /// Called with the residual stream in front of each decoder layer, `[batch, positions, hidden]`.
    ///
    /// If a layer mixes several streams, `[streams, batch, positions, hidden]`, the tap gets those of a position joined to one row,
    /// `[batch, positions, streams * hidden]`.
    fn layer_input(&self, site: Site, hidden: &Tensor) -> Result<Flow>;

    /// Called when the real forward goes on without this tap's edit at `site`, because the tap failed, panicked, asked to stop, or
    /// changed shape, dtype or device. In a side pass these are errors of the pass.
    fn ignored(&self, site: Site, why: &str);

    /// Called once after the real forward, before anything is sampled from it; not if the forward failed.
    fn finished(&self) {}
}

/// The tap of the forward that runs on this thread.
struct Active {
    tap: Arc<dyn LayerTap>,
    last: Option<Site>,
    is_side_pass: bool,
    stopped: bool,
}

thread_local! {
    static ACTIVE: RefCell<Option<Active>> = const { RefCell::new(None) };
}

pub(crate) fn in_side_pass() -> bool {
    ACTIVE.with_borrow(|active| active.as_ref().is_some_and(|active| active.is_side_pass))
}

/// Shows the input of `layer` to the tap, and returns what the layer computes with. The engine calls it in front of every layer.
pub(crate) fn tap(layer: usize, hidden: Tensor) -> Result<Tensor> {
    pages::set_layer(layer);
    let hidden = cut::entering(hidden)?;
    // The tap is taken out while it is called: a model that it runs must not call it again.
    let Some(mut active) = ACTIVE.take() else {
        return Ok(hidden);
    };
    let call = match active.last {
        Some(last) if last.layer == layer => last.call + 1,
        _ => 0,
    };
    let site = Site { layer, call, skipped: cut::skipped() };
    active.last = Some(site);
    let out = run_tap(&mut active, site, hidden);
    ACTIVE.set(Some(active));
    out
}

fn run_tap(active: &mut Active, site: Site, hidden: Tensor) -> Result<Tensor> {
    // A panic here would poison the model's cache, which is locked around the layer loop, and fail every later request.
    let flow = catch_unwind(AssertUnwindSafe(|| call_tap(&*active.tap, site, &hidden)))
        .unwrap_or_else(|_| Err(Error::Msg("the tap panicked".into())));
    let why = match flow {
        Ok(Flow::Continue) => return Ok(hidden),
        Ok(Flow::Replace(new)) if same_kind(&new, &hidden) => return Ok(new),
        Ok(Flow::Replace(new)) => {
            format!("the tap replaced {:?} {:?} by {:?} {:?}", hidden.shape(), hidden.dtype(), new.shape(), new.dtype())
        }
        Ok(Flow::Stop) if active.is_side_pass => {
            active.stopped = true;
            return Err(Error::Msg("stopped by the tap".into()));
        }
        Ok(Flow::Stop) => "a tap may not stop the real forward".into(),
        Err(e) => e.to_string(),
    };
    if active.is_side_pass {
        return Err(Error::Msg(format!("input of layer {}: {why}", site.layer)));
    }
    // An error here would fail every request of the batch.
    active.tap.ignored(site, &why);
    Ok(hidden)
}

/// Calls the tap; joins the streams of each position into one row, and splits them again.
fn call_tap(tap: &dyn LayerTap, site: Site, hidden: &Tensor) -> Result<Flow> {
    let &[streams, batch, positions, width] = hidden.dims() else { return tap.layer_input(site, hidden) };
    let row = hidden.permute((1, 2, 0, 3))?.reshape((batch, positions, streams * width))?;
    Ok(match tap.layer_input(site, &row)? {
        Flow::Replace(new) if same_kind(&new, &row) => {
            Flow::Replace(new.reshape((batch, positions, streams, width))?.permute((2, 0, 1, 3))?.contiguous()?)
        }
        flow => flow,
    })
}

fn same_kind(a: &Tensor, b: &Tensor) -> bool {
    a.shape() == b.shape() && a.dtype() == b.dtype() && a.device().same_device(b.device())
}

/// Runs `f` under a tap (the `bool` marks a side pass), and returns whether the tap stopped it. Then the previous tap is active again,
/// also after a panic.
fn with_active<T>(tap: Option<(Arc<dyn LayerTap>, bool)>, f: impl FnOnce() -> T) -> (T, bool) {
    struct Restore(Option<Active>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ACTIVE.set(self.0.take());
        }
    }
    let active = tap.map(|(tap, is_side_pass)| Active { tap, last: None, is_side_pass, stopped: false });
    let _restore = Restore(ACTIVE.replace(active));
    let out = f();
    let stopped = ACTIVE.with_borrow(|active| active.as_ref().is_some_and(|active| active.stopped));
    (out, stopped)
}

/// Runs the real forward, which is the last pass of a step, under its tap if it has one.
pub(super) fn with_tap<T>(tap: Option<Arc<dyn LayerTap>>, f: impl FnOnce() -> T) -> T {
    let (out, _) = with_active(tap.map(|tap| (tap, false)), f);
    encodings::end();
    out
}

/// Runs a side pass; `None` if its tap stopped it.
pub(super) fn side_pass<T>(tap: Arc<dyn LayerTap>, f: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    match with_active(Some((tap, true)), f) {
        (Ok(out), _) => Ok(Some(out)),
        (Err(_), true) => Ok(None),
        (Err(e), false) => Err(e),
    }
}
