//! What is equal in both models is held once, whoever loads the RLVR model, and changes no bit of either.
use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use replay_core::config::Config;
use replay_core::registry;
use replay_core::session::{Directive, Mode, Sampling, Session as _};
use replay_mistralrs::MistralrsSession;

use crate::common::{config, copied, prompt, runtime, tensors, toml, values};

const FAMILY: &str = "qwen2_5_vl_wide";
const REPLAY: &str = "strategy = \"substitute\"\nlayers = 2\ncache.max_bytes = 0\n[replay.rank]\nquantile = 0.5";
const FILE: &str = "model.safetensors";

/// Gives the RLVR model the base's embedding and vision tower, and the base's final norm but for one bit.
fn thaw(base: &Path, rlvr: &Path) -> [HashMap<String, Tensor>; 2] {
    let (base, mut changed) = (tensors(&base.join(FILE)), tensors(&rlvr.join(FILE)));
    let (embedding, norm) = ("model.embed_tokens.weight", "model.norm.weight");
    let frozen = base.iter().filter(|(name, _)| name.as_str() == embedding || name.starts_with("visual."));
    changed.extend(frozen.map(|(name, tensor)| (name.clone(), tensor.clone())));
    let mut numbers = values(&base[norm]);
    let last = numbers.last_mut().expect("a number");
    *last = f32::from_bits(last.to_bits() ^ 1);
    changed.insert(norm.into(), Tensor::from_vec(numbers, base[norm].shape(), &Device::Cpu).expect("a norm"));
    candle_core::safetensors::save(&changed, rlvr.join(FILE)).expect("a writable copy");
    [base, changed]
}

/// Bytes of the tensors that are equal in both, and of all, in a base of so many layers.
fn expected([base, rlvr]: &[HashMap<String, Tensor>; 2], layers: usize) -> (usize, usize) {
    let is_loaded = |name: &str| {
        let layer = name.strip_prefix("model.layers.").and_then(|rest| rest.split('.').next()?.parse().ok());
        layer.is_none_or(|layer: usize| layer < layers)
    };
    let bits = |tensor: &Tensor| values(tensor).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let loaded = || base.iter().filter(|(name, _)| is_loaded(name));
    let bytes = |tensor: &Tensor| tensor.elem_count() * 4;
    let equal = loaded().filter(|(name, tensor)| bits(tensor) == bits(&rlvr[*name]));
    (equal.map(|(_, tensor)| bytes(tensor)).sum(), loaded().map(|(_, tensor)| bytes(tensor)).sum())
}

async fn off(session: &MistralrsSession) -> Vec<f32> {
    let ask = session.answer(
        prompt(FAMILY, &["image.png"], "What is it?"),
        Sampling { max_tokens: Some(8), ..Sampling::default() },
        Directive { mode: Mode::Off, ..Directive::default() },
    );
    ask.await.expect("an answer").log_probs()
}

#[test]
fn equal_tensors_are_held_once_and_change_no_bit() {
    let (_folder, base, rlvr) = copied(FAMILY);
    let both = thaw(&base, &rlvr);
    runtime().block_on(async {
        let session = MistralrsSession::open(&config(&base, &rlvr, REPLAY)).await.expect("a session");
        let replay = session.replay().expect("replay is on");
        let (shared, all) = expected(&both, 2);
        let embedding = both[0]["model.embed_tokens.weight"].elem_count() * 4;
        assert!(shared > embedding && shared < all, "the embedding and the vision tower, and not the norm");
        assert_eq!(replay.shared_bytes(), (shared, all));
        // Alone, the RLVR model has nobody to share with.
        let alone = MistralrsSession::open(&config(&base, &rlvr, &format!("enabled = false\n{REPLAY}")))
            .await
            .expect("a session");
        assert_eq!(off(&session).await, off(&alone).await);
    });
}

#[test]
fn a_quantised_pair_shares_its_embeddings() {
    let (_folder, base, rlvr) = copied(FAMILY);
    let both = thaw(&base, &rlvr);
    runtime().block_on(async {
        let text = toml(&base, &rlvr, REPLAY).replace("[replay]\n", "isq = \"q8_0\"\n[replay]\n");
        let session =
            MistralrsSession::open(&Config::from_str(&text, "test.toml").expect("valid")).await.expect("a session");
        let embedding = both[0]["model.embed_tokens.weight"].elem_count() * 4;
        assert_eq!(session.replay().expect("replay is on").shared_bytes().0, embedding);
    });
}

#[test]
fn a_model_that_the_engine_loads_by_itself_shares_too() {
    let (folder, base, rlvr) = copied(FAMILY);
    let both = thaw(&base, &rlvr);
    let models = format!(
        "command = \"serve\"\n[[models]]\nkind = \"multimodal\"\nmodel_id = {:?}\ndtype = \"f32\"\ndevice = {{ cpu = true }}\n",
        rlvr.display().to_string()
    );
    let ours = toml(&base, &rlvr, REPLAY).replace("adapter = \"mistralrs\"\n", "");
    let path = folder.path().join("engine.toml");
    std::fs::write(&path, models + &ours).expect("a writable folder");
    runtime().block_on(async {
        let adapter = registry::adapter("mistralrs").expect("linked");
        let hosted = adapter.host_file().expect("the engine has a file").open(&path).await.expect("models");
        let notes: Vec<_> = hosted.models.iter().flat_map(|(_, session)| session.facts().notes).collect();
        let weights: Vec<_> = notes.iter().filter(|note| note.about == "base weights").collect();
        let (shared, all) = expected(&both, 2);
        let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        let text = format!("{:.1} MiB, of which {:.1} MiB", mib(all), mib(shared));
        assert!(weights.len() == 1 && weights[0].text.starts_with(&text), "{weights:?}: {text}");
        replay_mistralrs::uninstall();
    });
}
