//! The rows of a prompt over which strategy `learned` computes gradients.
use std::ops::Range;

use super::RowSet;
use crate::{Error, Result};

/// The rows of a prompt from its first visual row to its last: the only rows that a delta changes and that the loss depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first row, by its position in the prompt.
    pub start: usize,
    /// The position after the last row.
    pub end: usize,
}

/// Rows of a [`Span`], counted from its first row, ascending. [`Span::locate`] converts rows of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanRows(Vec<usize>);

impl Span {
    /// The rows at these positions of the prompt.
    pub fn new(rows: Range<usize>) -> Self {
        Self { start: rows.start, end: rows.end }
    }

    /// The span from the first of these rows to the last; for no rows, the empty span at the prompt's beginning.
    pub fn around(rows: &RowSet) -> Self {
        Self { start: rows.first().unwrap_or(0), end: rows.last().map_or(0, |last| last + 1) }
    }

    /// How many rows the span has.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether the span has no row.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// All rows of the span, as rows of the prompt.
    pub fn prompt_rows(&self) -> RowSet {
        RowSet::range(self.start..self.end)
    }

    /// Converts rows of the prompt to rows of the span.
    ///
    /// # Errors
    /// [`Error::Size`] if a row is outside the span.
    pub fn locate(&self, rows: &RowSet) -> Result<SpanRows> {
        match rows.iter().find(|row| !(self.start..self.end).contains(row)) {
            Some(row) => Err(Error::size("rows of a span", format!("{} to {}", self.start, self.end), row)),
            None => Ok(SpanRows(rows.iter().map(|row| row - self.start).collect())),
        }
    }
}

impl SpanRows {
    /// The rows, counted from the span's first row, ascending.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_prompt_are_located_in_the_span_or_refused() {
        let rows = RowSet::new(vec![4, 6, 7]).unwrap();
        let span = Span::around(&rows);
        assert_eq!((span.start, span.end, span.len()), (4, 8, 4));
        assert_eq!(span.locate(&rows).unwrap().as_slice(), [0, 2, 3]);
        let error = span.locate(&RowSet::all(1)).unwrap_err().to_string();
        assert_eq!(error, "rows of a span: expected 4 to 8, got 0");
        assert!(Span::around(&RowSet::default()).is_empty());
    }
}
