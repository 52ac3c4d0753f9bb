//! Marks of images in a prompt: `<image>`, or `<image 2>` and the like with a number.
use std::sync::LazyLock;

use regex::Regex;

/// A prompt without marks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unmarked {
    pub(super) text: String,
    /// Where an image stands: a byte offset into the text, and the index of the image; empty where the prompt had no marks.
    pub(super) places: Vec<(usize, usize)>,
}

/// Takes the marks out of a prompt about so many images. A mark with a number may occur again: the image is shown again.
///
/// # Errors
/// What was found, if marks and images do not fit.
pub(super) fn unmark(prompt: &str, images: usize) -> Result<Unmarked, String> {
    // A pattern that is checked by every test.
    static MARK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"<image(?:[ _]?(\d{1,3}))?>").ok());
    let (mut text, mut places, mut at) = (String::new(), Vec::new(), 0);
    let marks = MARK.iter().flat_map(|mark| mark.captures_iter(prompt));
    for (count, captures) in marks.enumerate() {
        let Some(whole) = captures.get(0) else { continue };
        text.push_str(&prompt[at..whole.start()]);
        at = whole.end();
        let numbered = captures.get(1).and_then(|number| number.as_str().parse::<usize>().ok());
        let image = numbered.map_or(Some(count), |number| number.checked_sub(1));
        let image = image.filter(|image| *image < images);
        places.push((
            text.len(),
            image.ok_or_else(|| format!("the mark {} in a prompt with {}", whole.as_str(), count_of(images)))?,
        ));
    }
    text.push_str(&prompt[at..]);
    let unseen = (0..images).find(|image| !places.iter().any(|(_, placed)| placed == image));
    match unseen {
        Some(image) if !places.is_empty() => {
            Err(format!("{} marks for {}, none of them for image {}", places.len(), count_of(images), image + 1))
        }
        _ => Ok(Unmarked { text, places }),
    }
}

fn count_of(images: usize) -> String {
    if images == 1 { "1 image".into() } else { format!("{images} images") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_places_in_their_order_or_by_number() {
        let unmarked = |prompt: &str, images| unmark(prompt, images).map(|found| (found.text, found.places));
        assert_eq!(unmarked("How many?", 1), Ok(("How many?".into(), vec![])));
        assert_eq!(unmarked("<image>\nHow many?", 1), Ok(("\nHow many?".into(), vec![(0, 0)])));
        assert_eq!(unmarked("A <image> B <image>", 2), Ok(("A  B ".into(), vec![(2, 0), (5, 1)])));
        assert_eq!(unmarked("<image_2><image 1><image2>", 2), Ok(("".into(), vec![(0, 1), (0, 0), (0, 1)])));
        for (prompt, images) in
            [("<image>", 0), ("<image><image>", 1), ("<image>", 2), ("<image_3>", 2), ("<image_0>", 1)]
        {
            assert!(unmark(prompt, images).is_err(), "{prompt}");
        }
    }
}
