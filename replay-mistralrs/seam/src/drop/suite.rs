//! Compiles and runs the workspace's test suite with an engine that lacks some fixes.
//!
//! That engine stands in a folder of its own, and cargo is told of it on its command line, so that the engine that the workspace's
//! manifest points to stays as it is.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Existing, Seam, Variant, child,
    drop::{Group, Outcome, Suite},
    error::{Error, Result},
    pinned::ENGINE,
};

/// The test target, and the folder of its package, in which cargo runs it.
const SUITE: (&str, &str) = ("suite", "replay-cli");

/// The longest test takes some minutes with a whole engine.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// The suite of the workspace that a seam belongs to.
#[derive(Debug)]
pub struct CargoSuite<'a> {
    seam: &'a Seam,
    /// Holds the engine that lacks fixes, and the logs. Inside the folder that the workspace excludes and git ignores.
    folder: PathBuf,
    logs: PathBuf,
    program: PathBuf,
}

impl<'a> CargoSuite<'a> {
    /// The suite of the workspace that `seam` belongs to.
    #[must_use]
    pub fn new(seam: &'a Seam) -> Self {
        let folder = seam.workspace_target().join("without");
        Self { seam, logs: folder.join("logs"), folder, program: PathBuf::new() }
    }

    /// Compiles the suite; returns its executable.
    fn build(&self, options: &[String]) -> Result<PathBuf> {
        let cargo = child::cargo();
        let mut command = child::command(&cargo, &child::build_folder());
        command.args(options).args(["test", "--test", SUITE.0, "--no-run"]).env("CARGO_TERM_COLOR", "never");
        command.current_dir(self.seam.workspace()).stdin(Stdio::null()).stderr(Stdio::piped());
        let start = |source| Error::Start { program: cargo.clone(), source };
        let mut running = command.spawn().map_err(start)?;
        let mut executable = None;
        for line in running
            .stderr
            .take()
            .into_iter()
            .flat_map(|lines| BufReader::new(lines).lines().map_while(std::io::Result::ok))
        {
            eprintln!("{line}");
            executable = executable_in(&line).map(PathBuf::from).or(executable);
        }
        let status = running.wait().map_err(start)?;
        match executable {
            Some(executable) if status.success() => Ok(self.seam.workspace().join(executable)),
            _ => Err(Error::NotCompiled(format!("cargo test --test {} --no-run", SUITE.0))),
        }
    }
}

impl Suite for CargoSuite<'_> {
    fn compile(&mut self, group: &Group) -> Result<()> {
        eprintln!("seam: compiling an engine without the fixes of {}", group.name);
        let placed = self.seam.place_without(&self.folder, &group.names())?;
        self.logs = self.folder.join("logs").join(&group.name);
        self.program = self.build(&["--config".to_owned(), patch(&placed.folder)])?;
        Ok(())
    }

    fn run(&mut self, test: &str) -> Result<Outcome> {
        fs::create_dir_all(&self.logs).map_err(Error::io("create the folder", &self.logs))?;
        let log = self.logs.join(test.replace("::", ".")).with_extension("log");
        let file = File::create(&log).map_err(Error::io("write", &log))?;
        let errors = file.try_clone().map_err(Error::io("write", &log))?;
        let mut command = child::command(&self.program, &child::build_folder());
        command.args(["--exact", test, "--include-ignored"]).env_remove("REPLAY_TEST_PAGED");
        command.current_dir(self.seam.workspace().join(SUITE.1)).stdin(Stdio::null()).stdout(file).stderr(errors);
        let outcome = match succeeds(command, PATIENCE)? {
            Some(succeeded) => Outcome::read(&read_log(&log)?, succeeded),
            None => Outcome::TimedOut,
        };
        eprintln!("seam: {test}: {outcome}");
        Ok(outcome)
    }

    fn restore(&mut self) -> Result<()> {
        eprintln!("seam: building with the whole engine again (by hand: cargo seam test --test {} --no-run)", SUITE.0);
        self.seam.place(&self.seam.workspace_target(), Variant::Hooked, Existing::Adopt)?;
        self.build(&[]).map(drop)
    }
}

/// The value of cargo's `--config` that puts the engine in `folder` in the place of the manifest's.
fn patch(folder: &Path) -> String {
    format!("patch.crates-io.{ENGINE}.path={}", toml::Value::from(folder.display().to_string()))
}

/// Whether the program ends well; `None` if it does not end in time, and is ended.
fn succeeds(mut command: Command, patience: Duration) -> Result<Option<bool>> {
    let program = PathBuf::from(command.get_program());
    let failed = |source| Error::Start { program: program.clone(), source };
    let mut running = command.spawn().map_err(failed)?;
    let begun = Instant::now();
    loop {
        match running.try_wait().map_err(failed)? {
            Some(status) => return Ok(Some(status.success())),
            None if begun.elapsed() > patience => {
                running.kill().and_then(|()| running.wait()).map_err(failed)?;
                return Ok(None);
            }
            None => thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn read_log(log: &Path) -> Result<String> {
    let bytes = fs::read(log).map_err(Error::io("read", log))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The path in cargo's line `Executable tests/main.rs (target/debug/deps/suite-0123)`.
fn executable_in(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("Executable ")?.rsplit_once('(')?.1.strip_suffix(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_names_the_executable() {
        let line = "  Executable ../tests/main.rs (target/debug/deps/suite-0123)";
        assert_eq!(executable_in(line), Some("target/debug/deps/suite-0123"));
        assert_eq!(executable_in("   Compiling mistralrs-core v0.8.1 (/w/.engine/without/mistralrs-core)"), None);
    }

    #[test]
    fn the_patch_is_a_value_that_cargo_reads() {
        let text = patch(Path::new("/a \"b\"/mistralrs-core"));
        let table: toml::Table = text.parse().expect("TOML");
        assert_eq!(table["patch"]["crates-io"][ENGINE]["path"].as_str(), Some("/a \"b\"/mistralrs-core"));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        let patience = Duration::from_millis(300);
        assert_eq!(succeeds(shell("exit 0"), patience).expect("started"), Some(true));
        assert_eq!(succeeds(shell("exit 101"), patience).expect("started"), Some(false));
        assert_eq!(succeeds(shell("exec sleep 60"), patience).expect("started"), None);
    }
}
