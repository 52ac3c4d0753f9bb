//! Finds the letter of a multiple-choice answer.

/// Characters that may stand between a word and the letter that it introduces, or around a letter.
const DECORATION: [char; 22] =
    ['*', '"', '\'', '`', '(', '[', '{', '$', ':', '=', '-', '>', '—', '–', '→', '“', '‘', '（', '：', '_', '【', '#'];

/// Words that may stand between "answer" and the letter.
const FILLERS: [&str; 9] = ["is", "be", "are", "should", "must", "would", "thus", "clearly", "the"];

/// Words that introduce the letter after them.
const NAMES: [&str; 3] = ["option", "choice", "letter"];

/// Words that can follow the choice A, but not the article "a".
const AFTER_A: [&str; 13] =
    ["is", "was", "because", "since", "as", "and", "or", "but", "which", "has", "shows", "matches", "fits"];

/// Words that can follow the choice I, but not the pronoun "I".
const AFTER_I: [&str; 3] = ["is", "because", "since"];

/// Whether a character is part of a word. Characters of scripts without spaces between words are not.
pub(super) fn part_of_word(character: char) -> bool {
    (character.is_alphanumeric() || character == '_') && !('\u{2e80}'..='\u{d7ff}').contains(&character)
}

/// The letter of a right answer, such as `B`, `(b)`, `B.`, or `B. a red car`.
pub(super) fn of_gold(gold: &str) -> Option<char> {
    only(gold).or_else(|| {
        let bare = gold.trim().trim_start_matches(['(', '[']);
        let letter = bare.chars().next().filter(|letter| ('A'..='J').contains(letter))?;
        let rest = bare[1..].strip_prefix([')', ']', '.', ':'])?;
        // "C.154 °" is a choice with its text; "D.C" is not.
        let rest = rest.trim_start_matches([')', '.', ':']);
        rest.starts_with(|c: char| c.is_whitespace() || c.is_ascii_digit() || "$\\".contains(c)).then_some(letter)
    })
}

/// The letter that a text chooses.
pub(super) fn chosen(text: &str) -> Option<char> {
    let choice_with_text =
        || Some(text.trim()).filter(|text| !text.contains('\n') && text.contains('.')).and_then(of_digits);
    if let Some(letter) = only(text).or_else(choice_with_text) {
        return Some(letter);
    }
    let choices = choices(text);
    let last = choices.iter().rposition(|choice| choice.introduced).or(choices.len().checked_sub(1))?;
    unhedged(text, &choices, last)
}

/// The last letter that the word "answer" introduces.
pub(super) fn introduced_in(text: &str) -> Option<char> {
    let choices = choices(text);
    let last = choices.iter().rposition(|choice| choice.introduced)?;
    unhedged(text, &choices, last)
}

fn choices(text: &str) -> Vec<Choice> {
    let letters = text.char_indices().filter(|(_, letter)| ('A'..='J').contains(&letter.to_ascii_uppercase()));
    letters.filter_map(|(at, letter)| Choice::at(text, at, letter)).collect()
}

/// The letter of this choice, unless another one is joined to it.
fn unhedged(text: &str, choices: &[Choice], last: usize) -> Option<char> {
    let joined = |first: usize, second: usize| match (choices.get(first), choices.get(second)) {
        (Some(first), Some(second)) => first.letter != second.letter && joins(&text[first.at + 1..second.at]),
        _ => false,
    };
    let hedged = joined(last, last + 1) || last.checked_sub(1).is_some_and(|before| joined(before, last));
    (!hedged).then(|| choices[last].letter)
}

/// The letter of a choice whose text begins with a digit right behind the period: `C.154 °`.
fn of_digits(text: &str) -> Option<char> {
    let letter = text.chars().next().filter(|letter| ('A'..='J').contains(letter))?;
    text[1..].strip_prefix('.')?.starts_with(|c: char| c.is_ascii_digit()).then_some(letter)
}

/// The letter of a text that has nothing else but brackets and the like.
fn only(text: &str) -> Option<char> {
    let mut bare = text;
    for command in [r"\boxed{", r"\text{", r"\textbf{", r"\mathrm{", r"\mathbf{"] {
        bare = bare.trim().trim_matches('$').strip_prefix(command).unwrap_or(bare);
    }
    let mut characters = trimmed(bare).chars();
    let letter = characters.next()?.to_ascii_uppercase();
    (characters.next().is_none() && ('A'..='J').contains(&letter)).then_some(letter)
}

/// Whether the text between two choices joins them to one answer that names both.
fn joins(between: &str) -> bool {
    if between.contains('\n') {
        return false;
    }
    let between =
        between.trim_matches(|c: char| c.is_whitespace() || DECORATION.contains(&c) || ")]}”’）】".contains(c));
    matches!(between, "" | "," | "and" | "or" | ", and" | ", or" | "&" | "、" | "和" | "或")
}

/// A letter that stands for a choice.
struct Choice {
    at: usize,
    letter: char,
    /// Whether the word "answer" introduces it.
    introduced: bool,
}

