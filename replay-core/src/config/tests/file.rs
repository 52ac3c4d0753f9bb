//! Files on disk.

use std::path::PathBuf;

use super::super::{Config, ConfigError};
use super::HEAD;

/// A file of this test, removed at its end.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("replay-config-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn refused(&self) -> ConfigError {
        Config::from_file(&self.0).unwrap_err()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_path_is_kept_for_relative_models() {
    let file = TempFile::new("right.toml", format!("{HEAD}[replay]\npreset = \"paper-math\"").as_bytes());
    let config = Config::from_file(&file.0).unwrap();
    assert_eq!(config.source_path.as_deref(), Some(file.0.as_path()));
    let (again, name) = Config::from_file_with(&file.0, |name, _| name.to_owned()).unwrap();
    assert_eq!((again, name.as_str()), (config, "mistralrs"));
}

#[test]
fn messages_start_with_the_path() {
    let file = TempFile::new("wrong.toml", format!("{HEAD}[replay]\npreset = 1").as_bytes());
    let error = file.refused();
    assert_eq!(error.file, file.0.display().to_string());
    assert!(error.to_string().starts_with(&format!("{}:6:10: replay.preset: ", error.file)));
    assert!(error.source.starts_with("adapter"));
}

#[test]
fn a_file_that_is_not_there() {
    let error = Config::from_file("/nonexistent/replay.toml").unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("/nonexistent/replay.toml:1:1: expected a readable file, found "), "{message}");
    assert_eq!(error.problems.len(), 1);
    assert!(Config::from_file(std::env::temp_dir()).is_err());
}

#[test]
fn a_file_that_is_not_text() {
    let file = TempFile::new("binary.toml", b"adapter = \"\xff\"");
    let message = file.refused().to_string();
    assert!(message.ends_with("expected a text file in UTF-8, found another byte at offset 11"), "{message}");
}

#[test]
fn a_file_that_is_far_too_long() {
    let file = TempFile::new("long.toml", &vec![b'\n'; 300_000]);
    let message = file.refused().to_string();
    assert!(message.ends_with("expected a file of at most 262144 bytes, found a longer one"), "{message}");
}
