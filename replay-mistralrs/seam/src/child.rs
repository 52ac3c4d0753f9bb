//! Runs cargo with the user's environment, without the variables that the `cargo run` of this tool has set.
//!
//! Build scripts watch such variables: if one differed between `cargo seam build` and `cargo build`, cargo would compile half the engine
//! again.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::error::{Error, Result};

/// The variable that lists folders of shared libraries; `cargo run` puts folders of its own in front.
const LIBRARY_PATH: &str = if cfg!(target_os = "macos") {
    "DYLD_FALLBACK_LIBRARY_PATH"
} else if cfg!(windows) {
    "PATH"
} else {
    "LD_LIBRARY_PATH"
};

/// The cargo that runs this tool, or the one in `PATH`.
#[must_use]
pub fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// A command for `program` with this process's environment, without what `cargo run` has set; `build_folder` is where this tool was built.
#[must_use]
pub fn command(program: &Path, build_folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, value) in env::vars_os() {
        if set_by_cargo_run(&name) {
            command.env_remove(&name);
        } else if name == LIBRARY_PATH {
            match without_own_folders(&value, build_folder) {
                Some(rest) => command.env(&name, rest),
                None => command.env_remove(&name),
            };
        }
    }
    command
}

/// The folder that holds the running executable.
#[must_use]
pub fn build_folder() -> PathBuf {
    env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)).unwrap_or_default()
}

/// Replaces this process by `command`, so that signals and the exit code need no forwarding. Returns only on failure.
///
/// # Errors
/// [`Error::Start`] when the program cannot be started.
#[cfg(unix)]
pub fn hand_over(mut command: Command) -> Result<std::process::ExitCode> {
    use std::os::unix::process::CommandExt as _;
    let source = command.exec();
    Err(Error::Start { program: command.get_program().into(), source })
}

/// Runs `command` and returns its exit code.
///
/// # Errors
/// [`Error::Start`] when the program cannot be started.
#[cfg(not(unix))]
pub fn hand_over(mut command: Command) -> Result<std::process::ExitCode> {
    let status = command.status().map_err(|source| Error::Start { program: command.get_program().into(), source })?;
    std::process::exit(status.code().unwrap_or(101));
}

/// Has cargo download what the lock file beside `manifest` pins. The caller looks for the archive again to see whether it worked.
///
/// # Errors
/// [`Error::Start`] when cargo cannot be started.
pub fn fetch(manifest: &Path) -> Result<()> {
    let program = cargo();
    let mut command = command(&program, &build_folder());
    command.args(["fetch", "--locked", "--manifest-path"]).arg(manifest);
    // Standard output belongs to the caller's own command.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.status().map_err(|source| Error::Start { program, source })?;
    Ok(())
}

fn set_by_cargo_run(name: &OsStr) -> bool {
    const NAMES: [&str; 7] = [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_MANIFEST_LINKS",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "OUT_DIR",
    ];
    name.to_str().is_some_and(|name| NAMES.contains(&name) || name.starts_with("CARGO_PKG_"))
}

/// Drops the entries that `cargo run` put in front: folders of this build, then the toolchain's library folder.
fn without_own_folders(value: &OsStr, build_folder: &Path) -> Option<OsString> {
    let all: Vec<PathBuf> = env::split_paths(value).collect();
    let own =
        all.iter().take_while(|path| !build_folder.as_os_str().is_empty() && path.starts_with(build_folder)).count();
    let rest = match &all[own..] {
        [first, rest @ ..] if own > 0 && is_toolchain_folder(first) => rest,
        rest => rest,
    };
    if rest.is_empty() { None } else { env::join_paths(rest).ok() }
}

/// `<toolchain>/lib/rustlib/<target>/lib`.
fn is_toolchain_folder(path: &Path) -> bool {
    let above = path.parent().and_then(Path::parent);
    path.ends_with("lib") && above.is_some_and(|above| above.ends_with("lib/rustlib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cargo_run_sets_is_dropped() {
        for dropped in ["CARGO_MANIFEST_DIR", "CARGO_PKG_VERSION_MAJOR", "CARGO_BIN_NAME", "OUT_DIR"] {
            assert!(set_by_cargo_run(OsStr::new(dropped)), "{dropped}");
        }
        for kept in ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_TERM_COLOR", "CARGO_BUILD_JOBS", "RUSTFLAGS"] {
            assert!(!set_by_cargo_run(OsStr::new(kept)), "{kept}");
        }
    }

    #[test]
    fn own_library_folders_are_dropped_and_the_users_kept() {
        let join = |paths: &[&str]| env::join_paths(paths).expect("no separator in these");
        let build = Path::new("/w/target/debug");
        let sysroot = "/t/lib/rustlib/x86_64-unknown-linux-gnu/lib";
        let added = ["/w/target/debug/build/x/out", "/w/target/debug/deps", "/w/target/debug", sysroot];

        assert_eq!(without_own_folders(&join(&added), build), None);
        let with_user: Vec<_> = added.iter().copied().chain(["/opt/cuda/lib", sysroot]).collect();
        assert_eq!(without_own_folders(&join(&with_user), build), Some(join(&["/opt/cuda/lib", sysroot])));
        let untouched = join(&[sysroot, "/opt/cuda/lib"]);
        assert_eq!(without_own_folders(&untouched, build), Some(untouched.clone()));
    }
}
