//! Images of a prompt: their visual tokens, and the identity of their content.
use serde::Serialize;

/// Visual tokens of one image or clip: frames, and rows and columns of tokens (after the vision tower has merged its patches).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Grid {
    /// Frames; 1 for an image.
    pub frames: usize,
    /// Token rows of a frame.
    pub rows: usize,
    /// Token columns of a frame.
    pub columns: usize,
}

impl Grid {
    /// How many visual tokens the grid has.
    pub fn tokens(&self) -> usize {
        self.frames * self.rows * self.columns
    }
}

/// The identity of an image's content: a blake3 hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImageContent([u8; 32]);

impl ImageContent {
    /// The identity of an image: its pixels and how they are laid out. The same bytes in another shape or colour type are another image.
    pub fn of(width: u32, height: u32, colour: &str, pixels: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&width.to_le_bytes()).update(&height.to_le_bytes());
        hasher.update(&(colour.len() as u64).to_le_bytes()).update(colour.as_bytes()).update(pixels);
        Self(*hasher.finalize().as_bytes())
    }

    /// The identity of a clip: that of all its frames, in order.
    pub fn of_clip(frames: impl IntoIterator<Item = Self>) -> Self {
        let mut hasher = blake3::Hasher::new();
        // Separates clips from images: the input of an image's hash begins with its width.
        hasher.update(b"clip");
        frames.into_iter().for_each(|frame| {
            hasher.update(&frame.0);
        });
        Self(*hasher.finalize().as_bytes())
    }

    /// The bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// One image (or clip) of the prompt, in prompt order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// The grids of its visual tokens, in prompt order: one grid, or several where a model family splits a large image into tiles (and adds
    /// a thumbnail).
    pub grids: Vec<Grid>,
    /// The identity of its content.
    pub content: ImageContent,
}

impl Image {
    /// An image with one grid.
    pub fn with_grid(grid: Grid, content: ImageContent) -> Self {
        Self { grids: vec![grid], content }
    }

    /// How many visual tokens the image has.
    pub fn tokens(&self) -> usize {
        self.grids.iter().map(Grid::tokens).sum()
    }

    /// The labels of its visual tokens, in prompt order. Frames are numbered through all grids.
    pub(super) fn labels(&self, image: usize) -> impl Iterator<Item = VisualLabel> {
        let starts = self.grids.iter().scan(0, |next, grid| {
            let start = *next;
            *next += grid.frames;
            Some(start)
        });
        self.grids.iter().zip(starts).flat_map(move |(grid, start)| {
            let Grid { rows, columns, .. } = *grid;
            (0..grid.tokens()).map(move |i| VisualLabel {
                image,
                frame: start + i / (rows * columns),
                row: i / columns % rows,
                column: i % columns,
            })
        })
    }
}

/// The place of a visual row in its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VisualLabel {
    /// Index of the image in the prompt.
    pub image: usize,
    /// Frame of a clip, or tile of an image that is split; 0 for an image with one grid.
    pub frame: usize,
    /// Token row in the frame.
    pub row: usize,
    /// Token column in the frame.
    pub column: usize,
}
