//! Step 3: what is done to rows of the RLVR model's residual stream in its prefill: the base's take their place, or a learned delta is
//! added.
use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Tensor};

use crate::config::Alignment;
use crate::rank::Selection;
use crate::{Activations, Error, Result};

/// What happens to the rows of an edit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// The values take their place; less than 1 mixes with the row that the prefill has there.
    Replace {
        /// The share of the values.
        blend: f64,
    },
    /// The values are added to them.
    Add,
}

/// The rows of one residual that are edited.
#[derive(Debug, Clone)]
pub struct LayerEdit {
    /// Positions in the prompt, ascending.
    pub rows: Vec<usize>,
    /// `[rows, hidden]`.
    pub values: Tensor,
    /// What they do.
    pub change: Change,
}

/// All edits of one prompt, by the residual they apply to.
#[derive(Debug, Clone)]
pub struct Edits {
    layers: BTreeMap<usize, LayerEdit>,
}

impl Edits {
    /// The base's residuals at the selected rows. `blend` 1 replaces, less mixes with the row that the prefill has there.
    ///
    /// # Errors
    /// If a residual was not captured.
    pub fn new(selection: &Selection, base: &Activations, alignment: Alignment, blend: f64) -> Result<Self> {
        let mut layers = BTreeMap::new();
        for layer in selection.layers.iter().filter(|layer| !layer.rows.is_empty()) {
            let residual = alignment.edited_residual(layer.layer);
            // A copy, never a view: a view would keep the whole residual for as long as the edit lives.
            let rows: Vec<u32> = layer.rows.iter().map(|&row| row as u32).collect();
            let base = base.residual(residual)?;
            let values = base.index_select(&Tensor::new(rows, base.device())?, 0)?;
            layers.insert(residual, LayerEdit { rows: layer.rows.clone(), values, change: Change::Replace { blend } });
        }
        Ok(Self { layers })
    }

    /// A delta that is added to `residual[layer]`.
    ///
    /// # Shapes
    /// `rows`: positions in the prompt, ascending; `delta`: `[rows, hidden]`.
    pub fn delta(layer: usize, rows: Vec<usize>, delta: Tensor) -> Self {
        Self { layers: BTreeMap::from([(layer, LayerEdit { rows, values: delta, change: Change::Add })]) }
    }

    /// Bytes of the values held.
    pub fn bytes(&self) -> u64 {
        let bytes = |edit: &LayerEdit| (edit.values.elem_count() * edit.values.dtype().size_in_bytes()) as u64;
        self.layers.values().map(bytes).sum()
    }

    /// No row at all.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The edit of `residual[layer]`, if there is one.
    pub fn layer(&self, layer: usize) -> Option<&LayerEdit> {
        self.layers.get(&layer)
    }

    /// Residuals that are edited, ascending.
    pub fn residuals(&self) -> impl Iterator<Item = usize> + '_ {
        self.layers.keys().copied()
    }

    /// The first row that is edited, if one is.
    pub fn first_row(&self) -> Option<usize> {
        self.layers.values().filter_map(|edit| edit.rows.first().copied()).min()
    }

    /// The first row that the two edit differently, if there is one, for two prompts of the same models and settings that are equal up to
    /// there. What a base makes of a row depends on nothing after it, so rows that are replaced in both count as edited alike: their values
    /// are equal up to rounding. A delta is learned for all rows together, so it counts as alike where its values are.
    pub fn first_difference(&self, other: &Self) -> Option<usize> {
        let residuals: BTreeSet<usize> = self.residuals().chain(other.residuals()).collect();
        let differs = |residual: usize| match (self.layer(residual), other.layer(residual)) {
            (Some(a), Some(b)) => a.first_difference(b),
            (Some(only), None) | (None, Some(only)) => only.rows.first().copied(),
            (None, None) => None,
        };
        residuals.into_iter().filter_map(differs).min()
    }

    /// The same edits, for residuals without the first so many rows of the prompt.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn after(&self, rows: usize) -> Result<Self> {
        let mut layers = BTreeMap::new();
        for (&residual, edit) in &self.layers {
            let first = edit.rows.partition_point(|&row| row < rows);
            let left = edit.rows.len() - first;
            if left > 0 {
                let rows = edit.rows[first..].iter().map(|row| row - rows).collect();
                let values = edit.values.narrow(0, first, left)?;
                layers.insert(residual, LayerEdit { rows, values, change: edit.change });
            }
        }
        Ok(Self { layers })
    }

    /// `residual[layer]` of this prompt with its rows edited; `None` if none are. Rows that are not selected come out bit for bit.
    ///
    /// # Shapes
    /// `hidden`: `[rows, hidden]` of the prompt (rows past it, generated ones, may follow); returns the same.
    ///
    /// # Errors
    /// If `hidden` has fewer rows than the prompt, or another width.
    pub fn apply(&self, layer: usize, hidden: &Tensor) -> Result<Option<Tensor>> {
        self.layers.get(&layer).map(|edit| edit.apply(hidden)).transpose()
    }
}

