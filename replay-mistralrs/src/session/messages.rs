//! Converts a chat for the engine, which takes messages as key-value maps, and images and videos in separate lists.
use either::Either;
use image::{DynamicImage, RgbImage};
use indexmap::IndexMap;
use mistralrs_core::{MessageContent, ModelCategory, MultimodalPromptPrefixer, VideoInput};
use replay_core::session::{Clip, Fault, Message, Part, Picture, SessionError, ToolCall};
use serde_json::{Value, json};

/// The messages of a chat, with its images and videos in the order of the chat.
#[derive(Clone, Default)]
pub(super) struct EngineMessages {
    pub(super) messages: Vec<IndexMap<String, MessageContent>>,
    pub(super) images: Vec<DynamicImage>,
    pub(super) videos: Vec<VideoInput>,
}

impl EngineMessages {
    /// Converts the messages of a chat.
    ///
    /// # Errors
    /// If a message that is not the user's has images or videos, which no chat template supports.
    pub(super) fn from_chat(messages: Vec<Message>, dialect: &Dialect<'_>) -> Result<Self, SessionError> {
        let mut converted = Self::default();
        for message in messages {
            converted.add_message(message, dialect)?;
        }
        Ok(converted)
    }

    fn add_message(&mut self, message: Message, dialect: &Dialect<'_>) -> Result<(), SessionError> {
        let Message { role, content, name, tool_calls, tool_call_id } = message;
        let is_medium = |part: &Part| matches!(part, Part::Image(_) | Part::Video(_));
        if role != "user" && content.iter().any(is_medium) {
            let message = format!("only messages of the user may have images or videos, not those of {role:?}");
            return Err(SessionError::input(Fault::Media, message));
        }
        let content = match content.is_empty() {
            true => Either::Left(calls_as_text(&tool_calls)),
            false => self.content(content, role == "user", dialect),
        };
        let mut fields = IndexMap::from([("role".to_owned(), Either::Left(role)), ("content".to_owned(), content)]);
        if !tool_calls.is_empty() {
            fields.insert("tool_calls".to_owned(), Either::Right(tool_calls.iter().map(call_fields).collect()));
        }
        for (key, value) in [("tool_call_id", tool_call_id), ("name", name)] {
            if let Some(value) = value {
                fields.insert(key.to_owned(), Either::Left(value));
            }
        }
        self.messages.push(fields);
        Ok(())
    }

    /// The content of a message, in its order: parts, or one text with tags in the places of images and videos, numbered over the whole chat.
    fn content(&mut self, content: Vec<Part>, may_be_parts: bool, dialect: &Dialect<'_>) -> MessageContent {
        let (mut pieces, mut parts, mut tagged) = (Vec::new(), Vec::new(), true);
        let mut medium = |kind: &str, tag: String, parts: &mut Vec<IndexMap<String, Value>>| {
            tagged &= !tag.is_empty();
            parts.push(IndexMap::from([("type".to_owned(), json!(kind))]));
            tag
        };
        for part in content {
            pieces.push(match part {
                Part::Text(text) => {
                    let part = [("type".to_owned(), json!("text")), ("text".to_owned(), json!(text))];
                    parts.push(IndexMap::from(part));
                    text
                }
                Part::Image(picture) => {
                    let tag = dialect.prefixer.map(|prefixer| prefixer.prefix_image(vec![self.images.len()], ""));
                    self.images.push(engine_image(&picture));
                    medium("image", tag.unwrap_or_default(), &mut parts)
                }
                Part::Video(clip) => {
                    let tag = dialect.prefixer.map(|prefixer| prefixer.prefix_video(vec![self.videos.len()], ""));
                    self.videos.push(engine_video(&clip));
                    medium("video", tag.unwrap_or_default(), &mut parts)
                }
            });
        }
        let only_text = parts.iter().all(|part| part["type"] == "text");
        let as_parts = match only_text {
            true => dialect.takes_parts && parts.len() > 1,
            false => dialect.takes_parts || !tagged,
        };
        match may_be_parts && as_parts {
            true => Either::Right(parts),
            false => Either::Left(pieces.join(dialect.separator())),
        }
    }
}

/// How a model's chat template takes images and videos.
#[derive(Clone, Copy)]
pub(super) struct Dialect<'a> {
    /// Writes the tags of a family.
    prefixer: Option<&'a dyn MultimodalPromptPrefixer>,
    /// Whether the chat template reads a list of parts.
    takes_parts: bool,
}

impl<'a> Dialect<'a> {
    /// `takes_parts`: whether the chat template reads a list of parts.
    pub(super) fn new(category: &'a ModelCategory, takes_parts: bool) -> Self {
        let prefixer = match category {
            ModelCategory::Multimodal { prefixer } => Some(&**prefixer),
            _ => None,
        };
        Self { prefixer, takes_parts }
    }

    /// What stands between the parts of a message, where they become one text. MiniCPM's published code puts each on its own line.
    fn separator(&self) -> &'static str {
        let tag = self.prefixer.map(|prefixer| prefixer.prefix_image(vec![0], "")).unwrap_or_default();
        if tag.starts_with("(<image>") { "\n" } else { "" }
    }
}

fn call_fields(call: &ToolCall) -> IndexMap<String, Value> {
    IndexMap::from([
        ("id".to_owned(), json!(call.id)),
        ("type".to_owned(), json!("function")),
        ("function".to_owned(), json!({ "name": call.name, "arguments": call.arguments })),
    ])
}

/// The text of a message that only calls tools: the calls as JSON.
fn calls_as_text(calls: &[ToolCall]) -> String {
    let calls: Vec<Value> =
        calls.iter().map(|call| json!({ "name": call.name, "arguments": call.arguments })).collect();
    if calls.is_empty() { String::new() } else { Value::from(calls).to_string() }
}

fn engine_image(picture: &Picture) -> DynamicImage {
    let image = RgbImage::from_raw(picture.width(), picture.height(), picture.pixels().to_vec());
    // A `Picture` always has as many bytes as its size requires, so the conversion does not fail.
    DynamicImage::ImageRgb8(image.unwrap_or_default())
}

fn engine_video(clip: &Clip) -> VideoInput {
    VideoInput {
        frames: clip.frames.iter().map(engine_image).collect(),
        fps: clip.frames_per_second,
        total_num_frames: clip.total_frames,
        sampled_indices: clip.sampled.clone(),
    }
}
