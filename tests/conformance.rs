//! The conformance kit of the core, run against every family in mistral.rs.
use crate::common;

use std::path::PathBuf;

use crate::common::{config, fixture, prompt, runtime};
use async_trait::async_trait;
use replay_core::conformance::{self, Maker, Plan, Prefill, Subject};
use replay_core::session::{Directive, Mode, Prompt, Sampling, Session as _};
use replay_core::{Error, Result};
use replay_mistralrs::MistralrsSession;
use replay_mistralrs::families::Family;

/// Prompts of equal length and grid, so that they share a batch.
pub(crate) const TEXTS: [&str; 2] = ["What is in the picture?", "Is it a circle or three"];

struct Engine {
    session: MistralrsSession,
    prompts: [Prompt; 2],
    layers: usize,
    has_visual_rows: bool,
    reading_layers: usize,
    batch_tolerance: f32,
}

#[async_trait(?Send)]
impl Subject for Engine {
    async fn prefill(&mut self, batch: Vec<(usize, Plan)>) -> Result<Vec<Prefill>> {
        let ask = |(index, plan): (usize, Plan)| self.session.ask_with_plan(self.prompts[index].clone(), plan);
        let answers = match <[_; 2]>::try_from(batch) {
            Ok([first, second]) => {
                // Whether they share a batch is the engine's choice, and mostly they do; concurrency.rs asserts that batches form.
                let busy = Sampling { max_tokens: Some(60), ..Sampling::default() };
                let off = Directive { mode: Mode::Off, trace: false, ..Directive::default() };
                let text = Prompt { text: "Name three colours.".into(), ..Prompt::default() };
                let both = async {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    tokio::join!(ask(first), ask(second))
                };
                // An idle engine would begin with the first before the second is sent.
                let (_, (first, second)) = tokio::join!(self.session.answer(text, busy, off), both);
                vec![first, second]
            }
            Err(mut alone) => vec![ask(alone.remove(0)).await],
        };
        let mut prefills = Vec::new();
        for answer in answers {
            let (answer, observed) = answer.map_err(Error::engine)?;
            prefills.push(Prefill { log_probs: answer.first_token, observed });
        }
        Ok(prefills)
    }

    fn decoder_layers(&self) -> usize {
        self.layers
    }

    fn has_visual_rows(&self) -> bool {
        self.has_visual_rows
    }

    fn reading_layers(&self) -> usize {
        self.reading_layers
    }

    fn batch_tolerance(&self) -> f32 {
        self.batch_tolerance
    }
}

/// A pair of the kit's, and the prompts it is asked.
pub(crate) struct Pair {
    pub base: PathBuf,
    pub rlvr: PathBuf,
    pub prompts: [Prompt; 2],
    pub batch_tolerance: f32,
}

#[async_trait(?Send)]
impl Maker for Pair {
    async fn make(&mut self, twins: bool) -> Result<Box<dyn Subject>> {
        let base = if twins { &self.rlvr } else { &self.base };
        let config_json = common::json(&self.rlvr.join("config.json"));
        let family = Family::of(&config_json).map_err(Error::engine)?;
        let layers = family.size(&config_json, "num_hidden_layers").map_err(Error::engine)?;
        let positions = if family.has_visual_rows { "visual" } else { "all" };
        // Where a family can learn, its gradients are looked at too.
        let strategy = if family.decoder.is_some() { "learned" } else { "substitute" };
        let replay = format!(
            "strategy = \"{strategy}\"\nlayers = {layers}\npositions = \"{positions}\"\n[replay.rank]\nfraction_of_max = 1.0"
        );
        let session = MistralrsSession::open(&config(base, &self.rlvr, &replay)).await.map_err(Error::engine)?;
        let reading_layers = (family.reading_layers)(&config_json, layers);
        let (prompts, has_visual_rows) = (self.prompts.clone(), family.has_visual_rows);
        Ok(Box::new(Engine {
            session,
            prompts,
            layers,
            has_visual_rows,
            reading_layers,
            batch_tolerance: self.batch_tolerance,
        }))
    }
}

fn conforms(family: &'static str) {
    let pair = fixture(family).join("pair");
    let prompts = TEXTS.map(|text| prompt(family, &["image.png"], text));
    let mut maker = Pair { base: pair.join("base"), rlvr: pair.join("rlvr"), prompts, batch_tolerance: 1e-4 };
    let outcome = runtime().block_on(conformance::run(&mut maker)).unwrap();
    assert!(outcome.passed(), "{family}\n{outcome}");
}

#[test]
fn qwen2_vl_conforms() {
    conforms("qwen2_vl");
}

#[test]
fn qwen2_5_vl_conforms() {
    conforms("qwen2_5_vl");
}

#[test]
fn qwen3_vl_conforms() {
    conforms("qwen3_vl");
}
