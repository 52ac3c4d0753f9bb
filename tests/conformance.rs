//! The conformance kit of the core, run against every family in mistral.rs.
use crate::common;

use std::path::PathBuf;

use crate::common::{config, fixture, prompt, runtime, values};
use async_trait::async_trait;
use replay_core::conformance::{self, Maker, Plan, Prefill, Subject};
use replay_core::{Error, Result};
use replay_mistralrs::{Directive, Mode, Prompt, Sampling, Session};

/// Prompts of equal length and grid, so that they share a batch.
const TEXTS: [&str; 2] = ["What is in the picture?", "Is it a circle or three"];

struct Engine {
    session: Session,
    prompts: [Prompt; 2],
    layers: usize,
}

#[async_trait(?Send)]
impl Subject for Engine {
    async fn prefill(&mut self, batch: Vec<(usize, Plan)>) -> Result<Vec<Prefill>> {
        let ask = |(index, plan): (usize, Plan)| self.session.ask_planned(self.prompts[index].clone(), plan);
        let answers = match <[_; 2]>::try_from(batch) {
            Ok([first, second]) => {
                // Whether they share a batch is the engine's choice, and mostly they do; concurrency.rs asserts that batches form.
                let busy = Sampling { max_tokens: 60, ..Sampling::default() };
                let off = Directive { mode: Mode::Off, trace: false, ..Directive::default() };
                let text = Prompt { text: "Name three colours.".into(), ..Prompt::default() };
                let both = async {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    tokio::join!(ask(first), ask(second))
                };
                // An idle engine would begin with the first before the second is sent.
                let (_, (first, second)) = tokio::join!(self.session.ask(text, busy, off), both);
                vec![first, second]
            }
            Err(mut alone) => vec![ask(alone.remove(0)).await],
        };
        let mut prefills = Vec::new();
        for answer in answers {
            let (answer, observed) = answer.map_err(Error::engine)?;
            let first = answer.first_token.ok_or_else(|| Error::engine("no logits"))?;
            prefills.push(Prefill { log_probs: values(&first), observed });
        }
        Ok(prefills)
    }

    fn decoder_layers(&self) -> usize {
        self.layers
    }
}

struct Pairs {
    folder: PathBuf,
    family: &'static str,
}

#[async_trait(?Send)]
impl Maker for Pairs {
    async fn make(&mut self, twins: bool) -> Result<Box<dyn Subject>> {
        let rlvr = self.folder.join("rlvr");
        let base = if twins { rlvr.clone() } else { self.folder.join("base") };
        let config_json = common::json(&rlvr.join("config.json"));
        let layers = config_json.get("text_config").unwrap_or(&config_json)["num_hidden_layers"].as_u64();
        let layers = layers.ok_or_else(|| Error::engine("no num_hidden_layers"))? as usize;
        let replay = format!("strategy = \"substitute\"\nlayers = {layers}\n[replay.rank]\nfraction_of_max = 1.0");
        let session = Session::open(&config(&base, &rlvr, &replay)).await.map_err(Error::engine)?;
        let prompts = [prompt(self.family, &["image.png"], TEXTS[0]), prompt(self.family, &["image.png"], TEXTS[1])];
        Ok(Box::new(Engine { session, prompts, layers }))
    }
}

fn conforms(family: &'static str) {
    let mut maker = Pairs { folder: fixture(family).join("pair"), family };
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
