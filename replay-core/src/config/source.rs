//! The text of a configuration file, and its tree as parsed by `toml`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use super::error::{ConfigError, Problem};
use super::shape::Diagnostic;

/// Longest file that is read: no configuration is longer, and a device file could be endless.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// Characters of the offending text that a syntax error quotes.
const MAX_SNIPPET_CHARS: usize = 30;

/// The text of a configuration and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The name to use in messages.
    pub(super) name: String,
    pub(super) path: Option<PathBuf>,
    pub(super) text: String,
}

impl Source {
    pub(super) fn from_text(text: &str, name: &str) -> Self {
        Self { name: name.to_owned(), path: None, text: text.to_owned() }
    }

    pub(super) fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let refused = |expected: &str, found: String| unreadable(&name, expected, found);
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| refused("a readable file", error.to_string()))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            let expected = format!("a file of at most {MAX_FILE_BYTES} bytes");
            return Err(refused(&expected, "a longer one".to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            refused("a text file in UTF-8", format!("another byte at offset {offset}"))
        })?;
        Ok(Self { name, path: Some(path.to_owned()), text })
    }

    /// The tree, as far as it can be recovered, and every syntax error.
    pub(super) fn parse(&self) -> (Spanned<DeTable<'_>>, Vec<Diagnostic>) {
        let (tree, errors) = DeTable::parse_recoverable(&self.text);
        let errors = errors.iter().map(|error| self.syntax_error(error));
        let errors = errors.collect();
        (tree, errors)
    }

    fn syntax_error(&self, error: &toml::de::Error) -> Diagnostic {
        let end = self.text.len();
        let span = error.span().unwrap_or(end..end);
        let start = self.text.floor_char_boundary(span.start);
        let stop = self.text.floor_char_boundary(span.end.max(start));
        let message = error
            .message()
            .replace(", expected nothing", "")
            .replace("quoted, expected literal string", "quoted")
            .replacen(", expected ", ", needs ", 1);
        let diagnostic = Diagnostic::new(
            span,
            format!("valid TOML ({message})"),
            snippet(&self.text[start..stop], &self.text[start..]),
        );
        if error.message().starts_with("string values must be quoted") {
            return diagnostic.hint("write strings in quotes, numbers and booleans without");
        }
        if error.message() == "duplicate key" {
            return diagnostic.hint("keep one of the two");
        }
        diagnostic
    }
}

/// The offending text, or the rest of the line where the parser gives only a position.
fn snippet(offending: &str, rest: &str) -> String {
    let text = if offending.is_empty() { rest } else { offending };
    let line = text.lines().next().unwrap_or_default().trim_end();
    if rest.is_empty() {
        return "the end of the file".to_owned();
    }
    if line.is_empty() {
        return "the end of the line".to_owned();
    }
    let shown: String = line.chars().take(MAX_SNIPPET_CHARS).collect();
    let more = if shown.len() < line.len() { "…" } else { "" };
    format!("`{}{more}`", shown.escape_debug())
}

fn unreadable(file: &str, expected: &str, found: String) -> ConfigError {
    ConfigError {
        file: file.to_owned(),
        source: String::new(),
        problems: vec![Problem {
            path: String::new(),
            line: 1,
            column: 1,
            span: 0..0,
            found,
            expected: expected.to_owned(),
            hint: None,
        }],
    }
}
