//! Which part of a text is the answer, and whether it is right.
//!
//! An answer that cannot be found is wrong, and is told apart from a wrong one. Nothing is ever right because both sides were reduced
//! to nothing: that is what happens in the published evaluation scripts (`eval_visualprobehard.py` compares the first capital letters
//! A to G, so that "White" equals "Red"). [`Verifier::accepts`] says beforehand which right answers a verifier cannot decide on.
mod canonical;
mod decimal;
mod extract;
mod letter;
mod parse;
mod quantity;

use regex::Regex;

pub use canonical::canonical;
pub use parse::VerifierError;

/// A way to find the answer in a text and to compare it with the right one.
///
/// Parsed from, and written as, `exact`, `boxed`, `answer-tag`, `numeric`, `numeric:0.01`, `letter` or `regex:PATTERN`.
#[derive(Debug, Clone)]
pub enum Verifier {
    /// The whole text.
    Exact,
    /// The last `\boxed{...}` that is closed and not empty.
    Boxed,
    /// The last `<answer>...</answer>` that is closed and not empty; if there is a `\boxed{...}` in it, that.
    AnswerTag,
    /// The last number of the tag, else of the box, else of the text. A number that is part of a formula (`2\sqrt{3}`) is none.
    Numeric {
        /// The largest difference, absolute or as a share of the right answer.
        tolerance: f64,
    },
    /// The choice letter, A to J, of the tag, else of the box, else of the text: the last one that the word "answer" introduces, else the
    /// last that stands alone. Two choices joined by "and", "or" or a comma are no answer.
    Letter,
    /// What the only capture group holds at the last match.
    Regex(Regex),
}

/// What a verifier says of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The answer as the text has it; `None` if there is none.
    pub answer: Option<String>,
    /// Whether it is right.
    pub correct: bool,
}

impl Verifier {
    /// Finds the answer in `text` and compares it with `gold`, the right one. Texts are compared in their [`canonical`] form.
    #[must_use]
    pub fn judge(&self, text: &str, gold: &str) -> Verdict {
        let extracted = match self {
            Self::Numeric { tolerance } => {
                let found = quantity::last(extract::scope(text));
                let correct = found.is_some_and(|found| {
                    quantity::only(extract::scope(gold)).is_some_and(|gold| close(found.value, gold.value, *tolerance))
                });
                return Verdict { answer: found.map(|found| found.text.to_owned()), correct };
            }
            Self::Letter => {
                let found = letter::chosen(extract::scope(text));
                let correct = found.is_some() && found == letter::given(extract::scope(gold));
                return Verdict { answer: found.map(String::from), correct };
            }
            Self::Exact => Some(text),
            Self::Boxed => extract::boxed(text),
            Self::AnswerTag => extract::tagged(text),
            Self::Regex(pattern) => {
                let last = pattern.captures_iter(text).filter_map(|captures| captures.get(1)).last();
                last.map(|group| group.as_str())
            }
        };
        let answer = extracted.map(str::trim).filter(|answer| !canonical(answer).is_empty());
        let correct = answer.is_some_and(|answer| canonical(answer) == canonical(self.bare(gold)));
        Verdict { answer: answer.map(str::to_owned), correct }
    }

    /// Whether any text at all can be judged right with this right answer.
    ///
    /// # Errors
    /// [`VerifierError::Gold`] if not, such as for `letter` with the right answer "White".
    pub fn accepts(&self, gold: &str) -> Result<(), VerifierError> {
        let expected = match self {
            Self::Numeric { .. } if quantity::only(extract::scope(gold)).is_none() => "one number",
            Self::Letter if letter::given(extract::scope(gold)).is_none() => "one choice letter (A to J)",
            Self::Exact | Self::Boxed | Self::AnswerTag | Self::Regex(_) if canonical(self.bare(gold)).is_empty() => {
                "a text that is not only punctuation"
            }
            _ => return Ok(()),
        };
        Err(VerifierError::Gold { verifier: self.to_string(), expected, found: gold.to_owned() })
    }

    /// The right answer without the wrapping in which this verifier looks for answers, if it has one.
    fn bare<'a>(&self, gold: &'a str) -> &'a str {
        match self {
            Self::Boxed => extract::boxed(gold).unwrap_or(gold),
            Self::AnswerTag => extract::tagged(gold).unwrap_or(gold),
            _ => gold,
        }
    }
}

/// Whether two numbers differ by at most `tolerance`, absolutely or as a share of `gold`.
fn close(value: f64, gold: f64, tolerance: f64) -> bool {
    let difference = (value - gold).abs();
    // Below its tolerance a right answer could not be told from 0, so there only the share counts.
    let absolute = gold == 0.0 || gold.abs() > tolerance;
    // In binary, 1.01 and 1 differ by a little more than 0.01.
    let tolerance = tolerance * (1.0 + 1e-9);
    difference <= tolerance * gold.abs() || (absolute && difference <= tolerance)
}

#[cfg(test)]
mod tests;
