//! Chat completions: the engine's, with a `replay` field in requests and answers.
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response as HttpResponse};
use mistralrs_core::Response;
use mistralrs_server_core::chat_completion::parse_request;
use mistralrs_server_core::handler_core::{create_response_channel, send_request_with_model};
use mistralrs_server_core::openai::ChatCompletionRequest;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{ApiError, Shared, door, stream};
use crate::{Directive, Mode, RequestReport, Settings};

pub(super) async fn completions(State(shared): State<Arc<Shared>>, body: Bytes) -> HttpResponse {
    match answer(shared, &body).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer(shared: Arc<Shared>, body: &[u8]) -> Result<HttpResponse, ApiError> {
    let invalid = |what: String| ApiError::invalid("invalid_request", what);
    let mut body: Value = serde_json::from_slice(body)
        .map_err(|e| ApiError::invalid("invalid_json", format!("the body is not JSON: {e}")))?;
    let fields = body.as_object_mut().ok_or_else(|| invalid("the body is not a JSON object".into()))?;
    let asked = fields.remove("replay");
    if !fields.contains_key("model") {
        fields.insert("model".into(), json!("default"));
    }
    door::check_samples(&body)?;
    if let Some(messages) = body.get_mut("messages") {
        door::admit_media(&shared, messages).await?;
        with_text(messages);
    }
    let request: ChatCompletionRequest = serde_json::from_value(body).map_err(|e| invalid(e.to_string()))?;
    let model = Some(request.model.clone()).filter(|model| model != "default");
    let (name, replay) = shared.served.model(model.as_deref()).ok_or_else(|| {
        let known = shared.served.names().join(", ");
        ApiError::invalid("model_not_found", format!("there is no such model here; there are: {known}"))
            .with_status(StatusCode::NOT_FOUND)
    })?;
    let replay = replay.map(|replay| (replay, replay.settings()));
    let directive = directive(asked.as_ref(), replay.as_ref().map(|(_, settings)| settings))?;

    let engine = shared.served.engine().clone();
    let (sender, mut responses) = create_response_channel(None);
    // The receiver exists before the engine can see the request, and nothing else keeps the channel open.
    let report = replay.map(|(replay, settings)| replay.direct_with(&sender, directive, &settings, None));
    // What is wrong with a request by now is wrong by the client's doing.
    let parsed = parse_request(request, engine.clone(), sender).await;
    let (request, streaming) = parsed.map_err(|e| invalid(cleaned(&e)))?;
    send_request_with_model(&engine, request, Some(name)).await.map_err(|e| ApiError::engine(&e))?;
    if streaming {
        return Ok(stream::events(responses, report, name.to_owned()).into_response());
    }
    let response = responses.recv().await.ok_or_else(|| ApiError::engine(&"no answer came"))?;
    match response {
        Response::Done(done) => {
            let mut object = serde_json::to_value(done).map_err(|e| ApiError::engine(&e))?;
            // The engine's own name is a directory of this server.
            object["model"] = json!(name);
            if let Some(report) = report.and_then(|mut report| report.try_recv().ok()) {
                object["replay"] = said(&report);
            }
            Ok(Json(object).into_response())
        }
        other => Err(failure(other)),
    }
}

/// What a response is that is no answer.
pub(super) fn failure(response: Response) -> ApiError {
    match response {
        Response::ValidationError(e) => {
            tracing::debug!("a request was refused by the engine: {e}");
            ApiError::invalid("invalid_prompt", "the engine cannot process this prompt")
                .with_status(StatusCode::UNPROCESSABLE_ENTITY)
        }
        Response::InternalError(e) => ApiError::engine(&e),
        Response::ModelError(why, _) => ApiError::engine(&why),
        _ => ApiError::engine(&"an answer of another kind"),
    }
}

/// What an answer says of replay: the report.
pub(super) fn said(report: &RequestReport) -> Value {
    serde_json::to_value(&report.report).unwrap_or(Value::Null)
}

/// The engine takes a message with one part for text: one image alone gets an empty text beside it.
fn with_text(messages: &mut Value) {
    let contents = messages.as_array_mut().into_iter().flatten().filter_map(|message| message.get_mut("content"));
    for parts in contents.filter_map(Value::as_array_mut) {
        if parts.len() == 1 && parts[0].get("image_url").is_some() {
            parts.push(json!({ "type": "text", "text": "" }));
        }
    }
}

/// `true`, `false`, or the name of a profile.
fn directive(asked: Option<&Value>, replay: Option<&Settings>) -> Result<Directive, ApiError> {
    let unavailable = || ApiError::invalid("replay_unavailable", "this model is served without replay");
    match asked {
        None | Some(Value::Null) => Ok(Directive::default()),
        Some(Value::Bool(false)) => Ok(Directive { mode: Mode::Off, ..Directive::default() }),
        Some(Value::Bool(true)) => replay.map(|_| Directive::default()).ok_or_else(unavailable),
        Some(Value::String(name)) => {
            let replay = replay.ok_or_else(unavailable)?;
            let profile = replay.profile(name).ok_or_else(|| {
                let known: Vec<&str> = replay.profiles().collect();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                ApiError::invalid("unknown_profile", format!("there is no such profile; there are: {known}"))
            })?;
            Ok(Directive { profile: Some(profile), ..Directive::default() })
        }
        Some(_) => Err(ApiError::invalid("invalid_replay", "`replay` is true, false or the name of a profile")),
    }
}

/// The last cause alone: the sentences around it quote the request.
fn cleaned(error: &anyhow::Error) -> String {
    let text = error.root_cause().to_string();
    text.lines().next().unwrap_or("the request cannot be read").chars().take(300).collect()
}

/// The report of a request, when it is there.
pub(super) type ReportReceiver = Option<oneshot::Receiver<RequestReport>>;
