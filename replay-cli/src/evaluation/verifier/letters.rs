//! Answers of several letters, as to "which of these are true?": sets, in any order.
use std::collections::BTreeSet;

use super::extract;
use super::letter;

/// Signs and words between the letters of one answer.
const BETWEEN: [&str; 12] = [",", ";", "/", "&", "+", "、", "，", "；", "和", "及", "and", "or"];

/// The letters of a right answer: one, as [`letter::of_gold`] reads it, or several: `A, C`, `AC`, `A and C`, `A;C`.
pub(super) fn of_gold(gold: &str) -> Option<BTreeSet<char>> {
    letter::of_gold(gold).map(|one| BTreeSet::from([one])).or_else(|| several(gold))
}

/// The letters that a text chooses where the right answer has several: those of the tag or box, else those that "answer" introduces, else
/// the whole text.
pub(super) fn chosen(text: &str) -> Option<BTreeSet<char>> {
    let scope = extract::scope(text);
    if let Some(letters) = of_gold(scope) {
        return Some(letters);
    }
    let lower = text.to_ascii_lowercase();
    let after = |word: &str| lower.rfind(word).map(|at| &text[at + word.len()..]);
    let line = ["answers", "answer", "答案"].iter().find_map(|word| after(word))?.lines().next()?;
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || ":：*\"'`=".contains(c));
    let line = ["are", "is", "是", "为"].iter().find_map(|filler| line.strip_prefix(filler)).unwrap_or(line);
    of_gold(line.trim().trim_end_matches(['.', '。', '*']))
}

/// Several letters and nothing else but what stands between them.
fn several(text: &str) -> Option<BTreeSet<char>> {
    let mut bare = text.replace(['(', ')', '[', ']', '$', '*', '{', '}', '.', '"', '\''], " ");
    for command in [r"\boxed", r"\textbf", r"\text", r"\mathrm", r"\mathbf"] {
        bare = bare.replace(command, " ");
    }
    for sign in BETWEEN {
        let spaced = if sign.is_ascii() && sign.len() > 1 { format!(" {sign} ") } else { sign.into() };
        bare = bare.replace(&spaced, " ");
    }
    let words: Vec<&str> = bare.split_whitespace().collect();
    let letters: Vec<char> = match words[..] {
        // Written together, the letters are in their order: "CAB" is a word.
        [word] if word.chars().is_sorted() => word.chars().collect(),
        _ => words.iter().filter(|word| word.len() == 1).filter_map(|word| word.chars().next()).collect(),
    };
    let set: BTreeSet<char> = letters.iter().copied().collect();
    let whole = words.len() == 1 || letters.len() == words.len();
    let all = set.iter().all(|letter| ('A'..='J').contains(letter));
    (whole && all && set.len() > 1 && set.len() == letters.len()).then_some(set)
}
