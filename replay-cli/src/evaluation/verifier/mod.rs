//! Finds the answer in a text and decides whether it is right.
//!
//! A text without an answer is wrong, and is counted apart from wrong answers. Two empty answers are never equal, unlike in the published
//! evaluation scripts (`eval_visualprobehard.py` compares the first capital letters A to G, so that "White" equals "Red").
//! [`Verifier::accepts`] checks beforehand whether a verifier can decide on a right answer.
mod canonical;
mod decimal;
mod extract;
mod letter;
mod parse;
mod quantity;

use regex::Regex;

pub use canonical::canonical;
pub use parse::VerifierError;

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

/// The answer in a text, and whether it is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The answer as written in the text; `None` if there is none.
    pub answer: Option<String>,
    /// Whether the answer is right.
    pub correct: bool,
}

impl Verifier {
    /// Finds the answer in `text` and compares it with `gold`, the right one. Texts are compared in their [`canonical`] form.
    #[must_use]
    pub fn judge(&self, text: &str, gold: &str) -> Judgement {
        let extracted = match self {
            Self::Numeric { tolerance } => {
                let answer = quantity::last(extract::scope(text));
                let correct = answer.is_some_and(|answer| {
                    quantity::only(extract::scope(gold)).is_some_and(|gold| close(answer.value, gold.value, *tolerance))
                });
                return Judgement { answer: answer.map(|answer| answer.text.to_owned()), correct };
            }
            Self::Letter => {
                let letter = letter::chosen(extract::scope(text));
                let correct = letter.is_some() && letter == letter::of_gold(extract::scope(gold));
                return Judgement { answer: letter.map(String::from), correct };
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
        let correct = answer.is_some_and(|answer| canonical(answer) == canonical(self.unwrapped(gold)));
        Judgement { answer: answer.map(str::to_owned), correct }
    }

    /// Checks whether any text can be right for this right answer.
    ///
    /// # Errors
    /// [`VerifierError::Gold`] if none can, as for `letter` with the right answer "White".
    pub fn accepts(&self, gold: &str) -> Result<(), VerifierError> {
        let expected = match self {
            Self::Numeric { .. } if quantity::only(extract::scope(gold)).is_none() => "one number",
            Self::Letter if letter::of_gold(extract::scope(gold)).is_none() => "one choice letter (A to J)",
            Self::Exact | Self::Boxed | Self::AnswerTag | Self::Regex(_)
                if canonical(self.unwrapped(gold)).is_empty() =>
            {
                "a text that is not only punctuation"
            }
            _ => return Ok(()),
        };
        Err(VerifierError::Gold { verifier: self.to_string(), expected, found: gold.to_owned() })
    }

    /// The right answer without the `\boxed{...}` or `<answer>` tag of this verifier, if it has one.
    fn unwrapped<'a>(&self, gold: &'a str) -> &'a str {
        match self {
            Self::Boxed => extract::boxed(gold).unwrap_or(gold),
            Self::AnswerTag => extract::tagged(gold).unwrap_or(gold),
            _ => gold,
        }
    }
}

/// Whether two numbers differ by at most `tolerance`, absolutely or relative to `gold`.
fn close(value: f64, gold: f64, tolerance: f64) -> bool {
    let difference = (value - gold).abs();
    // For a right answer below the tolerance, 0 would be within the absolute tolerance, so only the relative one applies.
    let absolute = gold == 0.0 || gold.abs() > tolerance;
    // In binary floating point, 1.01 and 1 differ by slightly more than 0.01.
    let tolerance = tolerance * (1.0 + 1e-9);
    difference <= tolerance * gold.abs() || (absolute && difference <= tolerance)
}

#[cfg(test)]
mod tests;
