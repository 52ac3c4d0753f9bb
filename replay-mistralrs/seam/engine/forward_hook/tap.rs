//! The observation point in front of every decoder layer.
use std::{
    cell::RefCell,
    panic::{catch_unwind, AssertUnwindSafe},
    sync::Arc,
};

use candle_core::{Error, Result, Tensor};

use super::{cut, encodings, pages};

/// Where a tap fires: the input of decoder layer `layer` (the number of layers: the output of the last one). `call` counts the calls
/// for this layer in this forward, since one family passes a second tensor through the device mapper (0 is the residual stream).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    pub layer: usize,
    pub call: usize,
}

/// What the forward does after a tap.
#[derive(Debug)]
pub enum Flow {
    Continue,
    /// Go on with this tensor, of the same shape, dtype and device.
    Replace(Tensor),
    /// End the pass here. Only a side pass can be stopped.
    Stop,
}

/// Sees the residual stream `[batch, positions, hidden]` in front of each decoder layer. Where a layer mixes several streams
/// (`[streams, batch, positions, hidden]`), a position's are shown one after another: `[batch, positions, streams * hidden]`.
pub trait LayerTap: Send + Sync {
    fn layer_input(&self, site: Site, hidden: &Tensor) -> Result<Flow>;

    /// The real forward went on without this tap's edit at `site`: it erred, panicked, wanted to stop, or changed the shape.
    /// (In a side pass the same is an ordinary error of the pass.)
    fn ignored(&self, site: Site, why: &str);
}

struct Active {
    tap: Arc<dyn LayerTap>,
    at: Option<Site>,
    side: bool,
    stopped: bool,
}

thread_local! {
    static ACTIVE: RefCell<Option<Active>> = const { RefCell::new(None) };
}

pub(crate) fn in_side_pass() -> bool {
    ACTIVE.with_borrow(|active| active.as_ref().is_some_and(|active| active.side))
}

pub(crate) fn tap(layer: usize, hidden: Tensor) -> Result<Tensor> {
    pages::at(layer);
    let hidden = cut::entering(hidden)?;
    // Taken out while it runs, so that a tap which runs a model does not tap itself.
    let Some(mut active) = ACTIVE.take() else {
        return Ok(hidden);
    };
    let site = match active.at {
        Some(at) if at.layer == layer => Site { layer, call: at.call + 1 },
        _ => Site { layer, call: 0 },
    };
    active.at = Some(site);
    let out = step(&mut active, site, hidden);
    ACTIVE.set(Some(active));
    out
}

fn step(active: &mut Active, site: Site, hidden: Tensor) -> Result<Tensor> {
    // A panic here would poison the model's cache, which is locked around the layer loop, and so every later request.
    let flow = catch_unwind(AssertUnwindSafe(|| shown(&*active.tap, site, &hidden)))
        .unwrap_or_else(|_| Err(Error::Msg("the tap panicked".into())));
    let why = match flow {
        Ok(Flow::Continue) => return Ok(hidden),
        Ok(Flow::Replace(new)) if same_kind(&new, &hidden) => return Ok(new),
        Ok(Flow::Replace(new)) => {
            format!("the tap replaced {:?} {:?} by {:?} {:?}", hidden.shape(), hidden.dtype(), new.shape(), new.dtype())
        }
        Ok(Flow::Stop) if active.side => {
            active.stopped = true;
            return Err(Error::Msg("stopped by the tap".into()));
        }
        Ok(Flow::Stop) => "a tap may not stop the real forward".into(),
        Err(e) => e.to_string(),
    };
    if active.side {
        return Err(Error::Msg(format!("input of layer {}: {why}", site.layer)));
    }
    // An error here would fail every request of the batch.
    active.tap.ignored(site, &why);
    Ok(hidden)
}

fn shown(tap: &dyn LayerTap, site: Site, hidden: &Tensor) -> Result<Flow> {
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

/// Runs `f` under `next`; also tells whether the tap stopped it. What was active before is restored, on unwinding too.
fn scoped<T>(next: Option<(Arc<dyn LayerTap>, bool)>, f: impl FnOnce() -> T) -> (T, bool) {
    struct Restore(Option<Active>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ACTIVE.set(self.0.take());
        }
    }
    let next = next.map(|(tap, side)| Active { tap, at: None, side, stopped: false });
    let _restore = Restore(ACTIVE.replace(next));
    let out = f();
    let stopped = ACTIVE.with_borrow(|active| active.as_ref().is_some_and(|active| active.stopped));
    (out, stopped)
}

/// The real forward.
pub(super) fn with_tap<T>(tap: Option<Arc<dyn LayerTap>>, f: impl FnOnce() -> T) -> T {
    let (out, _) = scoped(tap.map(|tap| (tap, false)), f);
    encodings::end();
    out
}

/// A side pass: being stopped by its tap is its ordinary end, then without a result.
pub(super) fn side_pass<T>(tap: Arc<dyn LayerTap>, f: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    match scoped(Some((tap, true)), f) {
        (Ok(out), _) => Ok(Some(out)),
        (Err(_), true) => Ok(None),
        (Err(e), false) => Err(e),
    }
}
