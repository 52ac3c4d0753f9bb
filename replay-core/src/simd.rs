//! Loops that use the widest vector instructions of the CPU.

/// Runs `f` with the widest instruction set of the CPU. Only inlined code is compiled for it, so the closure has to be `#[inline(always)]`.
#[inline(always)]
pub(crate) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Sum of `f` over pairs of values, in independent lanes, since the additions of a single sum would wait for each other.
#[inline(always)]
pub(crate) fn sum(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 32;
    let mut sums = [0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&a, &b)| f(a, b)).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f(a, b);
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// The largest value, in independent lanes. NaN is ignored.
#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    const LANES: usize = 32;
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, larger);
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    lanes.into_iter().fold(rest, larger)
}

#[cfg(test)]
mod tests {
    #[test]
    fn sum_and_max_include_lanes_and_remainder() {
        let values: Vec<f32> = (0..75).map(|x| x as f32 - 40.0).collect();
        assert_eq!(super::sum(&values, &values, |a, _| a), values.iter().sum::<f32>());
        assert_eq!(super::max(&values), 34.0);
        assert_eq!(super::max(&values[..3]), -38.0);
    }
}
