//! Checks on the repository itself.
use std::path::{Path, PathBuf};

use crate::common::repository;

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&repository(), "rs", &mut found);
    assert!(found.len() > 80);
    found
}

#[test]
fn every_invariant_has_a_test_of_its_name() {
    let page = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    let all: String = sources().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut named = 0;
    for line in page.lines().filter(|line| line.starts_with("**Invariant ")) {
        let test = line.split('`').nth(1).unwrap_or_else(|| panic!("no test named in: {line}"));
        assert!(all.contains(&format!("fn {test}(")), "there is no test {test}");
        named += 1;
    }
    assert!(named >= 10, "{named} invariants");
}

#[test]
fn the_core_names_no_engine() {
    let manifest = std::fs::read_to_string(repository().join("replay-core/Cargo.toml")).unwrap();
    assert!(!manifest.contains("mistralrs"), "the core depends on an engine");
    let mut core = Vec::new();
    files(&repository().join("replay-core/src"), "rs", &mut core);
    for path in core {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("mistralrs_core") && !text.contains("mistralrs_quant"), "{}", path.display());
    }
    let mut program = Vec::new();
    files(&repository().join("replay-cli/src"), "rs", &mut program);
    for path in program {
        let text = std::fs::read_to_string(&path).unwrap();
        for engine in ["mistralrs_core", "mistralrs_quant", "mistralrs_server_core"] {
            assert!(!text.contains(engine), "{} names {engine}", path.display());
        }
        let links = path.file_name().is_some_and(|name| name == "adapters.rs");
        assert!(links || !text.contains("replay_mistralrs"), "{} names an adapter", path.display());
    }
}

#[test]
fn anchors_stay_short() {
    // Of the engine, only what finds the place of an edit stands in this repository.
    let (mut lists, mut anchors) = (Vec::new(), 0);
    files(&repository().join("replay-mistralrs/seam/edits"), "toml", &mut lists);
    for list in lists {
        let text = std::fs::read_to_string(&list).unwrap();
        for anchor in text.lines().filter(|line| line.starts_with("anchor = ")) {
            assert!(anchor.matches("\\n").count() <= 4 && anchor.len() < 300, "{}: {anchor}", list.display());
            anchors += 1;
        }
    }
    assert!(anchors > 150, "{anchors}");
}

#[test]
fn sources_stay_small() {
    for path in sources() {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}

#[test]
fn generated_pages_are_fresh() {
    let folder = repository().join("examples/configs");
    let schema = serde_json::to_string_pretty(&replay_core::config::json_schema()).unwrap() + "\n";
    for (name, wanted) in [("REFERENCE.md", reference()), ("replay.schema.json", schema)] {
        let path = folder.join(name);
        if std::env::var_os("UPDATE_PAGES").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == wanted, "{name} is stale; run: UPDATE_PAGES=1 cargo seam test generated_pages_are_fresh");
    }
}

fn reference() -> String {
    let mut page = replay_core::config::reference_markdown().trim_end().to_string();
    page += "\n\n## `[mistralrs]`\n\nThe table of the adapter. `[mistralrs.base]` and `[mistralrs.rlvr]` take `dtype`, `device` and `isq` for one model.\n\n| Key | Meaning |\n|---|---|\n";
    for (key, meaning) in replay_mistralrs::table_keys() {
        page += &format!("| `{key}` | {meaning} |\n");
    }
    page += "\n## `[mistralrs.paged_attention]`\n\nPagedAttention for the RLVR model, on a GPU, or for trials on a CPU (slow; `memory` or `context_len` must be given); the base's passes need no cache. Families: [which ones](../../docs/families.md#the-table).\n\n| Key | Meaning |\n|---|---|\n";
    for (key, meaning) in replay_mistralrs::paged_keys() {
        page += &format!("| `{key}` | {meaning} |\n");
    }
    page
}

#[test]
fn every_code_of_an_error_is_on_its_page() {
    let mut files_ = Vec::new();
    files(&repository().join("replay-cli/src/serve"), "rs", &mut files_);
    files(&repository().join("replay-mistralrs/src/server"), "rs", &mut files_);
    let source: String = files_.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let page = std::fs::read_to_string(repository().join("docs/errors.md")).unwrap();
    let listed: Vec<&str> = page.lines().filter_map(|line| line.split("| `").nth(1)?.split('`').next()).collect();
    assert!(listed.len() > 30);
    for code in &listed {
        assert!(source.contains(&format!("\"{code}\"")), "{code} is on the page and nowhere else");
    }
    // In the code a refusal is made by a call whose first argument is the code, or from a pair of code and message.
    let calls = ["invalid(", "refused(", "=> ("].into_iter().flat_map(|call| source.split(call).skip(1));
    let codes = calls.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once("\", ")).map(|(code, _)| code);
    let codes: Vec<&str> = codes.filter(|code| code.contains('_') && !code.contains(' ')).collect();
    assert!(codes.len() > 30, "{codes:?}");
    // Names of fields, which go into messages.
    for code in codes.into_iter().filter(|code| *code != "logit_bias") {
        assert!(listed.contains(&code), "{code} is not on the page");
    }
}

/// The packages that a crate of this workspace is built from, without any feature that is off by default.
fn packages_of(name: &str) -> Vec<String> {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--package", name]);
    let output = cargo.current_dir(repository()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(String::from).collect()
}

#[test]
fn the_adapter_brings_no_server_and_the_core_no_evaluation() {
    let adapter = packages_of("replay-mistralrs");
    assert!(adapter.iter().any(|name| name == "mistralrs-core"));
    for server in ["axum", "mistralrs-server-core", "replay-cli"] {
        assert!(!adapter.iter().any(|name| name == server), "replay-mistralrs brings {server}");
    }
    let core = packages_of("replay-core");
    for foreign in ["mistralrs-core", "axum", "image", "tokio"] {
        assert!(!core.iter().any(|name| name == foreign), "replay-core brings {foreign}");
    }
}
