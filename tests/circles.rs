//! Imports among the files of each crate run one way.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::common::repository;

/// The files of one crate, by module path (`a::b`; the crate's root is empty).
struct Modules {
    /// Text without comments and tests.
    texts: BTreeMap<String, String>,
    /// Names that a module passes on: from where.
    passed_on: BTreeMap<(String, String), Vec<String>>,
}

impl Modules {
    fn read(root: &Path) -> Self {
        let mut texts = BTreeMap::new();
        collect(root, root, &mut texts);
        let mut modules = Self { texts, passed_on: BTreeMap::new() };
        for module in modules.texts.keys().cloned().collect::<Vec<_>>() {
            for (public, path) in uses(&modules.texts[&module]) {
                if let (true, Some(name)) = (public, path.last().cloned()) {
                    let path = modules.absolute(&module, &path);
                    modules.passed_on.insert((module.clone(), name), path);
                }
            }
        }
        modules
    }

    /// A path from the crate's root; empty for another crate's.
    fn absolute(&self, module: &str, path: &[String]) -> Vec<String> {
        let mut base: Vec<String> = module.split("::").filter(|part| !part.is_empty()).map(String::from).collect();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => (base, rest) = (Vec::new(), &path[1..]),
            Some("super") => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            Some("self") => rest = &path[1..],
            Some(first) => {
                let child = [&base[..], &[first.to_owned()]].concat().join("::");
                if !self.texts.contains_key(&child) {
                    return Vec::new();
                }
            }
            None => return Vec::new(),
        }
        [&base[..], rest].concat()
    }

    /// The module that defines what a path names, through what others pass on.
    fn definer(&self, path: &[String], depth: usize) -> Option<String> {
        let known = (0..=path.len()).rev().find(|&end| self.texts.contains_key(&path[..end].join("::")))?;
        let module = path[..known].join("::");
        let Some(name) = path.get(known) else { return Some(module) };
        match self.passed_on.get(&(module.clone(), name.clone())) {
            Some(from) if depth < 8 && !from.is_empty() => self.definer(from, depth + 1),
            _ => Some(module),
        }
    }

    fn imports(&self, module: &str) -> BTreeSet<String> {
        let text = &self.texts[module];
        // A file that only passes names on takes nothing for itself.
        let defines = ["fn ", "struct ", "enum ", "impl", "trait ", "static "]
            .iter()
            .any(|word| text.lines().any(|line| line.trim_start().trim_start_matches("pub ").starts_with(word)));
        let named = uses(text).into_iter().filter(|(public, _)| defines || !public).map(|(_, path)| path);
        let paths = named.map(|path| self.absolute(module, &path)).filter(|path| !path.is_empty());
        paths.filter_map(|path| self.definer(&path, 0)).filter(|other| other != module && !other.is_empty()).collect()
    }
}

fn collect(root: &Path, folder: &Path, texts: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let parts = path.strip_prefix(root).unwrap().with_extension("");
            let parts: Vec<_> = parts.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            let parts = parts.strip_suffix(&["mod".to_owned()]).unwrap_or(&parts);
            let module =
                if matches!(parts, [one] if one == "lib" || one == "main") { String::new() } else { parts.join("::") };
            if !parts.iter().any(|part| part == "tests" || part == "testing") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code: Vec<&str> = text.split("#[cfg(test)]\nmod tests {").next().unwrap().lines().collect();
                let code = code.into_iter().map(|line| line.split("//").next().unwrap());
                texts.insert(module, code.collect::<Vec<_>>().join("\n"));
            }
        }
    }
}

/// Every `use` of a file, one path for each name; whether it is passed on.
fn uses(text: &str) -> Vec<(bool, Vec<String>)> {
    let mut found = Vec::new();
    for statement in text.split(['\n', ';']).scan(String::new(), join).flatten() {
        let Some((before, tree)) = statement.split_once("use ") else { continue };
        let public = before.starts_with("pub");
        expand(Vec::new(), tree, &mut |path| found.push((public, path)));
    }
    found
}

/// Puts the lines of one `use` together; nothing for any other line.
fn join(open: &mut String, line: &str) -> Option<Option<String>> {
    let begins = line.trim_start();
    let is_use = begins.starts_with("use ") || (begins.starts_with("pub") && begins.contains(" use "));
    if open.is_empty() && !is_use {
        return Some(None);
    }
    open.push_str(begins);
    let balanced = open.matches('{').count() == open.matches('}').count();
    Some(balanced.then(|| std::mem::take(open)))
}

fn expand(prefix: Vec<String>, tree: &str, found: &mut impl FnMut(Vec<String>)) {
    let tree = tree.trim();
    let Some((before, rest)) = tree.split_once('{') else {
        let tree = tree.split(" as ").next().unwrap();
        let parts = tree.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty() && part != "*");
        let path: Vec<String> = prefix.into_iter().chain(parts).collect();
        // `a::{self}` names `a`.
        let path = if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path[..path.len() - 1].to_vec()
        } else {
            path
        };
        found(path);
        return;
    };
    let outer: Vec<String> = prefix
        .into_iter()
        .chain(before.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()))
        .collect();
    let body = rest.rsplit_once('}').map_or(rest, |(body, _)| body);
    let (mut depth, mut from) = (0, 0);
    for (at, letter) in body.char_indices().chain([(body.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !body[from..at].trim().is_empty() {
                    expand(outer.clone(), &body[from..at], found);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// A circle, if there is one: each file imports the next.
fn circle(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        at: &str,
        imports: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(from) = way.iter().position(|other| other == at) {
            return Some(way[from..].to_vec());
        }
        if done.contains(at) {
            return None;
        }
        way.push(at.to_owned());
        let found = imports.get(at).into_iter().flatten().find_map(|next| walk(next, imports, way, done));
        way.pop();
        done.insert(at.to_owned());
        found
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| walk(module, imports, &mut Vec::new(), &mut done))
}

fn imports_of(root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let modules = Modules::read(root);
    modules.texts.keys().map(|module| (module.clone(), modules.imports(module))).collect()
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    let folders = ["replay-core/src", "replay-cli/src", "replay-mistralrs/src", "replay-mistralrs/seam/src"];
    for folder in folders.into_iter().chain(["replay-mistralrs/seam/engine/forward_hook"]) {
        let imports = imports_of(&repository().join(folder));
        assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 5, "{folder}: {imports:?}");
        assert_eq!(circle(&imports), None, "{folder}");
    }
}

#[test]
fn a_circle_is_seen_through_names_that_are_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path: PathBuf = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a;\nmod b;\npub use a::A;\n");
    write("a/mod.rs", "mod leaf;\npub use leaf::A;\n");
    write("a/leaf.rs", "use crate::b::B;\npub struct A(B);\n");
    write("b.rs", "pub struct B;\n");
    assert_eq!(circle(&imports_of(folder.path())), None);
    write("b.rs", "use crate::{\n    A,\n};\npub struct B(Box<A>);\n");
    assert_eq!(circle(&imports_of(folder.path())).map(|files| files.len()), Some(2));
}
