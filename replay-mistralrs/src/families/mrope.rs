//! Positions of the Qwen-VL families (M-RoPE; Qwen2-VL, arXiv 2409.12191, section 2.1).
use replay_core::PromptMap;

/// The rotary position of each row on the axes frame, row and column. A text row has the next position on all three axes. A visual row has
/// the position at which its image starts plus its frame, row and column; the row after an image continues after the largest of them.
pub(super) fn positions(prompt: &PromptMap) -> Vec<[u32; 3]> {
    let mut next = 0;
    let mut image = None;
    prompt
        .rows()
        .iter()
        .map(|row| match row.visual {
            None => {
                if let Some((_, end)) = image.take() {
                    next = end;
                }
                let position = next;
                next += 1;
                [position; 3]
            }
            Some(visual) => {
                let grid = prompt.images()[visual.image].grids[0];
                let (start, end) = match image {
                    Some((index, end)) if index == visual.image => (next, end),
                    before => {
                        if let Some((_, end)) = before {
                            next = end;
                        }
                        (next, next + grid.frames.max(grid.rows).max(grid.columns) as u32)
                    }
                };
                image = Some((visual.image, end));
                [visual.frame, visual.row, visual.column].map(|axis| start + axis as u32)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use replay_core::{Grid, Image, ImageContent};

    use super::*;

    #[test]
    fn text_continues_after_the_largest_side_of_an_image() {
        let image =
            |rows, columns| Image::with_grid(Grid { frames: 1, rows, columns }, ImageContent::of(1, 1, "", &[]));
        let tokens = [1, 9, 9, 9, 9, 9, 9, 2, 9, 9, 3];
        let prompt = PromptMap::new(0, &tokens, |token| token == 9, vec![image(2, 3), image(2, 1)]).unwrap();
        let got = positions(&prompt);
        assert_eq!(got[..4], [[0; 3], [1, 1, 1], [1, 1, 2], [1, 1, 3]]);
        assert_eq!(got[4..8], [[1, 2, 1], [1, 2, 2], [1, 2, 3], [4; 3]]);
        assert_eq!(got[8..], [[5, 5, 5], [5, 6, 5], [7; 3]]);
    }

    #[test]
    fn adjacent_images_start_at_different_positions() {
        let image = Image::with_grid(Grid { frames: 1, rows: 1, columns: 2 }, ImageContent::of(1, 1, "", &[]));
        let prompt = PromptMap::new(0, &[9, 9, 9, 9], |token| token == 9, vec![image.clone(), image]).unwrap();
        assert_eq!(positions(&prompt), [[0, 0, 0], [0, 0, 1], [2, 2, 2], [2, 2, 3]]);
    }
}
