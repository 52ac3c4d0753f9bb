//! Entropies against a direct computation from the checkpoint's own norm and head, in f64; and a base cut to the layers it needs against
//! a whole one.
use std::collections::HashMap;
use std::path::Path;

use candle_core::{D, DType, Tensor};
use replay_core::session::{Directive, Mode, Prompt, Sampling, Session as _};
use replay_core::{Role, Trace};
use replay_mistralrs::MistralrsSession;
use replay_mistralrs::families::Family;

use super::matrix::picture;
use super::spec::{Spec, names};
use crate::common::{config, distance, runtime, tensors, values};

async fn trace(base: &Path, rlvr: &Path, layers: usize, positions: &str) -> Trace {
    let replay = format!("strategy = \"substitute\"\nlayers = {layers}\npositions = \"{positions}\"\nrank.top = 1");
    let session = MistralrsSession::open(&config(base, rlvr, &replay)).await.expect("a session");
    let prompt = Prompt { images: vec![picture(60, 50)], text: "What is it?".into(), ..Prompt::default() };
    let directive = Directive { mode: Mode::Off, trace: true, ..Directive::default() };
    let sampling = Sampling { max_tokens: Some(1), ..Sampling::default() };
    session.answer(prompt, sampling, directive).await.expect("an answer").trace.expect("a trace")
}

/// `[rows]`, in nats.
fn direct(spec: &Spec, weights: &HashMap<String, Tensor>, residual: &Tensor) -> candle_core::Result<Vec<f32>> {
    let text = spec.config.get("text_config").unwrap_or(&spec.config);
    let outside = |name: &&String| {
        !spec.encoder.iter().any(|prefix| name.starts_with(prefix.as_str())) && !name.contains("layers.")
    };
    let named = |end: &str| weights.keys().filter(outside).find(|name| name.ends_with(end)).map(|name| &weights[name]);
    let f64 = |tensor: &Tensor| tensor.to_dtype(DType::F64);
    let norm = f64(named(".norm.weight").expect("a norm"))?;
    let norm = if spec.one_plus { (norm + 1.0)? } else { norm };
    let head = f64(named("lm_head.weight").or_else(|| named("embed_tokens.weight")).expect("a head"))?;
    let epsilon = text["rms_norm_eps"].as_f64().unwrap_or(1e-6);
    let x = unembedded(weights, &f64(residual)?)?;
    let x = x.broadcast_div(&(x.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?)?.broadcast_mul(&norm)?;
    let mut logits = x.matmul(&head.t()?)?;
    if let Some(cap) = text["final_logit_softcapping"].as_f64() {
        logits = ((logits / cap)?.tanh()? * cap)?;
    }
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    let log_p = shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
    (log_p.exp()? * log_p)?.sum(D::Minus1)?.neg()?.to_dtype(DType::F32)?.to_vec1()
}

/// `[rows, streams * hidden]` to `[rows, hidden]`, where residuals have several streams.
fn unembedded(weights: &HashMap<String, Tensor>, residual: &Tensor) -> candle_core::Result<Tensor> {
    let named = |k: usize| {
        let end = format!("altup_unembed_projections.{k}.weight");
        weights.iter().find(|(name, _)| name.ends_with(&end)).map(|(_, weight)| weight.to_dtype(DType::F64))
    };
    let projections = (0..).map_while(named).collect::<candle_core::Result<Vec<_>>>()?;
    let streams = residual.chunk(projections.len() + 1, 1)?;
    let rms = |x: &Tensor| x.sqr()?.mean_keepdim(D::Minus1)?.sqrt();
    let mut sum = streams[0].clone();
    for (stream, projection) in streams[1..].iter().zip(&projections) {
        let projected = stream.contiguous()?.matmul(&projection.t()?)?;
        sum = (sum + projected.broadcast_mul(&rms(&streams[0])?.broadcast_div(&rms(&projected)?)?)?)?;
    }
    sum / streams.len() as f64
}

#[test]
fn entropies_equal_a_direct_computation_from_the_checkpoint() {
    runtime().block_on(async {
        for name in names() {
            let spec = Spec::read(&name);
            let folder = tempfile::tempdir().expect("a scratch folder");
            let (base, rlvr) = spec.write_pair(folder.path());
            let family = Family::of(&spec.config).expect("a family with a profile");
            let layers = family.size(&spec.config, "num_hidden_layers").expect("layers");
            let positions = if family.has_visual_rows { "visual" } else { "all" };
            // A few rows: the head of some families is large.
            let some = |tensor: &Tensor| {
                let rows = tensor.dim(0).expect("rows");
                let every: Vec<u32> = (0..rows as u32).step_by(rows.div_ceil(12)).collect();
                tensor.index_select(&Tensor::new(every, tensor.device()).expect("indices"), 0).expect("rows")
            };
            let whole = trace(&base, &rlvr, layers, positions).await;
            for (role, path) in [(Role::Base, &base), (Role::Rlvr, &rlvr)] {
                let weights = tensors(&path.join("model.safetensors"));
                for layer in 0..=layers {
                    let tensor =
                        |kind: &str| some(whole.get(&format!("{kind}.{role}.{layer}").to_lowercase()).expect("traced"));
                    let expected = direct(&spec, &weights, &tensor("residual")).unwrap();
                    let off = distance(&values(&tensor("entropy")), &expected);
                    assert!(off < 1e-4, "{name}, {role}, residual[{layer}]: entropies differ by {off:e}");
                }
            }
            let cut = trace(&base, &rlvr, 1, positions).await;
            for layer in 0..=1 {
                let of = |trace: &Trace| values(trace.get(&format!("residual.base.{layer}")).expect("traced"));
                assert_eq!(of(&cut), of(&whole), "{name}: residual[{layer}] of a base that is cut");
            }
        }
    });
}
