//! From a byte offset, which the parser knows, to the line and column that an editor shows.

/// Line and column of byte `offset`, both from 1, the column in characters.
///
/// An offset inside a character or past the end is moved back to the nearest character boundary. A byte order mark
/// occupies no column: editors do not show it.
pub(super) fn line_column(source: &str, offset: usize) -> (usize, usize) {
    let before = &source[..source.floor_char_boundary(offset)];
    let before = before.strip_prefix('\u{feff}').unwrap_or(before);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::line_column;

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_column("é = 1\nß", 3), (1, 3));
        assert_eq!(line_column("é = 1\nß", 7), (2, 1));
    }

    #[test]
    fn offsets_inside_a_character_or_past_the_end_are_moved_back() {
        assert_eq!(line_column("é", 1), (1, 1));
        assert_eq!(line_column("a\n", 99), (2, 1));
    }

    #[test]
    fn a_byte_order_mark_takes_no_column() {
        assert_eq!(line_column("\u{feff}a", 3), (1, 1));
        assert_eq!(line_column("\u{feff}a", 0), (1, 1));
    }
}
