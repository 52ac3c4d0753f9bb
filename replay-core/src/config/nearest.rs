//! "Did you mean": the valid word nearest to a mistyped one.

/// Words of a lower Jaro-Winkler similarity are not suggested.
const MIN_SIMILARITY: f64 = 0.8;

/// The candidate most similar to `word`, if any is similar enough.
///
/// Case and the difference between `-`, `_` and a space are ignored, since they are the most common mistakes. Of equally
/// similar candidates the first one wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = normalized(word);
    let mut best = None;
    let mut best_similarity = MIN_SIMILARITY;
    for candidate in candidates {
        let similarity = strsim::jaro_winkler(&word, &normalized(candidate));
        if similarity > best_similarity {
            best_similarity = similarity;
            best = Some(candidate);
        }
    }
    best
}

fn normalized(word: &str) -> String {
    word.to_lowercase().replace(['-', ' '], "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised() {
        let keys = ["strategy", "layers", "positions", "learning_rate"];
        assert_eq!(nearest("stategy", keys), Some("strategy"));
        assert_eq!(nearest("Learning-Rate", keys), Some("learning_rate"));
        assert_eq!(nearest("layer", keys), Some("layers"));
    }

    #[test]
    fn unrelated_words_get_no_suggestion() {
        assert_eq!(nearest("lr", ["learning_rate", "top_tokens"]), None);
        assert_eq!(nearest("", ["layers"]), None);
        assert_eq!(nearest("colour", ["strategy", "layers"]), None);
    }
}
