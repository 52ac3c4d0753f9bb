//! Reads the messages of a chat.
use replay_core::session::{Message, Part, ToolCall};
use serde_json::{Map, Value};

use super::fields::{Fields, wrong_type};
use crate::serve::error::ApiError;
use crate::serve::media::{Kind, Medium, Source};

/// Messages whose pictures and videos are not loaded yet.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    messages: Vec<Message>,
    /// The message and part of each medium.
    places: Vec<(usize, usize)>,
    /// The media to load, in order.
    pub(crate) sources: Vec<Source>,
}

impl Messages {
    /// Inserts the loaded media into the messages.
    pub(crate) fn with_media(mut self, media: Vec<Medium>) -> Vec<Message> {
        for ((message, part), medium) in self.places.into_iter().zip(media) {
            self.messages[message].content[part] = match medium {
                Medium::Image(picture) => Part::Image(picture),
                Medium::Video(clip) => Part::Video(clip),
            };
        }
        self.messages
    }
}

/// Reads the field `messages`: a list, or the user's text.
pub(crate) fn read(fields: Fields<'_>) -> Result<Messages, ApiError> {
    let mut read = Messages::default();
    match fields.given("messages") {
        None => return Err(ApiError::invalid("invalid_request", "`messages` is missing").about("messages")),
        Some(Value::String(text)) => read.messages.push(Message::new("user", vec![Part::Text(text.clone())])),
        Some(Value::Array(messages)) => {
            for message in messages {
                let object = message.as_object().ok_or_else(|| wrong_type("messages", "a list of objects", message))?;
                read.add(object)?;
            }
        }
        Some(other) => return Err(wrong_type("messages", "a list, or a text", other)),
    }
    Ok(read)
}

impl Messages {
    fn add(&mut self, object: &Map<String, Value>) -> Result<(), ApiError> {
        let fields = Fields::new(object);
        let role = fields.text("role")?;
        let role =
            role.ok_or_else(|| ApiError::invalid("invalid_request", "a message has no `role`").about("messages"))?;
        let tool_calls = fields.list("tool_calls")?.into_iter().flatten().map(tool_call).collect::<Result<_, _>>()?;
        // The newer name of the same role.
        let role = if role == "developer" { "system".into() } else { role };
        let mut message = Message {
            role,
            content: Vec::new(),
            name: fields.text("name")?,
            tool_calls,
            tool_call_id: fields.text("tool_call_id")?,
        };
        match fields.given("content") {
            None if message.tool_calls.is_empty() => {
                let why = "a message has no `content`, and calls no tools";
                return Err(ApiError::invalid("invalid_request", why).about("messages"));
            }
            None => {}
            Some(Value::String(text)) => message.content.push(Part::Text(text.clone())),
            Some(Value::Array(parts)) => {
                for part in parts {
                    let place = (self.messages.len(), message.content.len());
                    let (part, source) = self::part(part)?;
                    message.content.push(part);
                    if let Some(source) = source {
                        self.places.push(place);
                        self.sources.push(source);
                    }
                }
            }
            Some(other) => return Err(wrong_type("content", "a text, or a list of parts", other)),
        }
        self.messages.push(message);
        Ok(())
    }
}

/// Reads one part of a message. For a medium, an empty text is its placeholder, and its source is returned too.
fn part(part: &Value) -> Result<(Part, Option<Source>), ApiError> {
    let object = part.as_object().ok_or_else(|| wrong_type("content", "a list of parts, which are objects", part))?;
    let fields = Fields::new(object);
    // Some clients leave `type` out.
    let kind = match fields.text("type")? {
        Some(kind) => kind,
        None => object.keys().find(|key| *key == "text" || key.ends_with("_url")).cloned().unwrap_or_default(),
    };
    if kind == "text" || kind == "input_text" {
        let text = fields.text("text")?.ok_or_else(|| invalid("a part of type `text` has no `text`"))?;
        return Ok((Part::Text(text), None));
    }
    let Some((field, medium)) = Kind::of(&kind) else {
        return Err(match kind.as_str() {
            "" => invalid("a part of a message has no `type`"),
            "audio_url" | "input_audio" | "file_url" | "file" => ApiError::invalid(
                "unsupported_media",
                "this server takes images, and videos for models that see them, only",
            ),
            _ => {
                invalid("a part of a message is of a `type` that is not known: `text`, `image_url` and `video_url` are")
            }
        });
    };
    let value = fields.given(field);
    let url = value.and_then(|value| value.as_str().or_else(|| value.get("url")?.as_str()));
    let url = url.ok_or_else(|| {
        ApiError::invalid("invalid_image_url", format!("`{field}` is a URL, or an object with a `url`"))
            .about("messages")
    })?;
    Ok((Part::Text(String::new()), Some(Source { kind: medium, url: url.to_owned() })))
}

fn tool_call(call: &Value) -> Result<ToolCall, ApiError> {
    let function = &call["function"];
    let name = function["name"].as_str().ok_or_else(|| invalid("a tool call has no `function.name`"))?;
    let arguments = function.get("arguments").or_else(|| function.get("parameters")).and_then(Value::as_str);
    let arguments = arguments.ok_or_else(|| invalid("a tool call has no `function.arguments`, as a text"))?;
    let id = call["id"].as_str().unwrap_or(name);
    Ok(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() })
}

fn invalid(why: &str) -> ApiError {
    ApiError::invalid("invalid_request", why).about("messages")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn messages(body: &Value) -> Result<Messages, ApiError> {
        read(Fields::new(body.as_object().unwrap()))
    }

    #[test]
    fn parts_keep_their_order_and_media_their_places() {
        let body = json!({ "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [
                { "type": "text", "text": "a" },
                { "type": "image_url", "image_url": { "url": "data:1", "detail": null } },
                { "type": "text", "text": "b" },
                { "type": "image_url", "image_url": "data:2" },
            ]},
        ]});
        let read = messages(&body).unwrap();
        let urls: Vec<_> = read.sources.iter().map(|source| source.url.as_str()).collect();
        assert_eq!((urls, &read.places), (vec!["data:1", "data:2"], &vec![(1, 1), (1, 3)]));
        assert_eq!(read.messages[1].content[2], Part::Text("b".into()));
    }

    #[test]
    fn invalid_messages_are_refused_with_their_code() {
        for (message, code) in [
            (json!({ "content": "x" }), "invalid_request"),
            (json!({ "role": "user" }), "invalid_request"),
            (json!({ "role": "user", "content": 5 }), "invalid_request"),
            (json!({ "role": "user", "content": [{ "type": "poem" }] }), "invalid_request"),
            (json!({ "role": "user", "content": [{ "type": "image_url", "image_url": 5 }] }), "invalid_image_url"),
            (json!({ "role": "user", "content": [{ "type": "input_audio" }] }), "unsupported_media"),
            (json!({ "role": "assistant", "tool_calls": [{ "function": {} }] }), "invalid_request"),
        ] {
            assert_eq!(messages(&json!({ "messages": [message] })).unwrap_err().code, code, "{message}");
        }
        assert!(messages(&json!({ "messages": 7 })).is_err() && messages(&json!({})).is_err());
    }
}
