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

    /// The content of a message in its order: one text with a tag in the place of each image and video, numbered over the whole chat, or parts,
    /// for families whose chat template writes the tags.
    fn content(&mut self, content: Vec<Part>, may_be_parts: bool, dialect: &Dialect<'_>) -> MessageContent {
        let (mut pieces, mut parts, mut tagged) = (Vec::new(), Vec::new(), true);
        for part in content {
            let (kind, piece) = match part {
                Part::Text(text) => ("text", text),
                Part::Image(picture) => {
                    self.images.push(engine_image(&picture));
                    ("image", dialect.image_tag(self.images.len() - 1))
                }
                Part::Video(clip) => {
                    self.videos.push(engine_video(&clip));
                    ("video", dialect.video_tag(self.videos.len() - 1))
                }
            };
            let mut fields = IndexMap::from([("type".to_owned(), json!(kind))]);
            if kind == "text" {
                fields.insert("text".to_owned(), json!(piece));
            }
            tagged &= kind == "text" || !piece.is_empty();
            parts.push(fields);
            pieces.push((kind != "text", piece));
        }
        if may_be_parts && !tagged {
            return Either::Right(parts);
        }
        if dialect.puts_images_first() {
            pieces.sort_by_key(|(is_medium, _)| !is_medium);
        }
        let pieces: Vec<String> = pieces.into_iter().map(|(_, piece)| piece).collect();
        Either::Left(pieces.join(dialect.separator()))
    }
}

/// How the prompts of a model are written.
#[derive(Clone, Copy)]
pub(super) struct Dialect<'a> {
    /// Writes the tags of a family; `None` for a model that sees no images.
    prefixer: Option<&'a dyn MultimodalPromptPrefixer>,
}

impl<'a> Dialect<'a> {
    pub(super) fn new(category: &'a ModelCategory) -> Self {
        match category {
            ModelCategory::Multimodal { prefixer } => Self { prefixer: Some(&**prefixer) },
            _ => Self { prefixer: None },
        }
    }

    /// The tag of image number `index` of a chat; empty if the chat template writes it.
    fn image_tag(&self, index: usize) -> String {
        self.prefixer.map(|prefixer| prefixer.prefix_image(vec![index], "")).unwrap_or_default()
    }

    fn video_tag(&self, index: usize) -> String {
        self.prefixer.map(|prefixer| prefixer.prefix_video(vec![index], "")).unwrap_or_default()
    }

    /// Whether the family's own template puts the images of a message before its text, wherever they stand: that of LLaVA does.
    fn puts_images_first(&self) -> bool {
        self.image_tag(0) == "<image>"
    }

    /// What the family's own template writes between the parts of a message. MiniCPM's published code puts each on its own line.
    fn separator(&self) -> &'static str {
        if self.image_tag(0).starts_with("(<image>") { "\n" } else { "" }
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
