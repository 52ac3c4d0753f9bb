//! A request that the engine has: the channel of its answer and of its report, and what comes out of them.
use axum::http::StatusCode;
use mistralrs_core::Response;
use replay_mistralrs::RequestReport;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

use super::ApiError;

/// The report of a request, when it is there.
pub(super) type ReportReceiver = Option<oneshot::Receiver<RequestReport>>;

/// A request on its way.
pub(super) struct Call {
    pub(super) responses: Receiver<Response>,
    pub(super) report: ReportReceiver,
}

impl Call {
    /// The one answer, as the engine gives it; with the report, and `model` in place of the engine's name, which is a directory. `bound`:
    /// whether a grammar or a schema binds the answer.
    pub(super) async fn whole(mut self, model: &str, bound: bool) -> Result<Value, ApiError> {
        let response = self.responses.recv().await.ok_or_else(|| ApiError::engine(&"no answer came"))?;
        let object = match response {
            Response::Done(done) => serde_json::to_value(done),
            Response::CompletionDone(done) => serde_json::to_value(done),
            other => return Err(failure(other, bound)),
        };
        let mut object = object.map_err(|e| ApiError::engine(&e))?;
        object["model"] = json!(model);
        if let Some(report) = self.report.and_then(|mut report| report.try_recv().ok()) {
            object["replay"] = report_json(&report);
        }
        Ok(object)
    }
}

/// What a response is that is no answer. Under a grammar or a schema the engine also fails on those: on what no token can go on with.
pub(super) fn failure(response: Response, bound: bool) -> ApiError {
    let (why, validation) = match response {
        Response::ValidationError(e) => (e.to_string(), true),
        Response::InternalError(e) => (e.to_string(), false),
        Response::ModelError(why, _) | Response::CompletionModelError(why, _) => (why, false),
        _ => ("an answer of another kind".to_owned(), false),
    };
    let of_grammar = ["grammar", "llguidance", "parser", "lexer", "regex", "schema"];
    let lower = why.to_lowercase();
    if bound && of_grammar.iter().any(|word| lower.contains(word)) {
        tracing::debug!("a grammar was refused by the engine: {why}");
        let message = "the engine cannot use this grammar or schema, or no token fits it";
        return ApiError::invalid("invalid_grammar", message);
    }
    if validation {
        tracing::debug!("a request was refused by the engine: {why}");
        if let Some((_, rest)) = why.split_once("Prompt sequence length is greater than ") {
            let most: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let message = format!("this prompt is longer than the {most} tokens that the model takes");
            return ApiError::invalid("context_length_exceeded", message).about("messages");
        }
        return ApiError::invalid("invalid_prompt", "the engine cannot process this prompt")
            .with_status(StatusCode::UNPROCESSABLE_ENTITY);
    }
    ApiError::engine(&why)
}

/// The report of replay, as an answer carries it.
pub(super) fn report_json(report: &RequestReport) -> Value {
    serde_json::to_value(&report.report).unwrap_or(Value::Null)
}
