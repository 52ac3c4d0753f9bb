//! `cargo seam`: puts the engine with its seam in place, then runs cargo.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use replay_seam::{ENGINE, Existing, Placed, Seam, VERSION, Variant, child, summary};

const HELP: &str = "\
Puts mistralrs-core with our seam in place, then runs cargo.

Usage:
  cargo seam <cargo arguments>                   put the engine in place if need be, then run cargo with the arguments
  cargo seam prepare                             only put it in place; plain cargo works from then on
  cargo seam vendor --into DIR [--fixes-only]    write it to DIR/mistralrs-core for a project of your own
  cargo seam port --source DIR                   say which edits fit another version of the engine's source; writes nothing
  cargo seam --help                              this text

`--fixes-only` applies the repairs of the engine and leaves the seam out.
The engine's source comes from cargo's cache and is verified against replay-mistralrs/seam/Cargo.lock. Run in the workspace's root.
";

/// What was asked for.
enum Request {
    Help,
    Prepare,
    Vendor { into: PathBuf, variant: Variant },
    Port { source: PathBuf },
    Cargo(Vec<OsString>),
}

/// The exit code cargo itself uses for its own failures.
const FAILED: u8 = 101;

fn main() -> ExitCode {
    let outcome = parse(env::args_os().skip(1).collect()).and_then(|request| run(request).map_err(|e| e.to_string()));
    outcome.unwrap_or_else(|message| {
        eprintln!("error: {message}");
        ExitCode::from(FAILED)
    })
}

fn parse(args: Vec<OsString>) -> Result<Request, String> {
    match args.first().and_then(|first| first.to_str()) {
        None if args.is_empty() => Ok(Request::Help),
        Some("--help" | "-h") => Ok(Request::Help),
        Some("prepare") if args.len() == 1 => Ok(Request::Prepare),
        Some("prepare") => Err(format!("`cargo seam prepare` takes no arguments, found {:?}", args[1])),
        Some("vendor") => parse_vendor(&args[1..]),
        Some("port") => match &args[1..] {
            [key, source] if key == "--source" => Ok(Request::Port { source: PathBuf::from(source) }),
            _ => {
                Err("`cargo seam port` needs `--source DIR`, the folder of another version of the engine's source"
                    .into())
            }
        },
        _ => Ok(Request::Cargo(args)),
    }
}

fn parse_vendor(args: &[OsString]) -> Result<Request, String> {
    let (mut into, mut variant) = (None, Variant::Hooked);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--fixes-only") => variant = Variant::FixesOnly,
            Some("--into") => into = args.next().map(PathBuf::from),
            _ => {
                return Err(format!("`cargo seam vendor` knows `--into DIR` and `--fixes-only`, found {arg:?}"));
            }
        }
    }
    let into = into.ok_or("`cargo seam vendor` needs `--into DIR` (for cargo's own command, say `cargo vendor`)")?;
    Ok(Request::Vendor { into, variant })
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
        eprintln!("seam: these had been changed by other hands, which cargo seam undoes (kept in {kept}): {altered}");
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
