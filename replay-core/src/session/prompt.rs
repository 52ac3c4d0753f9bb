//! A prompt about pictures, in the form that commands and tests use.
use super::{Clip, Input, Message, Part, Picture};

/// A prompt about pictures.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// System message.
    pub system: Option<String>,
    /// Earlier turns of the chat, oldest first.
    pub earlier: Vec<Turn>,
    /// Images, in front of the text.
    pub images: Vec<Picture>,
    /// Videos, after the images. Only some models support them.
    pub videos: Vec<Clip>,
    /// The user's text.
    pub text: String,
}

/// An earlier turn of the chat: the user's message and the answer.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// Images, in front of the text.
    pub images: Vec<Picture>,
    /// The user's text.
    pub text: String,
    /// The model's answer.
    pub answer: String,
}

impl From<Prompt> for Input {
    fn from(prompt: Prompt) -> Self {
        let user = |images: Vec<Picture>, videos: Vec<Clip>, text: String| {
            let media = images.into_iter().map(Part::Image).chain(videos.into_iter().map(Part::Video));
            Message::new("user", media.chain([Part::Text(text)]).collect())
        };
        let mut messages = Vec::new();
        messages.extend(prompt.system.map(|text| Message::new("system", vec![Part::Text(text)])));
        for turn in prompt.earlier {
            messages.push(user(turn.images, Vec::new(), turn.text));
            messages.push(Message::new("assistant", vec![Part::Text(turn.answer)]));
        }
        messages.push(user(prompt.images, prompt.videos, prompt.text));
        Self::Chat(messages)
    }
}
