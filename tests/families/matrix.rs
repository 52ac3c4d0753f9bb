//! The conformance kit on every family.
use std::path::Path;

use image::{Rgb, RgbImage};
use replay_core::conformance::{self, Check, ConformanceReport};
use replay_core::session::{Picture, Prompt};
use replay_mistralrs::MistralrsSession;
use replay_mistralrs::families::{self, Family};

use super::spec::{Spec, names};
use crate::common::{UNPAGED, config, page_section, runtime, shown};
use crate::conformance::{Pair, TEXTS};

/// A picture with something in it.
pub(crate) fn picture(width: u32, height: u32) -> Picture {
    let image = RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, ((x * y) % 200) as u8])
    });
    shown(&image.into())
}

pub(super) fn conformance(family: &str) -> ConformanceReport {
    let spec = Spec::read(family);
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (base, rlvr) = spec.write_pair(folder.path());
    let prompts = TEXTS.map(|text| Prompt { images: vec![picture(60, 50)], text: text.into(), ..Prompt::default() });
    let mut maker = Pair { base, rlvr, prompts, batch_tolerance: spec.batch_tolerance };
    runtime().block_on(conformance::run(&mut maker)).unwrap_or_else(|e| panic!("{family}: {e}"))
}

/// What a start with a policy of one layer found.
struct Start {
    one_encoder: bool,
    /// Layers of the base that are loaded, and all.
    layers: (usize, usize),
}

fn start(spec: &Spec, base: &Path, rlvr: &Path) -> Start {
    let family = Family::of(&spec.config).expect("a family with a profile");
    let positions = if family.has_visual_rows { "visual" } else { "all" };
    let replay = format!("strategy = \"substitute\"\nlayers = 1\npositions = \"{positions}\"\nrank.top = 1");
    let session = runtime().block_on(MistralrsSession::open(&config(base, rlvr, &replay))).expect("a session");
    let replay = session.replay().expect("replay is on");
    let base = &replay.pair().base;
    Start { one_encoder: replay.same_vision_tower(), layers: (base.loaded_layers, base.decoder_layers) }
}

/// Whether a prompt can begin after a prefix that is known, as long as no window slides past its beginning.
fn begins_later(name: &str, spec: &Spec) -> bool {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (base, rlvr) = spec.clone().with_wide_windows().write_pair(folder.path());
    let replay = "strategy = \"substitute\"\nlayers = 1\npositions = \"all\"\nrank.top = 1\ncache.prefix_bytes = 1024";
    let session = runtime()
        .block_on(MistralrsSession::open(&config(&base, &rlvr, replay)))
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    session.replay().expect("replay is on").prefix_cache_fault().is_none()
}

/// Writes the table of docs/families.md, to which the README refers.
#[test]
fn the_families_of_the_readme_conform() {
    let specs: Vec<(String, Spec)> = names().into_iter().map(|name| (name.clone(), Spec::read(&name))).collect();
    let mut table = String::from(
        "| architecture | kit | `learned` | images a prompt | base cut to one layer loads | prefix cache | PagedAttention | visual rows and residuals |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for family in families::ALL {
        let pairs: Vec<_> =
            specs.iter().filter(|(_, spec)| spec.config["architectures"][0] == family.architecture).collect();
        assert!(!pairs.is_empty(), "{} has no description", family.architecture);
        let (mut passed, mut loaded, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for (name, spec) in &pairs {
            let outcome = conformance(name);
            assert!(outcome.passed(), "{name}\n{outcome}");
            passed.push(format!("{} of {}", Check::ALL.len() - outcome.failed().len(), Check::ALL.len()));
            let folder = tempfile::tempdir().expect("a scratch folder");
            let (base, rlvr) = spec.write_pair(folder.path());
            let start = start(spec, &base, &rlvr);
            assert!(start.one_encoder, "{name}: the vision towers are equal");
            let (layers, all) = start.layers;
            loaded.push(format!("{layers} of {all}"));
            later.push(if begins_later(name, spec) { "yes" } else { "no" });
        }
        table += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            family.architecture,
            passed.join(", "),
            if family.decoder.is_some() { "yes" } else { "no" },
            if family.one_image { "one" } else { "any" },
            loaded.join(", "),
            later.join(", "),
            if UNPAGED.contains(&family.architecture) { "no" } else { "yes" },
            family.note
        );
    }
    for (architecture, why) in families::REFUSED {
        table += &format!("| {architecture} | refused | | | | | | {why} |\n");
    }
    page_section("docs/families.md", "families", &table);
}

/// `FAMILY=gemma3 cargo test --test suite conform_one -- --ignored --nocapture`
#[test]
#[ignore = "one family, by name"]
fn conform_one() {
    let family = std::env::var("FAMILY").expect("FAMILY=NAME");
    let outcome = conformance(&family);
    println!("{family}\n{outcome}");
    assert!(outcome.passed());
}
