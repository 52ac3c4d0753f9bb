//! The verifiers.
use regex::Regex;

/// A method to find the answer in a text and to compare it with the right one.
///
/// It is parsed from, and displayed as, `exact`, `boxed`, `answer-tag`, `numeric`, `numeric:0.01`, `letter` or `regex:PATTERN`.
#[derive(Debug, Clone)]
pub enum Verifier {
    /// The whole text.
    Exact,
    /// The last `\boxed{...}` that is closed and not empty.
    Boxed,
    /// The last `<answer>...</answer>` that is closed and not empty; if there is a `\boxed{...}` in it, that.
    AnswerTag,
    /// The last number of the tag, else of the box, else of the text. If that is part of a formula (`2\sqrt{3}`), there is no answer.
    Numeric {
        /// The largest difference, absolute or as a share of the right answer.
        tolerance: f64,
    },
    /// The choice letter, A to J, of the tag, else of the box, else of the text: the last one that the word "answer" introduces, else the
    /// last that stands alone. Two choices joined by "and", "or" or a comma are no answer.
    Letter,
    /// The content of the only capture group at the last match.
    Regex(Regex),
}
