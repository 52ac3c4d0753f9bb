//! Only the published source, of the version that the edits are written for, is ever used.

use replay_seam::{ENGINE, Error, VERSION};

use crate::support::{Fixture, archive, sha256};

#[test]
fn altered_archive_is_refused() {
    let f = Fixture::new();
    let other = archive(&format!("{ENGINE}-{VERSION}"), &[("src/lib.rs", "one = 1; evil();\n")]);
    f.put(&f.archive_path(), &other);
    let Err(Error::Checksum { path, expected, found }) = f.place() else { panic!("a checksum error") };
    assert_eq!((path, found), (f.archive_path(), sha256(&other)));
    assert_ne!(expected, sha256(&other));
    assert!(f.error().contains("delete that file"), "{}", f.error());
    assert!(!f.out().exists());
}

#[test]
fn a_matching_archive_beside_an_altered_one_will_do() {
    let f = Fixture::new();
    for index in ["a-index", "z-index"] {
        let file = f.archive_path().file_name().expect("a name").to_owned();
        f.put(&f.seam.cargo_home.join("registry/cache").join(index).join(file), b"damaged");
    }
    f.place().expect("the good one is found");
}

#[test]
fn missing_archive_says_how_to_fetch() {
    let f = Fixture::new();
    std::fs::remove_file(f.archive_path()).expect("it was there");
    assert!(matches!(f.place(), Err(Error::MissingArchive { .. })));
    let text = f.error();
    assert!(text.contains(&format!("no {ENGINE}-{VERSION}.crate in any folder of cargo/registry/cache")), "{text}");
    assert!(text.contains("cargo fetch --locked --manifest-path home/Cargo.toml"), "{text}");
}

#[test]
fn lock_must_pin_the_version_of_the_edits() {
    let f = Fixture::new();
    let tell = |found: &str| {
        assert!(matches!(f.place(), Err(Error::Lock { .. })));
        let text = f.error();
        assert!(text.starts_with("home/Cargo.lock: expected exactly one `mistralrs-core` 0.8.1"), "{text}");
        assert!(text.contains(&format!("found {found};")), "{text}");
    };
    f.lock("0.8.2", Some("00"));
    tell("0.8.2");
    f.lock(VERSION, None);
    tell("0.8.1 without a checksum");
    f.put_home("Cargo.lock", "version = 4\n");
    tell("none");
    f.put_home("Cargo.lock", "package = 4\n");
    tell("bad syntax: invalid type: integer `4`, expected a sequence");
}

#[test]
fn archive_may_hold_nothing_outside_its_folder() {
    let f = Fixture::new();
    for (top, content) in [("elsewhere", "x"), (ENGINE, "x")] {
        let bytes = archive(top, &[("src/lib.rs", content)]);
        f.put(&f.archive_path(), &bytes);
        f.lock(VERSION, Some(&sha256(&bytes)));
        assert!(matches!(f.place(), Err(Error::Archive { .. })), "{top}");
    }
    f.put(&f.archive_path(), b"not an archive");
    f.lock(VERSION, Some(&sha256(b"not an archive")));
    assert!(matches!(f.place(), Err(Error::Archive { .. })));
}
