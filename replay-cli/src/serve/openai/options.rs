//! Reads the options of a request: sampling, tools, and the grammar or schema of the answer.
use std::collections::BTreeMap;

use replay_core::session::{Constraint, Dry, Request, Sampling, Thinking, Tools};
use serde_json::{Map, Value, json};

use super::fields::{Fields, wrong_type};
use crate::serve::error::ApiError;

/// The temperature of a request that gives none.
const DEFAULT_TEMPERATURE: f64 = 1.0;

/// Reads the options of a body into `request`. `chat`: whether it is a chat completion, which has more options than a text completion.
pub(crate) fn read(fields: Fields<'_>, chat: bool, request: &mut Request) -> Result<(), ApiError> {
    let single = |name| Ok::<_, ApiError>(fields.number(name)?.map(|number| number as f32));
    // `max_completion_tokens` is the newer name of `max_tokens` and overrides it.
    let max_tokens = match fields.count("max_completion_tokens")? {
        Some(max) => Some(max),
        None => fields.count("max_tokens")?,
    };
    request.sampling = Sampling {
        max_tokens,
        temperature: Some(fields.number("temperature")?.unwrap_or(DEFAULT_TEMPERATURE)),
        samples: fields.count("n")?.unwrap_or(1),
        seed: seed(fields)?,
        // -1 and 0 turn it off, as in other servers.
        top_k: fields.number("top_k")?.filter(|&k| k >= 1.0).map(|k| k as usize),
        top_p: fields.number("top_p")?,
        min_p: fields.number("min_p")?,
        frequency_penalty: single("frequency_penalty")?,
        presence_penalty: single("presence_penalty")?,
        repetition_penalty: single("repetition_penalty")?,
        log_probs: log_probs(fields, chat)?,
    };
    request.stop = fields.texts("stop")?;
    request.logit_bias = logit_bias(fields)?;
    request.dry = dry(fields)?;
    request.constraint = constraint(fields)?;
    request.truncate = fields.boolean("truncate_sequence")?.unwrap_or(false);
    request.stream = fields.boolean("stream")?.unwrap_or(false);
    request.tools = tools(fields)?;
    if chat {
        let effort = fields.text("reasoning_effort")?.map(|effort| effort.to_lowercase());
        request.thinking = Thinking { enabled: fields.boolean("enable_thinking")?, effort };
    }
    if fields.given("web_search_options").is_some() {
        let message = "this server has no web search";
        return Err(ApiError::invalid("unsupported_parameter", message).about("web_search_options"));
    }
    Ok(())
}

/// The seed, any whole number.
fn seed(fields: Fields<'_>) -> Result<Option<u64>, ApiError> {
    let Some(value) = fields.given("seed") else { return Ok(None) };
    let seed = value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned));
    seed.map(Some).ok_or_else(|| wrong_type("seed", "a whole number", value))
}

/// Tools, and which of them is to be called.
fn tools(fields: Fields<'_>) -> Result<Option<Tools>, ApiError> {
    let choice = fields.given("tool_choice");
    if let Some(other) = choice.filter(|choice| !choice.is_string() && !choice.is_object()) {
        return Err(wrong_type("tool_choice", "a text, or an object that names a tool", other));
    }
    let Some(definitions) = fields.list("tools")? else { return Ok(None) };
    let is_function = |tool: &Value| tool["type"] == "function" && tool["function"]["name"].is_string();
    if !definitions.iter().all(is_function) {
        let why = "each of `tools` is an object whose `type` is \"function\", with a `function.name`";
        return Err(ApiError::invalid("invalid_request", why).about("tools"));
    }
    if definitions.is_empty() {
        return Ok(None);
    }
    // The engine knows no "required"; with one tool it means that one.
    let choice = match (choice, &definitions[..]) {
        (Some(Value::String(required)), [tool]) if required == "required" => {
            Some(json!({ "type": "function", "function": tool["function"] }))
        }
        (Some(Value::String(required)), _) if required == "required" => {
            let why = "with several tools, `tool_choice` is \"auto\", \"none\", or the name of one of them";
            return Err(ApiError::invalid("unsupported_parameter", why).about("tool_choice"));
        }
        (choice, _) => choice.cloned(),
    };
    Ok(Some(Tools { definitions: definitions.clone(), choice }))
}

/// The number of alternatives to return. Text completions give it as `logprobs`, chat completions as `top_logprobs` besides the flag
/// `logprobs`.
fn log_probs(fields: Fields<'_>, chat: bool) -> Result<Option<usize>, ApiError> {
    if !chat {
        return fields.count("logprobs");
    }
    let (wanted, alternatives) = (fields.boolean("logprobs")?, fields.count("top_logprobs")?);
    Ok((wanted == Some(true)).then(|| alternatives.unwrap_or(0)))
}

fn logit_bias(fields: Fields<'_>) -> Result<BTreeMap<u32, f32>, ApiError> {
    let expected = "an object of token numbers, each with a number";
    let Some(value) = fields.given("logit_bias") else { return Ok(BTreeMap::new()) };
    let biases = value.as_object().ok_or_else(|| wrong_type("logit_bias", expected, value))?;
    let bias = |(token, bias): (&String, &Value)| Some((token.parse().ok()?, bias.as_f64()? as f32));
    biases
        .iter()
        .map(bias)
        .collect::<Option<_>>()
        .ok_or_else(|| ApiError::invalid("invalid_request", format!("`logit_bias` is {expected}")).about("logit_bias"))
}

