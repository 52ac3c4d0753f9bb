//! Against Hugging Face transformers, for the families that no fixture is made of: `tests/oracle/reference.py` has computed entropies of
//! the same tiny models from the same tokens and pixels.
use std::path::Path;

use replay_core::Trace;
use replay_core::session::{Directive, Picture, Prompt, Sampling, Session as _};
use replay_mistralrs::families::Family;

use super::matrix::picture;
use super::spec::{Spec, folder, open_spec};
use crate::common::{distance, pixels, runtime, tensors, values};

/// Sizes of pictures in whole tiles, which are not resized. Of Idefics 2 several, of which some are padded.
const PICTURES: [(&str, &[(u32, u32)]); 9] = [
    ("llava", &[(56, 56)]),
    ("llava_next", &[(56, 28)]),
    ("idefics2", &[(112, 84), (84, 112)]),
    ("mistral3", &[(56, 84), (112, 56)]),
    ("llama4", &[(112, 56), (56, 56)]),
    ("mllama", &[(56, 28)]),
    ("gemma3", &[(56, 56)]),
    ("qwen3_vl_moe", &[(64, 96), (96, 64)]),
    ("qwen3_5", &[(64, 96), (96, 64)]),
];
const RESIDUALS: usize = 4;

/// Makes the pair in this folder and asks about the pictures.
fn traced(name: &str, pictures: Vec<Picture>, folder: &Path) -> Trace {
    let family = Family::of(&Spec::read(name).config).expect("a family with a profile");
    let positions = if family.has_visual_rows { "visual" } else { "all" };
    let replay = format!(
        "strategy = \"substitute\"\nlayers = {}\npositions = \"{positions}\"\nrank.quantile = 0.5",
        RESIDUALS - 1
    );
    let prompt = Prompt { images: pictures, text: "What does it show?".into(), ..Prompt::default() };
    let sampling = Sampling { max_tokens: Some(1), ..Sampling::default() };
    runtime().block_on(async {
        let session = open_spec(name, folder, &replay).await;
        let directive = Directive { trace: true, ..Directive::default() };
        session.answer(prompt, sampling, directive).await.expect("an answer").trace.expect("a trace")
    })
}

fn pictures(sizes: &[(u32, u32)]) -> Vec<Picture> {
    sizes.iter().map(|&(width, height)| picture(width, height)).collect()
}

#[test]
fn entropies_are_those_of_transformers() {
    for (name, sizes) in PICTURES {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let trace = traced(name, pictures(sizes), scratch.path());
        let reference = tensors(&folder().join("reference").join(name).with_extension("safetensors"));
        assert_eq!(values(trace.get("token_ids").expect("traced")), values(&reference["token_ids"]), "{name}");
        let mut worst = 0f32;
        for index in 0..RESIDUALS {
            let own = trace.get(&format!("entropy.base.{index}")).expect("traced");
            let off = distance(&values(own), &values(&reference["entropy"].get(index).expect("a residual")));
            assert!(off < 1e-4, "{name}, residual {index}: {off:e} nats");
            worst = worst.max(off);
        }
        println!("{name}: entropies within {worst:.1e} nats of those of transformers");
    }
}

#[test]
#[ignore = "makes what tests/oracle/reference.py reads, in the folder that REFERENCE_MODELS names"]
fn write_reference_models() {
    let target = std::env::var("REFERENCE_MODELS").expect("a folder's name");
    for (name, sizes) in PICTURES {
        let folder = Path::new(&target).join(name);
        let trace = traced(name, pictures(sizes), &folder);
        trace.write(&folder.join("trace.safetensors")).expect("a writable folder");
        for (index, picture) in pictures(sizes).iter().enumerate() {
            pixels(picture).save(folder.join(format!("image-{index}.png"))).expect("a writable folder");
        }
    }
}
