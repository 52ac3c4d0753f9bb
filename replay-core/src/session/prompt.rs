//! A prompt about pictures, in the form that commands and tests use.
use super::{Clip, Input, Message, Part, Picture};

/// A prompt about pictures.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// System message.
    pub system: Option<String>,
    /// Earlier turns of the chat, oldest first.
    pub earlier: Vec<Turn>,
    /// Images, in front of the text or at their `places`.
    pub images: Vec<Picture>,
    /// Where each image stands: ascending byte offsets into the text, one for each image; empty: in front of it.
    pub places: Vec<usize>,
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
        let placed = prompt.places.len() == prompt.images.len() && !prompt.places.is_empty();
        let interleaved = placed.then(|| interleaved(&prompt)).flatten();
        let mut messages = Vec::new();
        messages.extend(prompt.system.map(|text| Message::new("system", vec![Part::Text(text)])));
        for turn in prompt.earlier {
            messages.push(user(turn.images, Vec::new(), turn.text));
            messages.push(Message::new("assistant", vec![Part::Text(turn.answer)]));
        }
        messages.push(match interleaved {
            Some(content) => Message::new("user", content),
            None => user(prompt.images, prompt.videos, prompt.text),
        });
        Self::Chat(messages)
    }
}

/// Videos, and then the text with the images at their places; `None` if a place is none of the text.
fn interleaved(prompt: &Prompt) -> Option<Vec<Part>> {
    let mut content: Vec<Part> = prompt.videos.iter().cloned().map(Part::Video).collect();
    let mut start = 0;
    for (&place, image) in prompt.places.iter().zip(&prompt.images) {
        let text = prompt.text.get(start..place)?;
        content.extend((!text.is_empty()).then(|| Part::Text(text.to_owned())));
        content.push(Part::Image(image.clone()));
        start = place;
    }
    let rest = prompt.text.get(start..)?;
    content.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(places: Vec<usize>) -> Vec<Part> {
        let picture = |value| Picture::rgb8(1, 1, vec![value; 3]).expect("a picture");
        let images = vec![picture(1), picture(2)];
        let prompt = Prompt { images, places, text: "ab".into(), ..Prompt::default() };
        let Input::Chat(messages) = Input::from(prompt) else { unreachable!("a prompt is a chat") };
        messages.into_iter().flat_map(|message| message.content).collect()
    }

    #[test]
    fn images_stand_at_their_places_or_in_front() {
        let kinds = |places| -> String {
            let kind = |part: Part| match part {
                Part::Text(text) => text,
                Part::Image(picture) => picture.pixels()[0].to_string(),
                Part::Video(_) => "video".into(),
            };
            content(places).into_iter().map(kind).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(kinds(vec![]), "1 2 ab");
        assert_eq!(kinds(vec![0, 1]), "1 a 2 b");
        assert_eq!(kinds(vec![1, 2]), "a 1 b 2");
        assert_eq!(kinds(vec![2, 2]), "ab 1 2");
        assert_eq!(kinds(vec![1, 9]), "1 2 ab", "no place of the text");
    }
}
