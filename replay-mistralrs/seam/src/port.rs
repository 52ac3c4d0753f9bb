//! Which edits fit another version of the engine's source: how much work a port would be.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use crate::{
    apply::apply_one,
    edits::Edit,
    error::{Error, Result},
    failure::Problem,
    pinned::ENGINE,
    source::Files,
};

/// Whether an edit still finds its place, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The anchor occurs as often as it must, in the same file.
    Applies,
    /// Its file is gone, and the anchor occurs in one other file, in which it did not occur before.
    Moved {
        /// The other file.
        to: String,
    },
    /// The text that the edit takes out is gone, and the text that it puts in is there: upstream seems to have made the same change.
    Mended,
    /// The anchor occurs another number of times.
    Count {
        /// What the entry declares.
        expected: usize,
        /// What the source holds.
        found: usize,
    },
    /// The anchor is gone; its longest line is in the same file, or in one that had no such line before.
    Changed {
        /// The file with the line.
        file: String,
        /// The line's number, from 1.
        line: usize,
    },
    /// Neither the anchor nor its longest line is there.
    Gone,
}

impl Fate {
    /// One word for the summary.
    fn word(&self) -> &'static str {
        match self {
            Self::Applies => "applies",
            Self::Moved { .. } => "moved",
            Self::Mended => "looks mended",
            Self::Count { .. } => "miscounted",
            Self::Changed { .. } => "changed",
            Self::Gone => "gone",
        }
    }
}

/// An edit, and whether it still finds its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ported {
    /// The edit's name.
    pub name: String,
    /// List and line of the entry.
    pub at: String,
    /// The file that it names.
    pub file: String,
    /// Whether it still finds its place.
    pub fate: Fate,
}

impl fmt::Display for Ported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12} `{}` ({}) in {}", self.fate.word(), self.name, self.at, self.file)?;
        match &self.fate {
            Fate::Applies | Fate::Mended | Fate::Gone => Ok(()),
            Fate::Moved { to } => write!(f, ": now in {to}"),
            Fate::Count { expected, found } => write!(f, ": the anchor occurs {found} time(s), not {expected}"),
            Fate::Changed { file, line } => write!(f, ": its longest line is at {file}:{line}"),
        }
    }
}

/// Reads another version of the engine's source from `folder`: the crate's folder, or a repository with the crate in a folder of its name.
///
/// # Errors
/// If there is no such crate, or a file cannot be read.
pub(crate) fn read_source(folder: &Path) -> Result<Files> {
    let inside = folder.join(ENGINE);
    let root = if inside.join("src").is_dir() { inside } else { folder.to_owned() };
    if !root.join("src").is_dir() {
        return Err(Error::NoSource { path: folder.to_owned(), name: ENGINE });
    }
    let mut files = Files::new();
    for file in crate::tree::Tree::walk(&root)?.files.into_keys() {
        let path = root.join(&file);
        files.insert(file, fs::read(&path).map_err(Error::io("read", &path))?);
    }
    Ok(files)
}

/// Goes through the edits in order. An edit that still finds its place is applied, since later ones may build on it. `pinned` is the
/// source that the edits are written for: an anchor that it has in another file already has not moved there.
pub(crate) fn port<'a>(pinned: &Files, mut files: Files, edits: impl IntoIterator<Item = &'a Edit>) -> Vec<Ported> {
    let fate = |edit: &Edit| Ported {
        name: edit.name.clone(),
        at: edit.at.clone(),
        file: edit.file.clone(),
        fate: one(pinned, &mut files, edit),
    };
    edits.into_iter().map(fate).collect()
}

fn one(pinned: &Files, files: &mut Files, edit: &Edit) -> Fate {
    let counted = match apply_one(files, edit) {
        Ok(()) => return Fate::Applies,
        Err(Problem::Count { expected, found, .. }) if found > 0 => Some(Fate::Count { expected, found }),
        Err(_) => None,
    };
    if is_mended(files, edit) {
        return Fate::Mended;
    }
    if let Some(counted) = counted {
        return counted;
    }
    let is_new = |file: &str, what: &str| !text_of(pinned, file).is_some_and(|text| text.contains(what));
    let fits =
        |(file, text): &(&String, &str)| text.matches(&edit.anchor).count() == edit.count && is_new(file, &edit.anchor);
    let elsewhere: Vec<String> = texts(files).filter(fits).map(|(file, _)| file.clone()).collect();
    if !files.contains_key(&edit.file)
        && let [to] = elsewhere.as_slice()
    {
        let moved = Edit { file: to.clone(), ..edit.clone() };
        if apply_one(files, &moved).is_ok() {
            return Fate::Moved { to: to.clone() };
        }
    }
    let longest = edit.anchor.lines().map(str::trim).max_by_key(|line| line.len()).unwrap_or_default();
    let line_of = |text: &str| text.lines().position(|line| line.contains(longest)).map(|index| index + 1);
    if let Some(line) = text_of(files, &edit.file).and_then(line_of) {
        return Fate::Changed { file: edit.file.clone(), line };
    }
    let mut others =
        texts(files).filter(|(file, _)| is_new(file, longest)).filter_map(|(file, text)| Some((file, line_of(text)?)));
    match (others.next(), others.next()) {
        (Some((file, line)), None) => Fate::Changed { file: file.clone(), line },
        _ => Fate::Gone,
    }
}

fn is_mended(files: &Files, edit: &Edit) -> bool {
    let Some(text) = text_of(files, &edit.file) else { return false };
    let (anchor, with) = (edit.anchor.trim(), edit.with.trim());
    !with.is_empty() && text.contains(with) && (with.contains(anchor) || !text.contains(anchor))
}

fn text_of<'a>(files: &'a Files, file: &str) -> Option<&'a str> {
    std::str::from_utf8(files.get(file)?).ok()
}

fn texts(files: &Files) -> impl Iterator<Item = (&String, &str)> {
    files.iter().filter_map(|(file, content)| Some((file, std::str::from_utf8(content).ok()?)))
}

/// A report: how many edits have each fate, then every edit that does not apply as it is.
#[must_use]
pub fn summary(ported: &[Ported]) -> String {
    let mut counts = BTreeMap::new();
    for edit in ported {
        *counts.entry(edit.fate.word()).or_insert(0_usize) += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(word, count)| format!("{count} {word}")).collect();
    let mut text = format!("{} edits: {}\n", ported.len(), counts.join(", "));
    for edit in ported.iter().filter(|edit| edit.fate != Fate::Applies) {
        text.push_str(&format!("  {edit}\n"));
    }
    text
}