impl Choice {
    fn at(text: &str, at: usize, letter: char) -> Option<Self> {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let introduced = introduced(before);
        // The text of a choice may begin with a number: "Answer: C.154 °".
        let with_number =
            introduced && after.strip_prefix('.').is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()));
        if !with_number && !is_own_word(before, after) {
            return None;
        }
        let named = NAMES.contains(&&*last_word(undecorated(before)).1.to_lowercase());
        let bracketed = bracketed(before, after);
        let alone = blank(before.rsplit('\n').next()) && blank(after.split('\n').next());
        let next = next_word(after);
        let choice = match letter {
            // A lower-case "(i)" is usually the first item of a list.
            _ if alone || (bracketed && letter != 'i') => true,
            'B'..='H' | 'J' => true,
            'A' if named && !before.trim_end().ends_with(':') => true,
            'A' => next.is_none_or(|next| AFTER_A.contains(&&*next)),
            'I' => (named || introduced) && next.is_none_or(|next| AFTER_I.contains(&&*next)),
            // "The answer is b.", but not "the answer is a car".
            _ => (named || introduced) && next.is_none(),
        };
        choice.then_some(Self { at, letter: letter.to_ascii_uppercase(), introduced })
    }
}

/// Whether the letter between `before` and `after` is a word of its own, and not a variable, a unit or an abbreviation.
fn is_own_word(before: &str, after: &str) -> bool {
    let mut back = before.chars().rev();
    let begins = match (back.next(), back.next()) {
        (Some('\''), Some(earlier)) => !part_of_word(earlier),
        // A subscript or an argument, as in x_{B} and f(B).
        (Some('{' | '('), Some(earlier)) if earlier == '^' || earlier == '_' => false,
        (Some('('), Some(earlier)) => !part_of_word(earlier),
        (Some(last), _) => !part_of_word(last) && !".-+/\\&@#%^°∠<".contains(last),
        (None, _) => true,
    };
    let mut forth = after.chars();
    let ends = match (forth.next(), forth.next()) {
        (Some('.' | '\'' | '’' | '-'), Some(next)) => !part_of_word(next),
        (Some(next), _) => !part_of_word(next) && !"+/\\(^%=#@".contains(next),
        (None, _) => true,
    };
    // As in "25 C" and "A = 5".
    let unit = before.ends_with(' ') && before.trim_end().ends_with(|c: char| c.is_ascii_digit());
    let summand = before.trim_end().ends_with(['+', '×']);
    let variable = summand || after.trim_start().starts_with(['=', '+', '×', '<']) && !after.starts_with("</");
    begins && ends && !unit && !variable
}

fn bracketed(before: &str, after: &str) -> bool {
    let pairs = [("(", ")"), ("[", "]"), ("{", "}"), ("**", "**"), ("`", "`"), ("$", "$"), ("\"", "\""), ("'", "'")];
    pairs.iter().any(|(open, close)| before.ends_with(open) && after.starts_with(close))
}

/// The word after the letter, in lower case, if one follows in the same clause.
fn next_word(after: &str) -> Option<String> {
    let next = after.strip_prefix(|c: char| c.is_whitespace() && c != '\n')?.trim_start_matches([' ', '\t']);
    let next = next.trim_start_matches(['"', '*', '\'', '`', '“']);
    let end = next.find(|c: char| !part_of_word(c)).unwrap_or(next.len());
    (end > 0).then(|| next[..end].to_lowercase())
}

/// Whether the text ends in "answer", "the answer is", "the correct option:" or the like.
fn introduced(before: &str) -> bool {
    let mut rest = undecorated(before);
    let (mut correct, mut option) = (false, false);
    loop {
        // Chinese has "answer", "is" and "choose" without spaces.
        if rest.trim_end_matches(['是', '为', '選', '选', '择', '应', '该']).ends_with("答案") {
            return true;
        }
        let (front, word) = last_word(rest);
        match word.to_lowercase().as_str() {
            "answer" => return true,
            "correct" | "right" => correct = true,
            name if NAMES.contains(&name) => option = true,
            filler if FILLERS.contains(&filler) => {}
            _ => return correct && option,
        }
        rest = undecorated(front);
    }
}

/// Splits a text before its last word, which may be empty.
fn last_word(text: &str) -> (&str, &str) {
    text.split_at(text.trim_end_matches(part_of_word).len())
}

/// Whether a text has nothing but brackets and the like.
fn blank(text: Option<&str>) -> bool {
    trimmed(text.unwrap_or_default()).is_empty()
}

/// A text without brackets and the like, and without punctuation, at both ends.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || DECORATION.contains(&c) || ")]}.,”’）】。".contains(c))
}

/// A text without the characters at its end that may stand between a word and the letter that it introduces.
fn undecorated(text: &str) -> &str {
    let mut bare = text;
    loop {
        let before = bare;
        bare = bare.trim_end_matches(|c: char| c.is_whitespace() || DECORATION.contains(&c));
        for command in [r"\text", r"\textbf", r"\mathrm", r"\mathbf", r"\boxed"] {
            bare = bare.strip_suffix(command).unwrap_or(bare);
        }
        if bare == before {
            return bare;
        }
    }
}
