//! `cargo seam`: puts the engine with its seam in place, then runs cargo.

mod request;

use std::{env, fs, path::Path, process::ExitCode};

use replay_seam::{
    ENGINE, Existing, Placed, Seam, VERSION, Variant, child,
    drop::{self, CargoSuite, Selection},
    summary,
};

use crate::request::{HELP, Request};

/// The exit code cargo itself uses for its own failures.
const FAILED: u8 = 101;

/// A test passed without its fix, or could not be run.
const NOT_PROVED: u8 = 1;

fn main() -> ExitCode {
    let args = env::args_os().skip(1).collect();
    let outcome = request::parse(args).and_then(|request| run(request).map_err(|e| e.to_string()));
    outcome.unwrap_or_else(|message| {
        eprintln!("error: {message}");
        ExitCode::from(FAILED)
    })
}

fn run(request: Request) -> replay_seam::Result<ExitCode> {
    let seam = Seam::of_this_repository();
    match request {
        Request::Help => print!("{HELP}"),
        Request::Prepare => report(&seam.place(&seam.workspace_target(), Variant::Hooked, Existing::Adopt)?),
        Request::Vendor { into, variant } => {
            let placed = seam.place(&into, variant, Existing::Refuse)?;
            report(&placed);
            print!("{}", patch_lines(&placed.folder));
        }
        Request::Port { source } => print!("{}", summary(&seam.port_to(&source)?)),
        Request::Faults { write: None } => print!("{}", seam.faults_page()?),
        Request::Faults { write: Some(file) } => {
            let page = seam.faults_page()?;
            fs::write(&file, page).map_err(|source| replay_seam::Error::Io { action: "write", path: file, source })?;
        }
        Request::Drop { selection, only_list } => return drop_fixes(&seam, &selection, only_list),
        Request::Cargo(args) => {
            let placed = seam.place(&seam.workspace_target(), Variant::Hooked, Existing::Adopt)?;
            if !placed.written.is_empty() || !placed.removed.is_empty() {
                report(&placed);
            }
            let mut command = child::command(&child::cargo(), &child::build_folder());
            command.args(args);
            return child::hand_over(command);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn drop_fixes(seam: &Seam, selection: &Selection, only_list: bool) -> replay_seam::Result<ExitCode> {
    let groups = drop::select(&seam.areas()?, selection)?;
    if only_list {
        print!("{}", drop::listing(&groups));
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("seam: {} engine(s) to compile, some four minutes each", groups.len());
    let proof = drop::prove(&groups, &mut CargoSuite::new(seam));
    print!("{}", drop::table(&proof.rows));
    proof.restored?;
    let proved = proof.rows.iter().all(|row| row.outcome.is_expected());
    Ok(if proved { ExitCode::SUCCESS } else { ExitCode::from(NOT_PROVED) })
}

/// On standard error: standard output is for the lines to add, or for the cargo command that follows.
fn report(placed: &Placed) {
    let change = match (placed.written.len(), placed.removed.len()) {
        (0, 0) => "up to date".to_owned(),
        (written, 0) => format!("{written} file(s) written"),
        (written, removed) => format!("{written} file(s) written, {removed} removed"),
    };
    eprintln!("seam: {}: {change}", placed.folder.display());
    if !placed.altered.is_empty() {
        let (altered, kept) = (placed.altered.join(", "), placed.kept_in.display());
        eprintln!("seam: these files had been changed by hand; the changes are undone and kept in {kept}: {altered}");
    }
}

/// Lines that can be appended to a Cargo.toml as they are.
fn patch_lines(folder: &Path) -> String {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let path = toml::Value::from(folder.display().to_string());
    format!(
        "# Add to the Cargo.toml at the root of your workspace. The engine must be {ENGINE} {VERSION} in its Cargo.lock;\n\
         # if cargo says that the patch was not used: cargo update -p {ENGINE} --precise {VERSION}\n\
         [patch.crates-io]\n\
         {ENGINE} = {{ path = {path} }}\n"
    )
}
