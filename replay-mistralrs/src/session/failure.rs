//! What a response of the engine is that is no answer.
use mistralrs_core::Response;
use replay_core::session::{Fault, SessionError};

/// What the engine's message has in front of one of ours.
const REPLAY_FAILED: &str = "activation replay failed: ";

/// `constrained`: whether a grammar or a schema binds the answer. The engine also fails on those, and on what no token can go on with.
pub(super) fn failure(response: Response, constrained: bool) -> SessionError {
    let (why, validation) = match response {
        Response::ValidationError(e) => (e.to_string(), true),
        Response::InternalError(e) => (e.to_string(), false),
        Response::ModelError(why, _) | Response::CompletionModelError(why, _) => (why, false),
        _ => ("an answer of another kind".to_owned(), false),
    };
    if let Some((_, ours)) = why.split_once(REPLAY_FAILED) {
        return SessionError::Replay(ours.to_owned());
    }
    let of_grammar = ["grammar", "llguidance", "parser", "lexer", "regex", "schema"];
    let lower = why.to_lowercase();
    if constrained && of_grammar.iter().any(|word| lower.contains(word)) {
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
    fn the_kind_of_a_failure_is_read_from_what_the_engine_says() {
        let validation = |why: &str| Response::ValidationError(why.into());
        let fault = |error| match error {
            SessionError::Input { fault, .. } => Some(fault),
            _ => None,
        };
        let long =
            validation("Prompt sequence length is greater than 4096, perhaps consider using `truncate_sequence`?");
        assert_eq!(fault(failure(long, false)), Some(Fault::ContextLength { max: 4096 }));
        assert_eq!(fault(failure(validation("no"), false)), Some(Fault::Prompt));
        let grammar = || Response::InternalError("the llguidance parser failed".into());
        assert_eq!(fault(failure(grammar(), true)), Some(Fault::Grammar));
        assert!(matches!(failure(grammar(), false), SessionError::Engine(_)));
        let replay = Response::InternalError("activation replay failed: no taps".into());
        assert_eq!(failure(replay, false).to_string(), "activation replay failed: no taps");
    }
}
