//! From text to a checked list. Every error names the line.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use toml::Spanned;

use crate::{
    edits::{
        Edit, EditList, FIXES, Fault, Mended, Module, Reason,
        raw::{RawEdit, RawFault, RawList, RawModule},
    },
    error::{Error, Result},
    source::slashed,
};

/// The text of a list and where it comes from; turns byte offsets into lines.
pub(super) struct ListText<'a> {
    path: &'a Path,
    text: &'a str,
    /// The list stands in `fixes/`.
    mends: bool,
}

impl<'a> ListText<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, mends: path.parent().is_some_and(|folder| folder.ends_with(FIXES)) }
    }

    pub(super) fn parse(&self) -> Result<EditList> {
        let raw: RawList = toml::from_str(self.text)
            .map_err(|e| self.error(e.span().map_or(0, |span| span.start), e.message().to_owned()))?;

        let modules = raw.module.into_iter().map(|module| self.module(module)).collect::<Result<Vec<_>>>()?;
        let declared: Vec<Spanned<String>> = raw.fault.iter().map(|fault| fault.name.clone()).collect();
        let faults = self.faults(raw.fault)?;
        let (mut names, mut edits) = (BTreeSet::new(), Vec::with_capacity(raw.edit.len()));
        for edit in raw.edit {
            let name = edit.name.clone();
            edits.extend(self.edit(edit, &faults)?);
            self.first_of_its_name("edit", &name, &mut names)?;
        }
        for fault in &declared {
            let name = fault.get_ref();
            if !edits.iter().any(|edit: &Edit| edit.fault() == Some(name)) {
                return self.fail(fault, format!("no edit mends fault `{name}`: name it in an edit, or remove it"));
            }
        }
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(EditList { name, modules, faults, edits })
    }

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

    fn fail<T>(&self, at: &Spanned<String>, message: String) -> Result<T> {
        Err(self.error(at.span().start, message))
    }

    fn module(&self, raw: RawModule) -> Result<Module> {
        Ok(Module {
            from: self.relative("from", &raw.from)?,
            to: self.relative("to", &raw.to)?,
            at: self.at(raw.from.span().start),
        })
    }

    fn faults(&self, raw: Vec<RawFault>) -> Result<Vec<Fault>> {
        let (mut names, mut faults) = (BTreeSet::new(), Vec::with_capacity(raw.len()));
        for fault in raw {
            let name = self.kebab_case(&fault.name)?;
            if !self.mends {
                return self
                    .fail(&fault.name, format!("fault `{name}` is outside `{FIXES}/`: move it and its edits there"));
            }
            self.first_of_its_name("fault", &fault.name, &mut names)?;
            faults.push(Fault {
                name: name.to_owned(),
                what: self.one_line("what", &fault.what)?,
                tests: fault.tests.iter().map(|test| self.test(test)).collect::<Result<_>>()?,
                mended: self.mended(fault.mended.as_ref())?,
                at: self.at(fault.name.span().start),
            });
        }
        Ok(faults)
    }

    /// One edit for each of its files.
    fn edit(&self, raw: RawEdit, faults: &[Fault]) -> Result<Vec<Edit>> {
        let name = self.kebab_case(&raw.name)?;
        let reason = self.reason(&raw, faults)?;
        if raw.anchor.get_ref().is_empty() {
            return self.fail(&raw.anchor, format!("`anchor` of edit `{name}` is empty"));
        }
        let files = match (&raw.file, raw.files.is_empty()) {
            (Some(file), true) => vec![self.relative("file", file)?],
            (None, false) => raw.files.iter().map(|file| self.relative("files", file)).collect::<Result<_>>()?,
            _ => return self.fail(&raw.name, format!("edit `{name}` must have either `file` or a list `files`")),
        };
        let edit = |file| Edit {
            name: name.to_owned(),
            reason: reason.clone(),
            file,
            anchor: raw.anchor.get_ref().clone(),
            with: raw.with.clone(),
            count: raw.count.get(),
            at: self.at(raw.name.span().start),
        };
        Ok(files.into_iter().map(edit).collect())
    }

    fn reason(&self, raw: &RawEdit, faults: &[Fault]) -> Result<Reason> {
        let edit = raw.name.get_ref();
        match (&raw.fault, &raw.why, self.mends) {
            (Some(fault), None, true) => {
                let name = fault.get_ref();
                if !faults.iter().any(|known| known.name == *name) {
                    let message =
                        format!("edit `{edit}` mends fault `{name}`, but this list has no `[[fault]]` of that name");
                    return self.fail(fault, message);
                }
                let note = raw.note.as_ref().map(|note| self.one_line("note", note)).transpose()?;
                Ok(Reason::Fault { name: name.clone(), note })
            }
            (None, Some(why), false) if raw.note.is_none() => Ok(Reason::Why(self.one_line("why", why)?)),
            (_, _, true) => {
                let message =
                    format!("edit `{edit}` in `{FIXES}/` must name the `fault` that it mends, and have no `why`");
                self.fail(&raw.name, message)
            }
            (_, _, false) => self.fail(
                &raw.name,
                format!("edit `{edit}` needs `why`, and no `fault` or `note`: those are for `{FIXES}/`"),
            ),
        }
    }

    fn mended(&self, raw: Option<&Spanned<String>>) -> Result<Mended> {
        let Some(raw) = raw else { return Ok(Mended::Unknown) };
        let text = raw.get_ref();
        let numbers = |text: &str| text.split('.').all(|part| part.parse::<u32>().is_ok());
        match text.as_str() {
            "no" => Ok(Mended::No),
            version if version.matches('.').count() == 2 && numbers(version) => Ok(Mended::In(text.clone())),
            _ => {
                let message = format!(
                    "`mended` must be a version such as \"0.9.1\", or \"no\", or be left out when it is not known; found {text:?}"
                );
                self.fail(raw, message)
            }
        }
    }

    fn test(&self, raw: &Spanned<String>) -> Result<String> {
        let name = raw.get_ref();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let parts: Vec<&str> = name.split("::").collect();
        if parts.len() < 2 || parts.iter().any(|part| part.is_empty() || !part.bytes().all(fits)) {
            return self.fail(raw, format!("a test must be named with its module, as `module::test`, found `{name}`"));
        }
        Ok(name.clone())
    }

    fn relative(&self, key: &str, value: &Spanned<String>) -> Result<String> {
        let text = value.get_ref();
        if text.contains('\\') || slashed(Path::new(text)).as_ref() != Some(text) {
            let message = format!("`{key}` must be a relative path with forward slashes and no `..`, found `{text}`");
            return self.fail(value, message);
        }
        Ok(text.clone())
    }

    fn one_line(&self, key: &str, value: &Spanned<String>) -> Result<String> {
        let text = value.get_ref().trim();
        if text.is_empty() || text.contains('\n') {
            return self.fail(value, format!("`{key}` must be one line of text, found {text:?}"));
        }
        Ok(text.to_owned())
    }

    /// Words of lower-case letters and digits joined by `-`. Underscores may stand in a word, for names of the engine's modules.
    fn kebab_case<'n>(&self, name: &'n Spanned<String>) -> Result<&'n str> {
        let text = name.get_ref();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if text.split('-').any(|word| word.is_empty() || !word.bytes().all(fits)) {
            let message = format!("`name` must be kebab-case (lower-case words joined by `-`), found `{text}`");
            return self.fail(name, message);
        }
        Ok(text)
    }

    fn first_of_its_name(&self, kind: &str, name: &Spanned<String>, names: &mut BTreeSet<String>) -> Result<()> {
        if names.insert(name.get_ref().clone()) {
            return Ok(());
        }
        self.fail(name, format!("a second {kind} is named `{}`: names must differ", name.get_ref()))
    }
}
