//! Checks the ranges of sampling parameters. Their types are checked where they are read.
use serde_json::Value;

use crate::serve::error::ApiError;

/// Limit of the samples of a request, as in the OpenAI API.
const MAX_SAMPLES: u64 = 128;
const MAX_STOPS: usize = 64;
const MAX_BIASES: usize = 1024;

struct Range {
    name: &'static str,
    min: f64,
    max: f64,
    /// Whether the value has to be larger than `min`.
    exclusive: bool,
}

const fn from(min: f64, name: &'static str, max: f64) -> Range {
    Range { name, min, max, exclusive: false }
}

const fn above(min: f64, name: &'static str, max: f64) -> Range {
    Range { name, min, max, exclusive: true }
}

const RANGES: [Range; 15] = [
    from(0.0, "temperature", 100.0),
    from(0.0, "top_p", 1.0),
    from(0.0, "min_p", 1.0),
    from(-1.0, "top_k", 1e9),
    from(-2.0, "presence_penalty", 2.0),
    from(-2.0, "frequency_penalty", 2.0),
    // The engine divides by this value.
    above(0.0, "repetition_penalty", 100.0),
    from(1.0, "max_tokens", f64::INFINITY),
    from(1.0, "max_completion_tokens", f64::INFINITY),
    from(0.0, "top_logprobs", 20.0),
    // A number in text completions, a boolean in chat completions.
    from(0.0, "logprobs", 20.0),
    from(1.0, "best_of", MAX_SAMPLES as f64),
    from(0.0, "dry_multiplier", 100.0),
    from(1.0, "dry_base", 100.0),
    from(0.0, "dry_allowed_length", 65536.0),
];

/// Refuses values outside their ranges; the error's `param` names the field.
pub(crate) fn check(body: &Value) -> Result<(), ApiError> {
    samples(body)?;
    if body["messages"].as_array().is_some_and(Vec::is_empty) {
        return Err(refused("messages", "at least one message"));
    }
    for range in &RANGES {
        let given = body.get(range.name).and_then(Value::as_f64);
        let fits =
            |value: f64| value <= range.max && if range.exclusive { value > range.min } else { value >= range.min };
        if given.is_some_and(|value| !fits(value)) {
            let max = if range.max.is_finite() { format!(", at most {}", range.max) } else { String::new() };
            let relation = if range.exclusive { "above" } else { "at least" };
            return Err(refused(range.name, &format!("{relation} {}{max}", range.min)));
        }
    }
    stops(body.get("stop"))?;
    biases(body.get("logit_bias"))
}

/// Checks the number of samples, since each takes a sequence in the engine.
fn samples(body: &Value) -> Result<(), ApiError> {
    let count = body.get("n").or_else(|| body.get("n_choices")).and_then(Value::as_u64);
    match count {
        Some(n) if n == 0 || n > MAX_SAMPLES => {
            Err(ApiError::invalid("invalid_n", format!("`n` is from 1 to {MAX_SAMPLES}")).about("n"))
        }
        _ => Ok(()),
    }
}

fn stops(stop: Option<&Value>) -> Result<(), ApiError> {
    let empty = |text: &Value| text.as_str() == Some("");
    let wrong = match stop {
        Some(Value::Array(stops)) => stops.len() > MAX_STOPS || stops.iter().any(empty),
        Some(stop) => empty(stop),
        None => false,
    };
    if wrong {
        Err(refused("stop", &format!("a text that is not empty, or up to {MAX_STOPS} of them")))
    } else {
        Ok(())
    }
}

fn biases(bias: Option<&Value>) -> Result<(), ApiError> {
    let Some(Value::Object(biases)) = bias else { return Ok(()) };
    let outside = |value: &Value| value.as_f64().is_some_and(|value| !(-100.0..=100.0).contains(&value));
    if biases.len() > MAX_BIASES || biases.values().any(outside) {
        let expected = format!("up to {MAX_BIASES} token numbers, each with a bias from -100 to 100");
        return Err(refused("logit_bias", &expected));
    }
    Ok(())
}

fn refused(param: &'static str, expected: &str) -> ApiError {
    ApiError::invalid("invalid_value", format!("`{param}` is {expected}")).about(param)
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::json;

    #[test]
    fn values_outside_their_range_are_refused_by_name() {
        for (body, param) in [
            (json!({ "temperature": -0.1 }), "temperature"),
            (json!({ "temperature": 1e9 }), "temperature"),
            (json!({ "top_p": 1.5 }), "top_p"),
            (json!({ "min_p": -1 }), "min_p"),
            (json!({ "top_k": -2 }), "top_k"),
            (json!({ "presence_penalty": 3 }), "presence_penalty"),
            (json!({ "frequency_penalty": -2.5 }), "frequency_penalty"),
            (json!({ "repetition_penalty": 0 }), "repetition_penalty"),
            (json!({ "max_tokens": 0 }), "max_tokens"),
            (json!({ "top_logprobs": 21 }), "top_logprobs"),
            (json!({ "best_of": 0 }), "best_of"),
            (json!({ "dry_base": -5 }), "dry_base"),
            (json!({ "messages": [] }), "messages"),
            (json!({ "n": 0 }), "n"),
            (json!({ "n": 1000 }), "n"),
            (json!({ "stop": "" }), "stop"),
            (json!({ "stop": ["a", ""] }), "stop"),
            (json!({ "stop": vec!["x"; 65] }), "stop"),
            (json!({ "logit_bias": { "5": 101 } }), "logit_bias"),
        ] {
            assert_eq!(check(&body).map_err(|e| e.param), Err(Some(param)), "{body}");
        }
        for body in [
            json!({}),
            json!({ "temperature": 0, "top_p": 1, "min_p": 0.0, "top_k": 0, "n": 128, "max_tokens": 1 }),
            json!({ "repetition_penalty": 0.1, "presence_penalty": -2, "stop": ["a"], "logit_bias": { "5": -100 } }),
            json!({ "logprobs": true, "top_logprobs": 20, "stop": null, "temperature": null }),
            // Wrong types are refused by the reader of the request.
            json!({ "temperature": "hot", "stop": 5 }),
        ] {
            assert_eq!(check(&body), Ok(()), "{body}");
        }
    }
}
