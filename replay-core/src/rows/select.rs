//! Selection of rows of a matrix.
use candle_core::{Result, Tensor, bail};

/// Rows of a `[rows, hidden]` tensor by their index in it, in the order given. Consecutive rows are returned as a view, not a copy.
///
/// # Errors
/// If the tensor has no such row, or the tensor library fails.
pub(crate) fn select_rows(tensor: &Tensor, rows: &[usize]) -> Result<Tensor> {
    let count = tensor.dim(0)?;
    if let Some(row) = rows.iter().find(|row| **row >= count) {
        bail!("expected rows below {count}, got {row}");
    }
    match rows {
        [first, _, ..] if rows.windows(2).all(|pair| pair[0] + 1 == pair[1]) => tensor.narrow(0, *first, rows.len()),
        _ => {
            let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
            tensor.index_select(&Tensor::new(rows, tensor.device())?, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn rows_are_taken_in_the_order_given_repeated_ones_too() {
        let tensor = Tensor::new(&[[0f32], [1.0], [2.0], [3.0]], &Device::Cpu).unwrap();
        for rows in [vec![1, 2, 3], vec![0, 0, 2], vec![3, 1], vec![2], vec![], vec![1, 1]] {
            let taken = select_rows(&tensor, &rows).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(taken, rows.iter().map(|&row| row as f32).collect::<Vec<_>>());
        }
        assert!(select_rows(&tensor, &[0, 4]).unwrap_err().to_string().contains("expected rows below 4, got 4"));
    }
}