impl LayerEdit {
    fn first_difference(&self, other: &Self) -> Option<usize> {
        let first = |edit: &Self| edit.rows.first().copied();
        if self.change != other.change {
            return first(self).into_iter().chain(first(other)).min();
        }
        let alike = match self.change {
            Change::Replace { .. } => usize::MAX,
            Change::Add => equal_rows(&self.values, &other.values).unwrap_or(0),
        };
        let shared = self.rows.len().min(other.rows.len()).min(alike);
        let at = (0..shared).find(|&index| self.rows[index] != other.rows[index]).unwrap_or(shared);
        self.rows.get(at).into_iter().chain(other.rows.get(at)).copied().min()
    }

    fn apply(&self, hidden: &Tensor) -> Result<Tensor> {
        let (rows, width) = hidden.dims2()?;
        let last = self.rows.last().copied().unwrap_or(0);
        if last >= rows || self.values.dim(1)? != width {
            return Err(Error::size(
                "residual to edit",
                format!("more than {last} rows of width {}", self.values.dim(1)?),
                format!("{rows} rows of width {width}"),
            ));
        }
        let index: Vec<u32> = self.rows.iter().map(|&row| row as u32).collect();
        let index = Tensor::new(index, hidden.device())?;
        let given = self.values.to_device(hidden.device())?;
        let values = match self.change {
            Change::Replace { blend: 1.0 } => given.to_dtype(hidden.dtype())?,
            // Written as a step from the row itself, so that equal rows stay equal bit for bit.
            Change::Replace { blend } => {
                let own = hidden.index_select(&index, 0)?;
                (&own + ((given.to_dtype(hidden.dtype())? - &own)? * blend)?)?
            }
            // In the delta's own precision: a small one would vanish in half precision before it is added.
            Change::Add => {
                (hidden.index_select(&index, 0)?.to_dtype(given.dtype())? + given)?.to_dtype(hidden.dtype())?
            }
        };
        let index = index.unsqueeze(1)?.broadcast_as(values.shape())?.contiguous()?;
        Ok(hidden.contiguous()?.scatter(&index, &values.contiguous()?, 0)?)
    }
}

