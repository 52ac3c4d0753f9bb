//! The reference: plain gradient descent, `delta <- delta - learning_rate * gradient` (paper, section 4; published code).
use candle_core::Tensor;

use super::{Ended, Search};
use crate::error::Result;
use crate::learned::Stop;

pub(super) async fn run(search: &mut Search<'_>, start: Tensor) -> Result<Ended> {
    let mut delta = start;
    let mut previous = None;
    while search.passes_left() {
        let (loss, gradient) = match search.pass(&delta).await? {
            Ok(pass) => pass,
            Err(stop) => return Ok(Ended { delta, known: Some((f64::NAN, Vec::new())), stop }),
        };
        if search.rose(loss) {
            return Ok(Ended { delta, known: Some((loss, Vec::new())), stop: Stop::Rising });
        }
        if let Some(stop) = search.over(previous, loss) {
            return Ok(Ended { delta, known: search.known(loss), stop });
        }
        delta = (delta - (gradient * search.settings.learning_rate)?)?;
        previous = Some(loss);
    }
    Ok(Ended { delta, known: None, stop: Stop::Iterations })
}
