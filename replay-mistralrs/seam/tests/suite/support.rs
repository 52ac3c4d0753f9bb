//! A seam, a registry cache and an archive, all of a few lines.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use replay_seam::{ENGINE, Existing, Fetch, Placed, Result, Seam, VERSION, Variant};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// One that fits the archive and does one thing.
pub(crate) const FIXES: &str = r#"
[[module]]
from = "fixes.rs"
to = "src/fixes.rs"

[[fault]]
name = "one"
what = "One is wrong."
tests = ["suite::one_is_right"]
mended = "0.9.1"

[[edit]]
name = "fix"
fault = "one"
file = "src/lib.rs"
anchor = "1"
with = "2"
"#;

/// Fits what [`FIXES`] leaves, not the archive itself.
pub(crate) const HOOK: &str = r#"
[[module]]
from = "hook"
to = "src/hook"

[[edit]]
name = "hook"
why = "to look inside"
file = "src/lib.rs"
anchor = "2"
with = "tap(2)"
"#;

pub(crate) struct Fixture {
    pub(crate) root: TempDir,
    pub(crate) seam: Seam,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let seam = Seam { home: root.path().join("home"), cargo_home: root.path().join("cargo"), fetch: Fetch::Never };
        let fixture = Self { root, seam };
        let archive =
            archive(&format!("{ENGINE}-{VERSION}"), &[("Cargo.toml", "[package]\n"), ("src/lib.rs", "one = 1;\n")]);
        fixture.put(&fixture.archive_path(), &archive);
        fixture.lock(VERSION, Some(&sha256(&archive)));
        fixture.put_home("edits/manifest.toml", "");
        fixture.put_home("edits/build.toml", "");
        fixture.put_home("edits/fixes/one.toml", FIXES);
        fixture.put_home("edits/hook/tap.toml", HOOK);
        fixture.put_home("edits/paged_on_cpu.toml", "");
        fixture.put_home("edits/test_sizes.toml", "");
        fixture.put_home("engine/fixes.rs", "// fixes\n");
        fixture.put_home("engine/hook/mod.rs", "mod inner;\n");
        fixture.put_home("engine/hook/inner/mod.rs", "// inner\n");
        fixture
    }

    pub(crate) fn archive_path(&self) -> PathBuf {
        self.seam.cargo_home.join("registry/cache/some-index").join(format!("{ENGINE}-{VERSION}.crate"))
    }

    pub(crate) fn lock(&self, version: &str, checksum: Option<&str>) {
        let checksum = checksum.map(|sum| format!("checksum = \"{sum}\"\n")).unwrap_or_default();
        let text = format!("version = 4\n\n[[package]]\nname = \"{ENGINE}\"\nversion = \"{version}\"\n{checksum}");
        self.put_home("Cargo.lock", &text);
    }

    pub(crate) fn put_home(&self, inside: &str, text: &str) {
        self.put(&self.seam.home.join(inside), text.as_bytes());
    }

    pub(crate) fn put(&self, path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(path, content).expect("file");
    }

    /// The folder that holds the engine's.
    pub(crate) fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    pub(crate) fn engine(&self) -> PathBuf {
        self.out().join(ENGINE)
    }

    pub(crate) fn place(&self) -> Result<Placed> {
        self.seam.place(&self.out(), Variant::Hooked, Existing::Refuse)
    }

    /// The error's text, in which `home`, `cargo` and `out` stand without the temporary folder.
    pub(crate) fn error(&self) -> String {
        let error = self.place().expect_err("this must fail").to_string();
        error.replace(&format!("{}/", self.root.path().display()), "")
    }

    pub(crate) fn text(&self, inside: &str) -> String {
        fs::read_to_string(self.engine().join(inside)).expect(inside)
    }

    /// Time of change of every file in the engine's folder.
    pub(crate) fn times(&self) -> BTreeMap<PathBuf, SystemTime> {
        let mut times = BTreeMap::new();
        let mut folders = vec![self.engine()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let time = fs::metadata(&path).and_then(|meta| meta.modified()).expect("a time");
                    times.insert(path, time);
                }
            }
        }
        times
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn archive(top: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{top}/{path}"), text.as_bytes()).expect("in memory");
    }
    tar.into_inner().and_then(|gz| gz.finish()).expect("in memory")
}