fn dry(fields: Fields<'_>) -> Result<Option<Dry>, ApiError> {
    let Some(multiplier) = fields.number("dry_multiplier")? else { return Ok(None) };
    let sequence_breakers = match fields.given("dry_sequence_breakers") {
        Some(_) => Some(fields.texts("dry_sequence_breakers")?),
        None => None,
    };
    Ok(Some(Dry {
        multiplier: multiplier as f32,
        base: fields.number("dry_base")?.map(|base| base as f32),
        allowed_length: fields.count("dry_allowed_length")?,
        sequence_breakers,
    }))
}

fn constraint(fields: Fields<'_>) -> Result<Option<Constraint>, ApiError> {
    let object = |name: &'static str| match fields.given(name) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(other) => Err(wrong_type(name, "an object", other)),
    };
    let (grammar, format) = (object("grammar")?, object("response_format")?);
    if grammar.is_some() && format.is_some() {
        let why = "a request has a `grammar` or a `response_format`, not both";
        return Err(ApiError::invalid("invalid_request", why).about("grammar"));
    }
    match (grammar, format) {
        (Some(grammar), _) => read_grammar(grammar).map(Some),
        (None, Some(format)) => read_format(format),
        (None, None) => Ok(None),
    }
}

fn read_grammar(grammar: &Map<String, Value>) -> Result<Constraint, ApiError> {
    let invalid = |why: &str| ApiError::invalid("invalid_request", why).about("grammar");
    let value = grammar.get("value").ok_or_else(|| invalid("a grammar has a `type` and a `value`"))?;
    let text = || value.as_str().map(str::to_owned).ok_or_else(|| invalid("the value of this grammar is a text"));
    match grammar.get("type").and_then(Value::as_str) {
        Some("regex") => Ok(Constraint::Regex(text()?)),
        Some("lark") => Ok(Constraint::Lark(text()?)),
        Some("json_schema") => Ok(Constraint::JsonSchema(value.clone())),
        Some("llguidance") => Ok(Constraint::Llguidance(value.clone())),
        _ => Err(invalid("the `type` of a grammar is regex, lark, json_schema or llguidance")),
    }
}

fn read_format(format: &Map<String, Value>) -> Result<Option<Constraint>, ApiError> {
    let invalid = |why: &str| ApiError::invalid("invalid_request", why).about("response_format");
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Constraint::JsonSchema(json!({ "type": "object" })))),
        Some("json_schema") => {
            let schema = format.get("json_schema").and_then(|named| named.get("schema"));
            let schema = schema.ok_or_else(|| invalid("`response_format.json_schema.schema` is missing"))?;
            Ok(Some(Constraint::JsonSchema(schema.clone())))
        }
        _ => Err(invalid("the `type` of a response format is text, json_object or json_schema")),
    }
}

#[cfg(test)]
mod tests {
    use replay_core::session::Prompt;

    use super::*;

    fn options(body: &Value) -> Result<Request, ApiError> {
        let mut request = Request::new(Prompt::default());
        read(Fields::new(body.as_object().unwrap()), true, &mut request)?;
        Ok(request)
    }

    #[test]
    fn options_are_read_and_absent_ones_have_defaults() {
        let request =
            options(&json!({ "max_tokens": 5, "max_completion_tokens": 7, "stop": "x", "top_k": 0 })).unwrap();
        assert_eq!((request.sampling.max_tokens, request.sampling.temperature), (Some(7), Some(1.0)));
        assert_eq!((request.stop, request.sampling.top_k, request.sampling.samples), (vec!["x".to_owned()], None, 1));
        let nothing = options(&json!({ "max_tokens": null, "temperature": null, "tools": null })).unwrap();
        assert_eq!((nothing.sampling.max_tokens, nothing.tools), (None, None));
        let seeded = options(&json!({ "seed": 7, "top_k": -1 })).unwrap().sampling;
        assert_eq!((seeded.seed, seeded.top_k), (Some(7), None));
        let tool = json!({ "type": "function", "function": { "name": "f" } });
        let required = options(&json!({ "tools": [tool], "tool_choice": "required" })).unwrap().tools.unwrap();
        assert_eq!(required.choice, Some(tool.clone()));
        assert!(options(&json!({ "tools": [tool, tool], "tool_choice": "required" })).is_err());
        let some = options(&json!({ "logprobs": true, "top_logprobs": 3, "logit_bias": { "5": -1.5 } })).unwrap();
        assert_eq!((some.sampling.log_probs, some.logit_bias), (Some(3), BTreeMap::from([(5, -1.5)])));
    }

    #[test]
    fn grammars_and_schemas_are_read_and_invalid_ones_refused() {
        let regex = options(&json!({ "grammar": { "type": "regex", "value": "a+" } })).unwrap();
        assert_eq!(regex.constraint, Some(Constraint::Regex("a+".into())));
        let schema = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": { "type": "string" } } });
        let constraint = options(&json!({ "response_format": schema })).unwrap().constraint;
        assert_eq!(constraint, Some(Constraint::JsonSchema(json!({ "type": "string" }))));
        for wrong in [
            json!({ "grammar": "a+" }),
            json!({ "grammar": { "type": "prose", "value": "x" } }),
            json!({ "response_format": { "type": "json_schema" } }),
            json!({ "temperature": "hot" }),
            json!({ "tools": [{}] }),
            json!({ "tool_choice": 5 }),
            json!({ "top_logprobs": "x" }),
            json!({ "stop": [5] }),
            json!({ "logit_bias": { "five": 1 } }),
        ] {
            assert!(options(&wrong).is_err(), "{wrong}");
        }
    }
}
