//! Finds an answer and compares it with the right one.
use std::collections::BTreeSet;

use super::canonical::canonical;
use super::kind::Verifier;
use super::parse::VerifierError;
use super::{extract, formula, letter, letters, quantity};

/// The answer in a text, and whether it is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The answer as written in the text; `None` if there is none.
    pub answer: Option<String>,
    /// Whether the answer is right.
    pub correct: bool,
}

impl Verifier {
    /// Finds the answer in `text` and compares it with `gold`, the right one. `boxed` and `answer-tag` compare as
    /// a marker would, the others texts in their [`canonical`] form.
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
                let gold = letters::of_gold(extract::scope(gold));
                let said = match &gold {
                    Some(gold) if gold.len() > 1 => letters::chosen(text),
                    _ => chosen_letter(text).map(|letter| BTreeSet::from([letter])),
                };
                let correct = said.is_some() && said == gold;
                let written =
                    |letters: BTreeSet<char>| letters.iter().map(char::to_string).collect::<Vec<_>>().join(", ");
                return Judgement { answer: said.map(written), correct };
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
        let gold = self.unwrapped(gold);
        let correct = answer.is_some_and(|answer| match self {
            Self::Boxed | Self::AnswerTag => formula::same(answer, gold),
            _ => canonical(answer) == canonical(gold),
        });
        Judgement { answer: answer.map(str::to_owned), correct }
    }

    /// Checks whether any text can be right for this right answer.
    ///
    /// # Errors
    /// [`VerifierError::Gold`] if none can, as for `letter` with the right answer "White".
    pub fn accepts(&self, gold: &str) -> Result<(), VerifierError> {
        let expected = match self {
            Self::Numeric { .. } if quantity::only(extract::scope(gold)).is_none() => "one number",
            Self::Letter if letters::of_gold(extract::scope(gold)).is_none() => "choice letters (A to J)",
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

/// The letter that a text chooses: that of the tag, else that of the box, else that of the whole text: a formula in a box is not a choice.
fn chosen_letter(text: &str) -> Option<char> {
    if extract::tagged(text).is_some() {
        return letter::chosen(extract::scope(text));
    }
    let Some(boxed) = extract::boxed(text) else { return letter::chosen(text) };
    letter::of_gold(boxed).or_else(|| letter::introduced_in(text)).or_else(|| letter::chosen(boxed))
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
