//! Converts error responses of the engine to session errors.
use mistralrs_core::Response;
use replay_core::session::{Fault, SessionError};

/// The text that precedes a message of replay in the engine's error.
const REPLAY_FAILED: &str = "activation replay failed: ";

/// Converts a response that is not an answer. `constrained` says whether a grammar or schema constrains the answer: then the engine may fail on
/// the grammar, or because no token satisfies it.
pub(super) fn session_error(response: Response, constrained: bool) -> SessionError {
    let (why, validation) = match response {
        Response::ValidationError(e) => (e.to_string(), true),
        Response::InternalError(e) => (e.to_string(), false),
        Response::ModelError(why, _) | Response::CompletionModelError(why, _) => (why, false),
        _ => ("the engine answered with a response of an unexpected kind".to_owned(), false),
    };
    if let Some((_, message)) = why.split_once(REPLAY_FAILED) {
        return SessionError::Replay(message.to_owned());
    }
    let grammar_words = ["grammar", "llguidance", "parser", "lexer", "regex", "schema"];
    let lower = why.to_lowercase();
    if constrained && grammar_words.iter().any(|word| lower.contains(word)) {
        return SessionError::input(Fault::Grammar, why);
    }
    if !validation {
        return SessionError::Engine(why);
    }
    let limit = why.split_once("Prompt sequence length is greater than ").map(|(_, rest)| rest);
    let limit = limit.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    SessionError::input(limit.map_or(Fault::Prompt, |max| Fault::ContextLength { max }), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_an_error_follows_from_the_engines_message() {
        let validation = |why: &str| Response::ValidationError(why.into());
        let fault = |error| match error {
            SessionError::Input { fault, .. } => Some(fault),
            _ => None,
        };
        let long =
            validation("Prompt sequence length is greater than 4096, perhaps consider using `truncate_sequence`?");
        assert_eq!(fault(session_error(long, false)), Some(Fault::ContextLength { max: 4096 }));
        assert_eq!(fault(session_error(validation("no"), false)), Some(Fault::Prompt));
        let grammar = || Response::InternalError("the llguidance parser failed".into());
        assert_eq!(fault(session_error(grammar(), true)), Some(Fault::Grammar));
        assert!(matches!(session_error(grammar(), false), SessionError::Engine(_)));
        let replay = Response::InternalError("activation replay failed: no taps".into());
        assert_eq!(session_error(replay, false).to_string(), "activation replay failed: no taps");
    }
}