/// How many rows of two matrices are equal to the bit before the first that is not.
fn equal_rows(a: &Tensor, b: &Tensor) -> candle_core::Result<usize> {
    if a.id() == b.id() {
        return a.dim(0);
    }
    let bits = |t: &Tensor| -> candle_core::Result<Vec<Vec<u32>>> {
        let rows = t.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        Ok(rows.into_iter().map(|row| row.into_iter().map(f32::to_bits).collect()).collect())
    };
    Ok(bits(a)?.iter().zip(&bits(b)?).take_while(|(a, b)| a == b).count())
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, IndexOp};

    use super::*;
    use crate::Role;
    use crate::rank::LayerSelection;

    fn random(rows: usize) -> Tensor {
        Tensor::randn(0f32, 1.0, (rows, 4), &Device::Cpu).unwrap()
    }

    fn edits(base: &Tensor, rows: Vec<usize>, alignment: Alignment, blend: f64) -> Edits {
        let mut activations = Activations::new(Role::Base, base.dim(0).unwrap());
        for layer in 0..4 {
            activations.insert(layer, base.clone()).unwrap();
        }
        let layer = LayerSelection { layer: 2, rows, ranked: 0, not_finite: 0, entropy: None };
        Edits::new(&Selection { layers: vec![layer] }, &activations, alignment, blend).unwrap()
    }

    fn bits(tensor: &Tensor) -> Vec<Vec<u32>> {
        let rows = tensor.to_vec2::<f32>().unwrap();
        rows.into_iter().map(|row| row.into_iter().map(f32::to_bits).collect()).collect()
    }

    #[test]
    fn selected_rows_are_replaced_and_the_others_left_bit_for_bit() {
        let (base, own) = (random(5), random(5));
        let edits = edits(&base, vec![1, 4], Alignment::Aligned, 1.0);
        let got = bits(&edits.apply(3, &own).unwrap().unwrap());
        let (base, own) = (bits(&base), bits(&own));
        assert_eq!(got, [&own[0], &base[1], &own[2], &own[3], &base[4]].map(Clone::clone));
    }

    #[test]
    fn an_edit_holds_its_own_rows_and_not_the_residual_they_came_from() {
        let base = random(1000);
        let edits = edits(&base, vec![3, 4, 5], Alignment::Aligned, 1.0);
        let values = &edits.layer(3).unwrap().values;
        let (storage, layout) = values.storage_and_layout();
        assert_eq!(layout.start_offset(), 0);
        let candle_core::Storage::Cpu(candle_core::CpuStorage::F32(stored)) = &*storage else { panic!("not on a CPU") };
        assert_eq!(stored.len(), 12);
    }

    #[test]
    fn alignment_decides_which_residual_is_edited() {
        let base = random(5);
        let residuals = |alignment| edits(&base, vec![0], alignment, 1.0).residuals().collect::<Vec<_>>();
        assert_eq!(residuals(Alignment::Aligned), [3]);
        assert_eq!(residuals(Alignment::Released), [2]);
        assert!(edits(&base, vec![0], Alignment::Aligned, 1.0).apply(2, &base).unwrap().is_none());
        assert!(edits(&base, vec![], Alignment::Aligned, 1.0).is_empty());
    }

    #[test]
    fn blend_mixes_and_leaves_equal_rows_equal_bit_for_bit() {
        let (base, own) = (random(3), random(3));
        let mixed = edits(&base, vec![2], Alignment::Aligned, 0.25).apply(3, &own).unwrap().unwrap();
        let expected = ((base.i(2).unwrap() * 0.25).unwrap() + (own.i(2).unwrap() * 0.75).unwrap()).unwrap();
        let difference = (mixed.i(2).unwrap() - expected).unwrap().abs().unwrap().max(0).unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-6);
        let same = edits(&own, vec![0, 1, 2], Alignment::Aligned, 0.3).apply(3, &own).unwrap().unwrap();
        assert_eq!(bits(&same), bits(&own));
    }

    #[test]
    fn a_delta_is_added_to_its_rows_alone() {
        let (own, delta) = (random(4), random(2));
        let got = Edits::delta(0, vec![1, 3], delta.clone()).apply(0, &own).unwrap().unwrap();
        assert_eq!(bits(&got)[0], bits(&own)[0]);
        let sum = (own.i(3).unwrap() + delta.i(1).unwrap()).unwrap();
        assert_eq!(got.i(3).unwrap().to_vec1::<f32>().unwrap(), sum.to_vec1::<f32>().unwrap());
        let nothing = Edits::delta(0, vec![1, 3], delta.zeros_like().unwrap()).apply(0, &own).unwrap().unwrap();
        assert_eq!(bits(&nothing), bits(&own));
    }

    #[test]
    fn rows_replaced_in_both_are_alike_and_a_delta_where_its_values_are() {
        let replaced = |base: &Tensor, rows: &[usize]| edits(base, rows.to_vec(), Alignment::Aligned, 1.0);
        let (base, other) = (random(9), random(9));
        assert_eq!(replaced(&base, &[1, 4]).first_difference(&replaced(&other, &[1, 4])), None);
        assert_eq!(replaced(&base, &[1, 4]).first_difference(&replaced(&base, &[1, 3, 4])), Some(3));
        assert_eq!(replaced(&base, &[1, 4]).first_difference(&replaced(&base, &[1, 4, 8])), Some(8));
        assert_eq!(replaced(&base, &[1, 4]).first_difference(&replaced(&base, &[])), Some(1));
        let mixed = edits(&base, vec![4], Alignment::Aligned, 0.5);
        assert_eq!(replaced(&base, &[1, 4]).first_difference(&mixed), Some(1));

        let delta = random(3);
        let added = |delta: &Tensor, rows: &[usize]| Edits::delta(0, rows.to_vec(), delta.clone());
        assert_eq!(added(&delta, &[2, 5, 7]).first_difference(&added(&delta, &[2, 5, 7])), None);
        assert_eq!(added(&delta, &[2, 5, 7]).first_difference(&added(&delta.copy().unwrap(), &[2, 5, 7])), None);
        let changed = Tensor::cat(&[delta.narrow(0, 0, 1).unwrap(), random(2)], 0).unwrap();
        assert_eq!(added(&delta, &[2, 5, 7]).first_difference(&added(&changed, &[2, 5, 7])), Some(5));
        let longer = Tensor::cat(&[delta.clone(), random(1)], 0).unwrap();
        assert_eq!(added(&delta, &[2, 5, 7]).first_difference(&added(&longer, &[2, 5, 7, 8])), Some(8));
        assert_eq!(added(&delta, &[2, 5, 7]).first_difference(&replaced(&base, &[6])), Some(2));
        assert_eq!(added(&delta, &[2, 5, 7]).first_row(), Some(2));
    }

    #[test]
    fn edits_of_the_later_rows_are_the_same_edits_there() {
        let (base, own) = (random(6), random(6));
        let edits = edits(&base, vec![0, 2, 5], Alignment::Aligned, 1.0);
        for skipped in 0..=6 {
            let later = own.narrow(0, skipped, 6 - skipped).unwrap();
            let got = edits.after(skipped).unwrap().apply(3, &later).unwrap().unwrap_or(later);
            let whole = edits.apply(3, &own).unwrap().unwrap();
            assert_eq!(bits(&got), bits(&whole)[skipped..]);
        }
        assert!(edits.after(6).unwrap().is_empty());
    }

    #[test]
    fn a_generated_row_after_the_prompt_is_never_edited() {
        let (base, longer) = (random(3), random(6));
        let got = edits(&base, vec![2], Alignment::Aligned, 1.0).apply(3, &longer).unwrap().unwrap();
        assert_eq!(bits(&got)[3..], bits(&longer)[3..]);
        assert_eq!(bits(&got)[2], bits(&base)[2]);
    }

    #[test]
    fn half_precision_is_kept_and_wrong_sizes_are_errors() {
        let base = random(3);
        let edits = edits(&base, vec![2], Alignment::Aligned, 1.0);
        let half = random(3).to_dtype(DType::BF16).unwrap();
        assert_eq!(edits.apply(3, &half).unwrap().unwrap().dtype(), DType::BF16);
        let short = edits.apply(3, &random(2)).unwrap_err();
        assert_eq!(short.to_string(), "residual to edit: expected more than 2 rows of width 4, got 2 rows of width 4");
    }
}
