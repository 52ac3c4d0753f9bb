//! The labelled rows of one prompt.
use serde::Serialize;

use super::{Image, RowSet, VisualLabel};
use crate::config::Positions;
use crate::{Error, Result};

/// One prompt position of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RowLabel {
    /// The engine's id of the sequence.
    pub sequence: usize,
    /// Position in the prompt, from 0.
    pub position: usize,
    /// Token id.
    pub token: u32,
    /// The place of a visual row in its image; `None` for text.
    pub visual: Option<VisualLabel>,
}

/// The rows of one prompt, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptMap {
    rows: Vec<RowLabel>,
    images: Vec<Image>,
}

impl PromptMap {
    /// Labels the prompt of one sequence: the placeholder tokens, in order, are the visual tokens of `images`, in order.
    ///
    /// # Errors
    /// If there are more or fewer placeholders than visual tokens, for example because a user typed a placeholder as text.
    pub fn new(
        sequence: usize,
        tokens: &[u32],
        is_placeholder: impl Fn(u32) -> bool,
        images: Vec<Image>,
    ) -> Result<Self> {
        let expected: usize = images.iter().map(Image::tokens).sum();
        // In a prompt without images a placeholder token is text.
        let placeholders = (0..tokens.len()).filter(|&position| expected > 0 && is_placeholder(tokens[position]));
        let mut placeholders: Vec<usize> = placeholders.collect();
        if placeholders.len() != expected {
            let what = format!("placeholder tokens for {} images", images.len());
            return Err(Error::size(what, expected, placeholders.len()));
        }
        let mut images_with_positions = Vec::with_capacity(images.len());
        for image in images {
            let rest = placeholders.split_off(image.tokens());
            images_with_positions.push((image, std::mem::replace(&mut placeholders, rest)));
        }
        Self::at(sequence, tokens, images_with_positions)
    }

    /// Labels the prompt of one sequence: each image with the positions of its visual tokens, in the order of its grids.
    ///
    /// # Errors
    /// If an image has more or fewer positions than visual tokens, or the positions do not ascend within the prompt.
    pub fn at(sequence: usize, tokens: &[u32], images: Vec<(Image, Vec<usize>)>) -> Result<Self> {
        let label = |(position, &token): (usize, &u32)| RowLabel { sequence, position, token, visual: None };
        let mut rows: Vec<RowLabel> = tokens.iter().enumerate().map(label).collect();
        let mut next = 0;
        for (index, (image, positions)) in images.iter().enumerate() {
            if positions.len() != image.tokens() {
                return Err(Error::size(format!("positions for image {index}"), image.tokens(), positions.len()));
            }
            for (&position, visual) in positions.iter().zip(image.labels(index)) {
                let in_order = position >= next;
                let row = rows.get_mut(position).filter(|_| in_order);
                let row = row.ok_or_else(|| {
                    Error::size(format!("a position of image {index}"), format!("{next} to {}", tokens.len()), position)
                })?;
                row.visual = Some(visual);
                next = position + 1;
            }
        }
        Ok(Self { rows, images: images.into_iter().map(|(image, _)| image).collect() })
    }

    /// All rows, in prompt order.
    pub fn rows(&self) -> &[RowLabel] {
        &self.rows
    }

    /// The images, in prompt order.
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// How many rows the prompt has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the prompt has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Positions of the visual rows, ascending.
    pub fn visual_rows(&self) -> Vec<usize> {
        self.rows.iter().filter(|row| row.visual.is_some()).map(|row| row.position).collect()
    }

    /// The rows that a policy with these positions ranks.
    pub fn candidates(&self, positions: Positions) -> RowSet {
        match positions {
            Positions::Visual => RowSet::ascending(self.visual_rows()),
            Positions::All => RowSet::all(self.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Grid, ImageContent};
    use super::*;

    const PAD: u32 = 9;

    fn image(frames: usize, rows: usize, columns: usize) -> Image {
        Image::with_grid(Grid { frames, rows, columns }, ImageContent::of(1, 1, "", &[]))
    }

    #[test]
    fn visual_rows_carry_image_frame_row_and_column() {
        let tokens = [1, PAD, PAD, 2, PAD, PAD, PAD, PAD, PAD, PAD, 3];
        let map = PromptMap::new(7, &tokens, |t| t == PAD, vec![image(1, 1, 2), image(2, 3, 1)]).unwrap();
        assert_eq!(map.visual_rows(), [1, 2, 4, 5, 6, 7, 8, 9]);
        let label = |position: usize| map.rows()[position].visual.unwrap();
        assert_eq!(label(2), VisualLabel { image: 0, frame: 0, row: 0, column: 1 });
        assert_eq!(label(4), VisualLabel { image: 1, frame: 0, row: 0, column: 0 });
        assert_eq!(label(9), VisualLabel { image: 1, frame: 1, row: 2, column: 0 });
        assert!(map.rows().iter().all(|row| row.sequence == 7));
        assert_eq!(map.candidates(Positions::All).len(), tokens.len());
    }

    #[test]
    fn positions_must_fit_the_grids_and_ascend() {
        let place =
            |positions: &[usize]| PromptMap::at(0, &[1, PAD, 2, PAD], vec![(image(1, 1, 2), positions.to_vec())]);
        let label = place(&[1, 3]).unwrap().rows()[3].visual.unwrap();
        assert_eq!(label, VisualLabel { image: 0, frame: 0, row: 0, column: 1 });
        for wrong in [&[1][..], &[3, 1], &[1, 1], &[1, 4], &[1, 2, 3]] {
            assert!(place(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_pieces_of_an_image_are_numbered_through() {
        let grid = |rows, columns| Grid { frames: 1, rows, columns };
        let cut = Image { grids: vec![grid(1, 2), grid(1, 2), grid(2, 1)], content: ImageContent::of(1, 1, "", &[]) };
        let map = PromptMap::new(0, &[PAD; 6], |t| t == PAD, vec![cut]).unwrap();
        let places: Vec<_> =
            map.rows().iter().map(|row| row.visual.unwrap()).map(|v| (v.frame, v.row, v.column)).collect();
        assert_eq!(places, [(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1), (2, 0, 0), (2, 1, 0)]);
    }

    #[test]
    fn adjacent_images_are_told_apart() {
        let map = PromptMap::new(0, &[PAD; 5], |t| t == PAD, vec![image(1, 2, 1), image(1, 1, 3)]).unwrap();
        let images: Vec<_> = map.rows().iter().map(|row| row.visual.unwrap().image).collect();
        assert_eq!(images, [0, 0, 1, 1, 1]);
    }

    #[test]
    fn a_typed_placeholder_is_text_without_images_and_an_error_with_them() {
        let text = PromptMap::new(0, &[1, PAD, 2], |t| t == PAD, vec![]).unwrap();
        assert!(text.visual_rows().is_empty());
        let error = PromptMap::new(0, &[PAD, PAD, 2], |t| t == PAD, vec![image(1, 1, 1)]).unwrap_err();
        assert_eq!(error.to_string(), "placeholder tokens for 1 images: expected 1, got 2");
    }
}
