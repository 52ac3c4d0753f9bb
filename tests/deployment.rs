//! Somebody's own deployment: a small crate outside this workspace, built on the vendored engine; and the engine with the fixes
//! alone, which must give the same bits as the hooked one with no hook set.
//!
//! Each compiles an engine of its own, so `cargo seam test` leaves this file out; `.ci/run` calls it by name.
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// `cargo seam`
fn seam() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--manifest-path", "replay-mistralrs/seam/Cargo.toml", "--"]);
    command
}

/// `cargo seam vendor` into a folder that stays, so that a second run compiles nothing.
fn vendored(name: &str, options: &[&str]) -> (PathBuf, String) {
    let folder = repository().join("target/deployment").join(name);
    let output =
        seam().args(["vendor", "--into"]).arg(&folder).args(options).current_dir(repository()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (folder, String::from_utf8(output.stdout).unwrap())
}

/// Builds and runs a crate whose manifest is `dependencies` and the lines that `vendor` printed; returns what it prints.
fn run(name: &str, patch: &str, dependencies: &str, arguments: &[&str]) -> String {
    let root = repository();
    let folder = root.join("target/deployment").join(name).join("app");
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{dependencies}\n{patch}\n{}",
        profiles()
    );
    write(&folder.join("Cargo.toml"), &manifest);
    write(&folder.join("src/main.rs"), include_str!("deployment_app.rs"));
    // The same versions as the workspace's, so that what is compiled already is used.
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    // Through the seam's tool, which takes away what cargo sets for a test; dependencies would be compiled again for it.
    let output = seam()
        .args(["run", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--")
        .args(arguments)
        .env("CARGO_TARGET_DIR", root.join("target"))
        .current_dir(&root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let compiled = said.lines().filter_map(|line| line.trim_start().strip_prefix("Compiling ")?.split(' ').next());
    let own = [name, "mistralrs-core", "replay-core", "replay-mistralrs"];
    let again: Vec<&str> = compiled.filter(|package| !own.contains(package)).collect();
    assert!(again.is_empty(), "compiled again, with other features or flags than the workspace's: {again:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The workspace's profile, so that its dependencies are used as they are compiled; but the engine, which each variant has of its own, is
/// compiled in the cheapest way: levels change no bit of an answer.
fn profiles() -> String {
    let mut workspace: toml::Table = std::fs::read_to_string(repository().join("Cargo.toml")).unwrap().parse().unwrap();
    let mut profiles = workspace.remove("profile").unwrap();
    let packages = profiles["dev"]["package"].as_table_mut().unwrap();
    packages.remove("replay-core");
    packages["mistralrs-core"].as_table_mut().unwrap().insert("opt-level".into(), 0.into());
    toml::to_string(&toml::Table::from_iter([("profile".to_owned(), profiles)])).unwrap()
}

fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).ok().as_deref() != Some(text) {
        std::fs::write(path, text).unwrap();
    }
}

/// What the crate needs; and, in the last five lines, what has the features of its dependencies be the workspace's, so that nothing but the
/// engine is compiled again. `replay-core` is among the first since its feature decides how matrix products are computed.
fn both_need() -> String {
    format!(
        r#"mistralrs-core = "=0.8.1"
candle-core = "0.10.2"
replay-core = {{ path = {:?}, features = ["avx512"] }}
anyhow = "1"
either = "1"
image = "0.25"
tokio = {{ version = "1", features = ["full"] }}
axum = "0.8"
tower-http = {{ version = "0.6", features = ["cors"] }}
utoipa = {{ version = "5", features = ["axum_extras"] }}
miette = {{ version = "7", features = ["fancy-no-backtrace"] }}
tempfile = "3"
"#,
        repository().join("replay-core").display().to_string()
    )
}

#[test]
fn a_crate_outside_runs_replay_on_the_vendored_engine() {
    let root = repository();
    let (_, patch) = vendored("vendored", &[]);
    let dependencies = format!(
        "{}replay-mistralrs = {{ path = {:?} }}\n[features]\ndefault = [\"replay\"]\nreplay = []",
        both_need(),
        root.join("replay-mistralrs").display().to_string()
    );
    let model = root.join("examples/models/counting/rlvr").display().to_string();
    let image = root.join("examples/images/000.png").display().to_string();
    let config = root.join("examples/configs/substitute.toml").display().to_string();
    let off = run("vendored", &patch, &dependencies, &[&model, &image]);
    let on = run("vendored", &patch, &dependencies, &[&model, &image, &config]);
    assert!(off.contains("boxed") && on.contains("boxed"), "{off}\n{on}");
    assert_ne!(off, on, "replay changes the log-probabilities");

    // And without the hook, the same bits as with the hook linked and none set.
    let (_, patch) = vendored("fixes-only", &["--fixes-only"]);
    let fixes_only = run("fixes-only", &patch, &format!("{}\n[features]\nreplay = []", both_need()), &[&model, &image]);
    assert_eq!(fixes_only, off);
}
