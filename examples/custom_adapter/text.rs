//! The engine's tokens: one for each character that it knows, and one for each quarter of an image.
use replay_core::session::{Fault, Input, Part, Picture, SessionError};

use crate::engine::{IMAGE_TOKEN, Prompt};

const CHARACTERS: &str = " abcdefghijklmnopqrstuvwxyz0123456789.,:;?!'\"()[]{}+-*/=<>_#\n";

/// What the model reads: every message after its role, images where they stand.
///
/// # Errors
/// If a message shows a video, which this engine does not see.
pub(crate) fn read(input: &Input) -> Result<Prompt, SessionError> {
    let mut prompt = Prompt { tokens: Vec::new(), pixels: Vec::new() };
    match input {
        Input::Text(text) => prompt.tokens.extend(tokens(&text.text)),
        Input::Chat(messages) => {
            for message in messages {
                prompt.tokens.extend(tokens(&format!("{}: ", message.role)));
                for part in &message.content {
                    match part {
                        Part::Text(text) => prompt.tokens.extend(tokens(text)),
                        Part::Image(picture) => {
                            prompt.tokens.extend([IMAGE_TOKEN; 4]);
                            prompt.pixels.extend(quarters(picture));
                        }
                        Part::Video(_) => {
                            return Err(SessionError::input(Fault::Media, "this engine sees no videos"));
                        }
                    }
                }
                prompt.tokens.extend(tokens("\n"));
            }
        }
    }
    Ok(prompt)
}

/// The text of a token.
pub(crate) fn text(token: u32) -> String {
    CHARACTERS.chars().nth(token as usize).map_or_else(|| "#".into(), String::from)
}

fn tokens(text: &str) -> impl Iterator<Item = u32> {
    let token = |c: char| CHARACTERS.chars().position(|known| known == c.to_ascii_lowercase()).unwrap_or(0);
    text.chars().map(move |c| token(c) as u32)
}

/// The mean brightness of each quarter.
fn quarters(picture: &Picture) -> [u8; 4] {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (mut sums, mut counts) = ([0u64; 4], [0u64; 4]);
    for (index, pixel) in picture.pixels().chunks(3).enumerate() {
        let (x, y) = (index % width, index / width);
        let quarter = 2 * (2 * y / height) + 2 * x / width;
        sums[quarter] += pixel.iter().map(|&channel| u64::from(channel)).sum::<u64>() / 3;
        counts[quarter] += 1;
    }
    std::array::from_fn(|quarter| (sums[quarter] / counts[quarter].max(1)) as u8)
}
