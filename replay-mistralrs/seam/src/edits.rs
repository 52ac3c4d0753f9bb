//! The lists of edits: what is in `edits/*.toml`, with the line where each entry stands.

use std::{
    collections::BTreeSet,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;

use crate::{
    error::{Error, Result},
    source::slashed,
};

/// One list, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditList {
    /// The modules to add.
    pub modules: Vec<Module>,
    /// The edits, in the order of application.
    pub edits: Vec<Edit>,
}

/// Replaces every occurrence of an anchor, provided that there are exactly `count`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Short kebab-case name.
    pub name: String,
    /// The reason, in one line.
    pub why: String,
    /// The engine's file, relative to its folder.
    pub file: String,
    /// The text to find.
    pub anchor: String,
    /// The text to put in its place.
    pub with: String,
    /// How often the anchor must occur.
    pub count: usize,
    /// List and line of the entry, for error texts.
    pub at: String,
}

/// Adds files of ours to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// File or folder under `engine/`.
    pub from: String,
    /// Where it goes, relative to the engine's folder.
    pub to: String,
    /// List and line of the entry, for error texts.
    pub at: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    #[serde(default)]
    module: Vec<RawModule>,
    #[serde(default)]
    edit: Vec<RawEdit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModule {
    from: Spanned<String>,
    to: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEdit {
    name: Spanned<String>,
    why: Spanned<String>,
    file: Option<Spanned<String>>,
    #[serde(default)]
    files: Vec<Spanned<String>>,
    anchor: Spanned<String>,
    with: String,
    #[serde(default = "once")]
    count: NonZeroUsize,
}

fn once() -> NonZeroUsize {
    NonZeroUsize::MIN
}

/// The lists at `path`: itself, or, of a folder, its `.toml` files by name.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub(crate) fn list_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::io("list the folder", path))? {
        files.push(entry.map_err(Error::io("list the folder", path))?.path());
    }
    files.retain(|file| file.extension().is_some_and(|kind| kind == "toml"));
    files.sort();
    Ok(files)
}

impl EditList {
    /// Reads a list.
    ///
    /// # Errors
    /// [`Error::EditFile`] with the line, for bad syntax, unknown or missing keys and values that make no sense.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        Self::parse(path, &text)
    }

    /// Like [`EditList::read`], for text already read from `path`.
    ///
    /// # Errors
    /// As [`EditList::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let place = Place { path, text };
        let raw: RawList = toml::from_str(text)
            .map_err(|e| place.error(e.span().map_or(0, |span| span.start), e.message().to_owned()))?;

        let modules = raw.module.into_iter().map(|module| place.module(module)).collect::<Result<Vec<_>>>()?;
        let mut names = BTreeSet::new();
        let mut edits = Vec::with_capacity(raw.edit.len());
        for edit in raw.edit {
            let name = edit.name.clone();
            edits.extend(place.edit(edit)?);
            if !names.insert(name.get_ref().clone()) {
                let message = format!("a second edit is named `{}`: names must differ", name.get_ref());
                return Err(place.error(name.span().start, message));
            }
        }
        Ok(Self { modules, edits })
    }
}

/// The list being read; turns byte offsets into lines.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
    }

    fn at(&self, offset: usize) -> String {
        let list = PathBuf::from(self.path.file_name().unwrap_or(self.path.as_os_str()));
        format!("{}:{}", list.display(), self.line(offset))
    }

    fn error(&self, offset: usize, message: String) -> Error {
        Error::EditFile { path: self.path.to_owned(), line: self.line(offset), message }
    }

    fn relative(&self, key: &str, value: &Spanned<String>) -> Result<String> {
        let text = value.get_ref();
        let plain = !text.contains('\\') && slashed(Path::new(text)).as_ref() == Some(text);
        plain.then(|| text.clone()).ok_or_else(|| {
            let message = format!("`{key}` must be a relative path with forward slashes and no `..`, found `{text}`");
            self.error(value.span().start, message)
        })
    }

    fn module(&self, raw: RawModule) -> Result<Module> {
        Ok(Module {
            from: self.relative("from", &raw.from)?,
            to: self.relative("to", &raw.to)?,
            at: self.at(raw.from.span().start),
        })
    }

    /// One edit for each of its files.
    fn edit(&self, raw: RawEdit) -> Result<Vec<Edit>> {
        let at = self.at(raw.name.span().start);
        let name = raw.name.get_ref();
        if !is_kebab_case(name) {
            let message = format!("`name` must be kebab-case (lower-case words joined by `-`), found `{name}`");
            return Err(self.error(raw.name.span().start, message));
        }
        let why = raw.why.get_ref().trim();
        if why.is_empty() || why.contains('\n') {
            let message = format!("`why` of edit `{name}` must be one line that says the reason, found {why:?}");
            return Err(self.error(raw.why.span().start, message));
        }
        if raw.anchor.get_ref().is_empty() {
            return Err(self.error(raw.anchor.span().start, format!("`anchor` of edit `{name}` is empty")));
        }
        let files = match (&raw.file, raw.files.is_empty()) {
            (Some(file), true) => vec![self.relative("file", file)?],
            (None, false) => raw.files.iter().map(|file| self.relative("files", file)).collect::<Result<_>>()?,
            _ => {
                let message = format!("edit `{name}` must have either `file` or a list `files`");
                return Err(self.error(raw.name.span().start, message));
            }
        };
        let edit = |file| Edit {
            name: name.clone(),
            why: why.to_owned(),
            file,
            anchor: raw.anchor.get_ref().clone(),
            with: raw.with.clone(),
            count: raw.count.get(),
            at: at.clone(),
        };
        Ok(files.into_iter().map(edit).collect())
    }
}

/// Underscores may stand inside a word, for names of the engine's modules.
fn is_kebab_case(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.split('-').all(|word| !word.is_empty() && word.bytes().all(fits))
}
