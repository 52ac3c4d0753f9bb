//! Finds the answer in a text and decides whether it is right.
//!
//! A text without an answer is wrong, and is counted apart from wrong answers. Two empty answers are never equal, unlike in the published
//! evaluation scripts (`eval_visualprobehard.py` compares the first capital letters A to G, so that "White" equals "Red").
//! [`Verifier::accepts`] checks beforehand whether a verifier can decide on a right answer.
mod canonical;
mod decimal;
mod extract;
mod formula;
mod judge;
mod kind;
mod letter;
mod letters;
mod parse;
mod quantity;

pub use canonical::canonical;
pub use judge::Judgement;
pub use kind::Verifier;
pub use parse::VerifierError;

#[cfg(test)]
mod marker_tests;
#[cfg(test)]
mod tests;
