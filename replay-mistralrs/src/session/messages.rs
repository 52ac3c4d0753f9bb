//! Converts a chat for the engine, which takes messages as key-value maps, and images and videos in separate lists.
use either::Either;
use image::{DynamicImage, RgbImage};
use indexmap::IndexMap;
use mistralrs_core::{MessageContent, ModelCategory, VideoInput};
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
    pub(super) fn from_chat(messages: Vec<Message>, category: &ModelCategory) -> Result<Self, SessionError> {
        let mut converted = Self::default();
        for message in messages {
            converted.add_message(message, category)?;
        }
        Ok(converted)
    }

    fn add_message(&mut self, message: Message, category: &ModelCategory) -> Result<(), SessionError> {
        let Message { role, content, name, tool_calls, tool_call_id } = message;
        let has_content = !content.is_empty();
        let (mut texts, mut images, mut videos) = (Vec::new(), Vec::new(), Vec::new());
        for part in content {
            match part {
                Part::Text(text) => texts.push(text),
                Part::Image(picture) => images.push(engine_image(&picture)),
                Part::Video(clip) => videos.push(engine_video(&clip)),
            }
        }
        if role != "user" && !(images.is_empty() && videos.is_empty()) {
            let message = format!("only messages of the user may have images or videos, not those of {role:?}");
            return Err(SessionError::input(Fault::Media, message));
        }
        let text = match has_content {
            true => texts.join(" "),
            false => calls_as_text(&tool_calls),
        };
        let mut fields = IndexMap::from([("role".to_owned(), Either::Left(role))]);
        let content = self.content(text, images.len(), videos.len(), category);
        fields.insert("content".to_owned(), content);
        if !tool_calls.is_empty() {
            fields.insert("tool_calls".to_owned(), Either::Right(tool_calls.iter().map(call_fields).collect()));
        }
        for (key, value) in [("tool_call_id", tool_call_id), ("name", name)] {
            if let Some(value) = value {
                fields.insert(key.to_owned(), Either::Left(value));
            }
        }
        self.messages.push(fields);
        self.images.extend(images);
        self.videos.extend(videos);
        Ok(())
    }

    /// The content of a message with images or videos: tags before the text, numbered over the whole chat, or parts for a chat template that
    /// supports them.
    fn content(&self, text: String, images: usize, videos: usize, category: &ModelCategory) -> MessageContent {
        let ModelCategory::Multimodal { prefixer } = category else { return Either::Left(text) };
        if images + videos == 0 {
            return Either::Left(text);
        }
        let (first_image, first_video) = (self.images.len(), self.videos.len());
        let tagged = prefixer.prefix_image((first_image..first_image + images).collect(), &text);
        let tagged = prefixer.prefix_video((first_video..first_video + videos).collect(), &tagged);
        if tagged != text {
            return Either::Left(tagged);
        }
        let part = |kind: &str| IndexMap::from([("type".to_string(), json!(kind))]);
        let mut parts = vec![part("image"); images];
        parts.extend(vec![part("video"); videos]);
        let mut text_part = part("text");
        text_part.insert("text".into(), json!(text));
        parts.push(text_part);
        Either::Right(parts)
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
