//! The engine's published source: which archive the lock file pins, where cargo keeps it, and what is in it.
//!
//! The archive is read, not the unpacked folder beside it: cargo never verifies that folder again, and people edit it.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    digest::sha256,
    error::{Error, Result},
    pinned::{ENGINE, VERSION},
};

/// A source tree in memory: path with forward slashes, relative to the crate's folder, and content.
pub type Files = BTreeMap<String, Vec<u8>>;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// The checksum that this tool's lock file records for the engine.
///
/// # Errors
/// [`Error::Lock`] unless the file pins exactly one [`ENGINE`], of [`VERSION`], from a registry.
pub(crate) fn locked_checksum(lock: &Path) -> Result<String> {
    let text = fs::read_to_string(lock).map_err(Error::io("read", lock))?;
    let wrong = |found: String| Error::Lock { path: lock.to_owned(), name: ENGINE, version: VERSION, found };
    let parsed: Lock = toml::from_str(&text).map_err(|e| wrong(format!("bad syntax: {}", e.message())))?;

    let pinned: Vec<_> = parsed.package.into_iter().filter(|p| p.name == ENGINE).collect();
    match pinned.as_slice() {
        [Package { version, checksum: Some(checksum), .. }] if version == VERSION => Ok(checksum.clone()),
        [] => Err(wrong("none".to_owned())),
        other => {
            let found: Vec<_> = other
                .iter()
                .map(|p| format!("{}{}", p.version, if p.checksum.is_some() { "" } else { " without a checksum" }))
                .collect();
            Err(wrong(found.join(", ")))
        }
    }
}

/// Where cargo keeps its downloads: `CARGO_HOME`, or `.cargo` in the home folder.
#[must_use]
pub fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_else(|| PathBuf::from(".cargo"))
}

/// The archive's bytes, verified against `checksum`.
///
/// Cargo has one cache folder per registry address, and the same crate may be in several: any archive that matches is used.
///
/// # Errors
/// [`Error::MissingArchive`] when no folder has it, [`Error::Checksum`] when none that has it matches.
pub(crate) fn verified_archive(cargo_home: &Path, checksum: &str, manifest: &Path) -> Result<Vec<u8>> {
    let file = format!("{ENGINE}-{VERSION}.crate");
    let cache = cargo_home.join("registry").join("cache");
    let mut mismatch = None;
    for folder in fs::read_dir(&cache).into_iter().flatten().flatten() {
        let path = folder.path().join(&file);
        if !path.is_file() {
            continue;
        }
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let found = sha256(&bytes);
        if found == checksum {
            return Ok(bytes);
        }
        mismatch = Some(Error::Checksum { path, expected: checksum.to_owned(), found });
    }
    Err(mismatch.unwrap_or_else(|| Error::MissingArchive { file, searched: cache, manifest: manifest.to_owned() }))
}

/// The files in the archive, by their path inside the crate.
///
/// # Errors
/// [`Error::Archive`] for anything but regular files under one folder named after crate and version.
pub(crate) fn unpack(archive: &[u8]) -> Result<Files> {
    let top = format!("{ENGINE}-{VERSION}");
    let wrong = |found: String| Error::Archive { archive: top.clone(), found };
    let broken = |e: std::io::Error| wrong(e.to_string());

    let mut files = Files::new();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let kind = entry.header().entry_type();
        let inside = path.strip_prefix(&top).ok().and_then(slashed).filter(|_| kind.is_file());
        let inside = inside.ok_or_else(|| wrong(format!("{kind:?} `{}`", path.display())))?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(broken)?;
        files.insert(inside, content);
    }
    Ok(files)
}

/// A plain relative path with forward slashes; `None` if it is empty, absolute, climbs, or is not text.
pub(crate) fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<_>> = path
        .components()
        .map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    parts.map(|parts| parts.join("/")).filter(|joined| !joined.is_empty())
}
