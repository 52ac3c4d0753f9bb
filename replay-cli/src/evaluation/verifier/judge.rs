//! Finds an answer and compares it with the right one.
use super::canonical::canonical;
use super::kind::Verifier;
use super::parse::VerifierError;
use super::{extract, letter, quantity};

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
