//! The command line.

use std::{ffi::OsString, path::PathBuf};

use replay_seam::{Variant, drop::Selection};

pub(crate) const HELP: &str = "\
Puts mistralrs-core with our seam in place, then runs cargo.

Usage:
  cargo seam <cargo arguments>                   put the engine in place if need be, then run cargo with the arguments
  cargo seam prepare                             only put it in place; plain cargo works from then on
  cargo seam vendor --into DIR [--fixes-only]    write it to DIR/mistralrs-core for a project of your own
  cargo seam --help                              this text

For maintainers:
  cargo seam port --source DIR                   say which edits fit another version of the engine's source; writes nothing
  cargo seam faults [--write FILE]               print the page about the engine's faults, or write it to FILE
  cargo seam drop [--list] [FAULT...] [--area AREA]... [--areas]
                                                 leave fixes out and expect their tests to fail (minutes for each engine):
                                                 each named fault, or each area at once, or by default every fault that has a test

`--fixes-only` applies the fixes of the engine and leaves the hook out.
The engine's source comes from cargo's cache and is verified against replay-mistralrs/seam/Cargo.lock. Run in the workspace's root.
";

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Help,
    Prepare,
    Vendor { into: PathBuf, variant: Variant },
    Port { source: PathBuf },
    Faults { write: Option<PathBuf> },
    Drop { selection: Selection, only_list: bool },
    Cargo(Vec<OsString>),
}

pub(crate) fn parse(args: Vec<OsString>) -> Result<Request, String> {
    match args.first().and_then(|first| first.to_str()) {
        None if args.is_empty() => Ok(Request::Help),
        Some("--help" | "-h") => Ok(Request::Help),
        Some("prepare") if args.len() == 1 => Ok(Request::Prepare),
        Some("prepare") => Err(format!("`cargo seam prepare` takes no arguments, found {:?}", args[1])),
        Some("vendor") => parse_vendor(&args[1..]),
        Some("port") => match &args[1..] {
            [key, source] if key == "--source" => Ok(Request::Port { source: source.into() }),
            _ => {
                Err("`cargo seam port` needs `--source DIR`, the folder of another version of the engine's source"
                    .into())
            }
        },
        Some("faults") => match &args[1..] {
            [] => Ok(Request::Faults { write: None }),
            [key, file] if key == "--write" => Ok(Request::Faults { write: Some(file.into()) }),
            _ => Err("`cargo seam faults` takes nothing but `--write FILE`".into()),
        },
        Some("drop") => parse_drop(&args[1..]),
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
                return Err(format!("`cargo seam vendor` takes `--into DIR` and `--fixes-only`, found {arg:?}"));
            }
        }
    }
    let into = into.ok_or("`cargo seam vendor` needs `--into DIR` (for cargo's own command, say `cargo vendor`)")?;
    Ok(Request::Vendor { into, variant })
}

fn parse_drop(args: &[OsString]) -> Result<Request, String> {
    let (mut faults, mut areas, mut every_area, mut only_list) = (Vec::new(), Vec::new(), false, false);
    let mut args = args.iter().map(|arg| arg.to_str());
    while let Some(arg) = args.next() {
        match arg {
            Some("--list") => only_list = true,
            Some("--areas") => every_area = true,
            Some("--area") => {
                areas.push(args.next().flatten().ok_or("`--area` needs the name of an area, such as `cache`")?.into());
            }
            Some(name) if !name.starts_with('-') => faults.push(name.into()),
            other => {
                return Err(format!(
                    "`cargo seam drop` takes faults, `--area AREA`, `--areas` and `--list`, found {other:?}"
                ));
            }
        }
    }
    let named = !(faults.is_empty() && areas.is_empty());
    let selection = match (named, every_area) {
        (true, true) => return Err("`--areas` means every area: leave it out, or the names".into()),
        (true, false) => Selection::Named { faults, areas },
        (false, true) => Selection::Areas,
        (false, false) => Selection::Each,
    };
    Ok(Request::Drop { selection, only_list })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(OsString::from).collect())
    }

    fn dropped(line: &str) -> (Selection, bool) {
        match parsed(line) {
            Ok(Request::Drop { selection, only_list }) => (selection, only_list),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn drop_takes_faults_and_areas() {
        assert_eq!(dropped("drop"), (Selection::Each, false));
        assert_eq!(dropped("drop --list --areas"), (Selection::Areas, true));
        let named = Selection::Named { faults: vec!["a".into(), "b".into()], areas: vec!["cache".into()] };
        assert_eq!(dropped("drop a --area cache b"), (named, false));
        for wrong in ["drop --area", "drop --all", "drop a --areas"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn faults_may_be_written_to_a_file() {
        assert_eq!(parsed("faults"), Ok(Request::Faults { write: None }));
        assert_eq!(parsed("faults --write x.md"), Ok(Request::Faults { write: Some("x.md".into()) }));
        assert!(parsed("faults x.md").is_err());
    }

    #[test]
    fn anything_else_is_for_cargo() {
        assert_eq!(
            parsed("test --test suite"),
            Ok(Request::Cargo(["test", "--test", "suite"].map(OsString::from).into()))
        );
    }
}
