//! The body of chat and text completions: its fields, the model that it names, and its replay options.
use std::sync::Arc;

use replay_core::session::{Directive, Mode, Request, Session, Settings};
use serde_json::{Map, Value};

use crate::serve::error::ApiError;
use crate::serve::openai::{Fields, check_ranges};
use crate::serve::shared::Shared;

/// A body with valid ranges.
pub(super) struct Body<'a> {
    fields: Map<String, Value>,
    /// The name of the model on this server.
    pub(super) name: &'a str,
    pub(super) session: &'a Arc<dyn Session>,
    settings: Option<Settings>,
    directive: Directive,
}

impl<'a> Body<'a> {
    pub(super) fn read(shared: &'a Shared, body: &[u8]) -> Result<Self, ApiError> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|e| ApiError::invalid("invalid_json", format!("the body is not JSON: {e}")))?;
        check_ranges(&body)?;
        let Value::Object(fields) = body else { return Err(invalid("the body is not a JSON object")) };
        let name = match fields.get("model") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name.as_str()),
            Some(_) => return Err(invalid("`model` is a text").about("model")),
        };
        let (name, session) = shared.model(name)?;
        let settings = session.settings();
        let directive = directive(fields.get("replay"), settings.as_ref())?;
        Ok(Self { fields, name, session, settings, directive })
    }

    pub(super) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.fields)
    }

    /// Whether `stream_options` asks for the usage of a stream.
    pub(super) fn wants_usage(&self) -> Result<bool, ApiError> {
        match self.fields().given("stream_options") {
            None => Ok(false),
            Some(Value::Object(options)) => Ok(Fields::new(options).boolean("include_usage")?.unwrap_or(false)),
            Some(_) => Err(invalid("`stream_options` is an object").about("stream_options")),
        }
    }

    /// Sets the replay options of the request.
    pub(super) fn set_replay(&self, request: &mut Request) {
        request.directive = self.directive;
        request.settings.clone_from(&self.settings);
    }
}

pub(super) fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::invalid("invalid_request", why)
}

/// Reads the field `replay`: `true`, `false`, or the name of a profile.
fn directive(field: Option<&Value>, settings: Option<&Settings>) -> Result<Directive, ApiError> {
    let refused = |code, message: String| ApiError::invalid(code, message).about("replay");
    let unavailable = || refused("replay_unavailable", "this model is served without replay".into());
    match field {
        None | Some(Value::Null) => Ok(Directive::default()),
        Some(Value::Bool(false)) => Ok(Directive { mode: Mode::Off, ..Directive::default() }),
        Some(Value::Bool(true)) => settings.map(|_| Directive::default()).ok_or_else(unavailable),
        Some(Value::String(name)) => {
            let settings = settings.ok_or_else(unavailable)?;
            let profile = settings.profile(name).ok_or_else(|| {
                let known: Vec<&str> = settings.profiles().collect();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                refused("unknown_profile", format!("there is no such profile; there are: {known}"))
            })?;
            Ok(Directive { profile: Some(profile), ..Directive::default() })
        }
        Some(_) => Err(refused("invalid_replay", "`replay` is true, false or the name of a profile".into())),
    }
}
