//! The reference solver, plain gradient descent: `delta <- delta - learning_rate * gradient` (paper, section 4; published code).
use candle_core::Tensor;

use super::{LastDelta, Search};
use crate::error::Result;
use crate::learned::Stop;

pub(super) async fn run(search: &mut Search<'_>, start: Tensor) -> Result<LastDelta> {
    let mut delta = start;
    let mut previous = None;
    while search.passes_left() {
        let (loss, gradient) = match search.pass(&delta).await? {
            Ok(pass) => pass,
            Err(stop) => return Ok(LastDelta { delta, evaluated: Some((f64::NAN, Vec::new())), stop }),
        };
        if search.rose(loss) {
            return Ok(LastDelta { delta, evaluated: Some((loss, Vec::new())), stop: Stop::Rising });
        }
        if let Some(stop) = search.stop_reason(previous, loss) {
            return Ok(LastDelta { delta, evaluated: search.best_evaluation(loss), stop });
        }
        delta = (delta - (gradient * search.settings.learning_rate)?)?;
        previous = Some(loss);
    }
    Ok(LastDelta { delta, evaluated: None, stop: Stop::Iterations })
}
