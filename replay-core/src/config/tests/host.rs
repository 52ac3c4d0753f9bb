//! The tables of replay in an engine's own file.
use super::super::{Config, Host, Strategy};

const HOST: Host<'_> = Host { adapter: "mistralrs", keys: &["command", "server", "models"] };
const ENGINES: &str = "command = \"serve\"\n[server]\nport = 1234\n[[models]]\nkind = \"auto\"\nmodel_id = \"a/b\"\n";
const OURS: &str =
    "[pair]\nrlvr = \"a/b\"\nbase = \"a/c\"\n[replay]\nstrategy = \"substitute\"\nlayers = 2\n[replay.rank]\ntop = 3\n";

fn read(text: &str) -> Result<Config, super::super::ConfigError> {
    let file = tempfile(text);
    Config::from_host_file_with(&file.0, &HOST, |_, table| table.accept_all()).map(|(config, ())| config)
}

/// A temporary file, removed when it is dropped.
struct File(std::path::PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn tempfile(text: &str) -> File {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("host-{}-{}.toml", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).expect("a scratch file");
    File(path)
}

#[test]
fn tables_of_replay_are_read_beside_the_engines_and_imply_the_adapter() {
    let config = read(&format!("{ENGINES}{OURS}")).expect("a valid file");
    assert_eq!((config.adapter.as_str(), config.replay.strategy), ("mistralrs", Strategy::Substitute));
    assert_eq!(config.pair.rlvr, "a/b");
}

#[test]
fn problems_of_the_tables_of_replay_are_reported_and_the_engines_part_is_not_checked() {
    let text = format!("{ENGINES}{OURS}").replace("top = 3", "topp = 3").replace("port = 1234", "porrt = 1");
    let error = read(&text).expect_err("a wrong key");
    let lines: Vec<(usize, &str)> =
        error.problems.iter().map(|problem| (problem.line, problem.path.as_str())).collect();
    assert_eq!(lines, [(14, "replay.rank.topp")], "{error}");
}

#[test]
fn unknown_tables_and_other_adapters_are_refused() {
    let error = read(&format!("{ENGINES}{OURS}[replai]\n")).expect_err("a table of nobody");
    assert_eq!(error.problems[0].hint.as_deref(), Some("did you mean `replay`?"));
    let error = read(&format!("adapter = \"other\"\n{ENGINES}{OURS}")).expect_err("another adapter");
    assert_eq!((error.problems.len(), error.problems[0].path.as_str()), (1, "adapter"));
}

#[test]
fn a_file_without_the_tables_of_replay_is_refused() {
    let error = read(ENGINES).expect_err("nothing of ours");
    let paths: Vec<&str> = error.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["pair.rlvr", "pair.base", "replay"], "{error}");
}
