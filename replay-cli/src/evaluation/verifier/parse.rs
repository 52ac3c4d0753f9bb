//! Parses a verifier from its name.
use std::fmt;
use std::str::FromStr;

use regex::Regex;

use super::super::words::quoted;
use super::kind::Verifier;
use replay_core::config::nearest::nearest;

/// The tolerance of `numeric` if none is given, which allows for rounding.
const DEFAULT_TOLERANCE: f64 = 1e-6;

const NAMES: [&str; 6] = ["exact", "boxed", "answer-tag", "numeric", "letter", "regex"];

/// An error of a verifier's name or of a right answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VerifierError {
    /// There is no verifier of that name.
    #[error(
        "expected exact, boxed, answer-tag, numeric, numeric:TOLERANCE, letter or regex:PATTERN, found {}{}",
        quoted(.found),
        .nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
    )]
    Unknown {
        /// The given name.
        found: String,
        /// The most similar name.
        nearest: Option<&'static str>,
    },
    /// The verifier takes no parameter.
    #[error("expected {name} with nothing behind it, found {}", quoted(.found))]
    Parameter {
        /// The verifier.
        name: &'static str,
        /// The given parameter.
        found: String,
    },
    /// The parameter is not a tolerance.
    #[error("numeric: expected a tolerance, a number from 0 to below 1, found {}", quoted(.0))]
    Tolerance(String),
    /// The parameter is not a regular expression.
    #[error("regex: expected a regular expression with one capture group, found an error in it:\n{0}")]
    Pattern(String),
    /// The regular expression does not have exactly one capture group.
    #[error(
        "regex: expected one capture group, around the answer, found {found} in {pattern}; a group written (?:...) does not count"
    )]
    Groups {
        /// The pattern.
        pattern: String,
        /// How many capture groups it has.
        found: usize,
    },
    /// No text could be right for this right answer.
    #[error("the verifier {verifier} expects {expected} as the right answer, found {}", quoted(.found))]
    Gold {
        /// The verifier.
        verifier: String,
        /// The right answers that the verifier accepts.
        expected: &'static str,
        /// The right answer.
        found: String,
    },
}

impl FromStr for Verifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, VerifierError> {
        let (name, parameter) = match text.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (text, None),
        };
        let plain = |name, verifier| match parameter {
            Some(found) => Err(VerifierError::Parameter { name, found: found.to_owned() }),
            None => Ok(verifier),
        };
        match name {
            "exact" => plain("exact", Self::Exact),
            "boxed" => plain("boxed", Self::Boxed),
            "answer-tag" => plain("answer-tag", Self::AnswerTag),
            "letter" => plain("letter", Self::Letter),
            "numeric" => Ok(Self::Numeric { tolerance: parameter.map_or(Ok(DEFAULT_TOLERANCE), tolerance)? }),
            "regex" => Ok(Self::Regex(pattern(parameter.unwrap_or_default())?)),
            _ => Err(VerifierError::Unknown { found: text.to_owned(), nearest: nearest(name, NAMES) }),
        }
    }
}

fn tolerance(text: &str) -> Result<f64, VerifierError> {
    let tolerance = text.trim().parse().ok().filter(|tolerance| (0.0..1.0).contains(tolerance));
    tolerance.ok_or_else(|| VerifierError::Tolerance(text.to_owned()))
}

fn pattern(text: &str) -> Result<Regex, VerifierError> {
    let pattern = Regex::new(text).map_err(|error| VerifierError::Pattern(error.to_string()))?;
    // The whole match counts as a group.
    match pattern.captures_len() - 1 {
        1 => Ok(pattern),
        found => Err(VerifierError::Groups { pattern: text.to_owned(), found }),
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::Boxed => f.write_str("boxed"),
            Self::AnswerTag => f.write_str("answer-tag"),
            Self::Numeric { tolerance } => write!(f, "numeric:{tolerance}"),
            Self::Letter => f.write_str("letter"),
            Self::Regex(pattern) => write!(f, "regex:{pattern}"),
        }
    }
}
