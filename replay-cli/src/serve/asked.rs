//! What chat and text completions have in common: a body, the model it names, what it asks of replay, and one channel for each answer.
use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use mistralrs_core::{Request, Response};
use mistralrs_server_core::handler_core::{create_response_channel, send_request_with_model};
use replay_mistralrs::{Attached, Directive, Mode, Settings};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::Sender;

use super::call::Call;
use super::{ApiError, Shared, sampler, sampling, stream};

/// A body whose values make sense, without our own field.
pub(super) struct Asked<'a> {
    pub(super) body: Value,
    /// What the model is called here.
    pub(super) name: &'a str,
    replay: Option<(&'a Attached, Settings)>,
    directive: Directive,
    /// Whether a grammar or a schema binds the answer.
    pub(super) bound: bool,
    /// Channels that the answer takes: the engine loses the end of a stream with several choices, so each gets a request of its own.
    pub(super) channels: usize,
}

impl<'a> Asked<'a> {
    pub(super) fn read(shared: &'a Shared, body: &[u8]) -> Result<Self, ApiError> {
        let mut body: Value = serde_json::from_slice(body)
            .map_err(|e| ApiError::invalid("invalid_json", format!("the body is not JSON: {e}")))?;
        let fields = body.as_object_mut().ok_or_else(|| invalid("the body is not a JSON object"))?;
        let replay = fields.remove("replay");
        let name = name(fields)?;
        sampling::check(&body)?;
        let (name, attached) = model(shared, name.as_deref())?;
        let attached = attached.map(|attached| (attached, attached.settings()));
        let directive = directive(replay.as_ref(), attached.as_ref().map(|(_, settings)| settings))?;
        let streamed = body["stream"] == json!(true);
        let choices = body.get("n").and_then(Value::as_u64).unwrap_or(1) as usize;
        let channels = if streamed { choices } else { 1 };
        if channels > 1 {
            body["n"] = json!(1);
        }
        let bound = body.get("grammar").is_some_and(|value| !value.is_null())
            || body["response_format"]["type"] == json!("json_schema");
        Ok(Self { body, name, replay: attached, directive, bound, channels })
    }

    /// Whether the model is known to see videos.
    pub(super) fn sees_videos(&self) -> bool {
        self.replay.as_ref().is_some_and(|(replay, _)| replay.sees_videos())
    }

    /// Channels for the answers. Their receivers exist before the engine can see a request, and nothing else keeps them open.
    pub(super) fn open(&self) -> Vec<(Sender<Response>, Call)> {
        let open = |_| {
            let (sender, responses) = create_response_channel(None);
            let direct = |(replay, settings): &(&Attached, Settings)| {
                replay.direct_with(&sender, self.directive, settings, None)
            };
            let report = self.replay.as_ref().map(direct);
            (sender, Call { responses, report })
        };
        (0..self.channels).map(open).collect()
    }

    /// Hands requests to the engine, and their answers to the client: as a stream, or as the one that there is.
    pub(super) async fn answered(
        &self,
        shared: &Shared,
        requests: Vec<Request>,
        mut calls: Vec<Call>,
        streamed: bool,
    ) -> Result<axum::response::Response, ApiError> {
        self.send(shared, requests).await?;
        if streamed {
            return Ok(stream::events(calls, self.name, self.bound).into_response());
        }
        let call = calls.pop().ok_or_else(|| ApiError::engine(&"no request was made"))?;
        Ok(Json(call.whole(self.name, self.bound).await?).into_response())
    }

    async fn send(&self, shared: &Shared, requests: Vec<Request>) -> Result<(), ApiError> {
        for mut request in requests {
            if let Request::Normal(request) = &mut request {
                sampler::complete(request);
            }
            let sent = send_request_with_model(shared.served.engine(), request, Some(self.name)).await;
            sent.map_err(|e| ApiError::engine(&e))?;
        }
        Ok(())
    }
}

/// The model of that name; of the default without one.
pub(super) fn model<'a>(shared: &'a Shared, name: Option<&str>) -> Result<(&'a str, Option<&'a Attached>), ApiError> {
    shared.served.model(name.filter(|name| *name != "default")).ok_or_else(|| {
        let known = shared.served.names().join(", ");
        ApiError::invalid("model_not_found", format!("there is no such model here; there are: {known}"))
            .about("model")
            .with_status(StatusCode::NOT_FOUND)
    })
}

fn name(fields: &mut Map<String, Value>) -> Result<Option<String>, ApiError> {
    match fields.entry("model").or_insert(json!("default")) {
        Value::String(name) => Ok(Some(name.clone())),
        _ => Err(invalid("`model` is a text").about("model")),
    }
}

pub(super) fn invalid(what: impl Into<String>) -> ApiError {
    ApiError::invalid("invalid_request", what)
}

/// What the engine's reader found wrong, by the client's doing. The last cause alone: the sentences around it quote the request.
pub(super) fn unreadable(error: &anyhow::Error) -> ApiError {
    let text = error.root_cause().to_string();
    let line = text.lines().next().unwrap_or("the request cannot be read");
    invalid(line.chars().take(300).collect::<String>())
}

/// `true`, `false`, or the name of a profile.
fn directive(asked: Option<&Value>, replay: Option<&Settings>) -> Result<Directive, ApiError> {
    let refused = |code, message: String| ApiError::invalid(code, message).about("replay");
    let unavailable = || refused("replay_unavailable", "this model is served without replay".into());
    match asked {
        None | Some(Value::Null) => Ok(Directive::default()),
        Some(Value::Bool(false)) => Ok(Directive { mode: Mode::Off, ..Directive::default() }),
        Some(Value::Bool(true)) => replay.map(|_| Directive::default()).ok_or_else(unavailable),
        Some(Value::String(name)) => {
            let replay = replay.ok_or_else(unavailable)?;
            let profile = replay.profile(name).ok_or_else(|| {
                let known: Vec<&str> = replay.profiles().collect();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                refused("unknown_profile", format!("there is no such profile; there are: {known}"))
            })?;
            Ok(Directive { profile: Some(profile), ..Directive::default() })
        }
        Some(_) => Err(refused("invalid_replay", "`replay` is true, false or the name of a profile".into())),
    }
}
