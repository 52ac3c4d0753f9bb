//! The cargo command gets the user's environment, not the one that `cargo run` made for this tool.

use std::path::Path;

use replay_seam::{Error, child};

#[test]
fn variables_of_cargo_run_are_not_handed_on() {
    // `cargo test` sets the same variables for this test.
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some() && std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let command = child::command(Path::new("cargo"), Path::new("/nowhere"));
    let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
    for name in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"] {
        assert!(removed.iter().any(|found| *found == name), "{name} in {removed:?}");
    }
    assert!(!removed.iter().any(|found| *found == "CARGO" || *found == "PATH"), "{removed:?}");
}

#[test]
fn a_missing_cargo_is_named() {
    let command = child::command(Path::new("/nowhere/cargo"), Path::new("/nowhere"));
    let Err(error @ Error::Start { .. }) = child::hand_over(command) else { panic!("there is no such program") };
    assert!(error.to_string().starts_with("cannot start /nowhere/cargo: "), "{error}");
}
