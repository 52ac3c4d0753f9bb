//! The description of a tiny checkpoint, and the folder that the engine loads.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use replay_mistralrs::MistralrsSession;
use serde::Deserialize;
use serde_json::{Value, json};

use super::weights;
use crate::common::{config, fixture, json as read_json, repository};

/// A tiny checkpoint of one family.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    /// `config.json`.
    pub config: Value,
    /// `preprocessor_config.json`.
    pub preprocessor: Value,
    /// `processor_config.json`, for the families that read one.
    #[serde(default)]
    pub processor: Option<Value>,
    /// Special tokens and their ids; the printable ASCII characters are 0 to 95.
    pub special: BTreeMap<String, u32>,
    /// An image in the chat template.
    pub image_tag: String,
    /// A video in the chat template, for the families that see them.
    #[serde(default)]
    pub video_tag: Option<String>,
    /// How the names of the encoder's tensors begin: these are the same in base and RLVR model.
    pub encoder: Vec<String>,
    /// Whether a visual token has a place in the image; a resampler's has none.
    #[serde(default = "yes")]
    pub places: bool,
    /// Of several pieces the whole image is the first, not the last.
    #[serde(default)]
    pub whole_first: bool,
    /// An image that is no square is padded to one.
    #[serde(default)]
    pub padded: bool,
    /// The final norm adds one to its weight.
    #[serde(default)]
    pub one_plus: bool,
    /// How far the log-probabilities of a batch may be from those of a solo run; mixtures of experts and recurrent layers make rounding
    /// larger.
    #[serde(default = "batch_tolerance")]
    pub(crate) batch_tolerance: f32,
    /// Shapes of all tensors, as `discover` found them; `{a..b}` in a name stands for the numbers from a to b - 1.
    #[serde(default)]
    pub tensors: BTreeMap<String, Vec<usize>>,
}

fn batch_tolerance() -> f32 {
    1e-4
}

fn yes() -> bool {
    true
}

/// A session on a pair made in this folder; `replay` are the lines of `[replay]` and the tables after it.
pub(crate) async fn open_spec(name: &str, folder: &Path, replay: &str) -> MistralrsSession {
    let (base, rlvr) = Spec::read(name).write_pair(folder);
    MistralrsSession::open(&config(&base, &rlvr, replay)).await.unwrap_or_else(|e| panic!("{name}: {e:#}"))
}

/// All descriptions.
pub(crate) fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("the descriptions").flatten();
    let name = |file: std::fs::DirEntry| Some(file.file_name().to_str()?.strip_suffix(".json")?.to_string());
    let mut names: Vec<String> = files.filter_map(name).collect();
    names.sort();
    names
}

pub(super) fn folder() -> PathBuf {
    repository().join("tests/families")
}

impl Spec {
    pub(crate) fn read(family: &str) -> Self {
        let path = folder().join(family).with_extension("json");
        serde_json::from_value(read_json(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The shapes, with every number written out.
    pub(super) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = BTreeMap::new();
        for (name, shape) in &self.tensors {
            expand(name, shape, &mut shapes);
        }
        shapes
    }

    /// The same with sliding windows that the tests' prompts do not leave.
    pub(crate) fn with_wide_windows(mut self) -> Self {
        for table in ["", "/text_config"] {
            let window = self.config.pointer_mut(table).and_then(|table| table.get_mut("sliding_window"));
            if let Some(window) = window.filter(|window| window.is_number()) {
                *window = json!(2040);
            }
        }
        self
    }

    /// Writes base and RLVR model, which differ outside the encoder.
    pub(crate) fn write_pair(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (base, rlvr) = (folder.join("base"), folder.join("rlvr"));
        for (path, moved) in [(&base, false), (&rlvr, true)] {
            self.write_files(path);
            weights::write(&path.join("model.safetensors"), &self.shapes(), &self.encoder, moved);
        }
        (base, rlvr)
    }

    /// All files but the weights.
    pub(super) fn write_files(&self, folder: &Path) {
        std::fs::create_dir_all(folder).expect("a folder");
        let write = |name: &str, value: &Value| {
            std::fs::write(folder.join(name), value.to_string()).expect("a writable folder");
        };
        write("config.json", &self.config);
        write("preprocessor_config.json", &self.preprocessor);
        if let Some(processor) = &self.processor {
            write("processor_config.json", processor);
        }
        write("tokenizer.json", &self.tokenizer());
        let template = format!(
            "{{% for m in messages %}}{{% if m['content'] is string %}}{{{{ m['content'] }}}}{{% else %}}{{% for p in m['content'] %}}\
             {{% if p['type'] == 'image' %}}{}{{% elif p['type'] == 'video' %}}{}{{% else %}}{{{{ p['text'] }}}}{{% endif %}}\
             {{% endfor %}}{{% endif %}}{{% endfor %}}",
            self.image_tag,
            self.video_tag.as_deref().unwrap_or_default()
        );
        write("tokenizer_config.json", &json!({"chat_template": template, "eos_token": "~", "bos_token": null}));
        write("generation_config.json", &json!({}));
    }

    /// The characters of the fixtures' tokenizer and this family's special tokens.
    fn tokenizer(&self) -> Value {
        let mut tokenizer = read_json(&fixture("qwen2_vl").join("pair/base/tokenizer.json"));
        let flags = |(content, id): (&String, &u32)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true})
        };
        tokenizer["added_tokens"] = self.special.iter().map(flags).collect();
        let vocabulary = tokenizer["model"]["vocab"].as_object_mut().expect("a vocabulary");
        vocabulary.extend(self.special.iter().map(|(token, id)| (token.clone(), json!(id))));
        tokenizer
    }
}

fn expand(name: &str, shape: &[usize], shapes: &mut BTreeMap<String, Vec<usize>>) {
    let range = name.find('{').zip(name.find('}'));
    let Some((open, close)) = range else {
        shapes.insert(name.into(), shape.to_vec());
        return;
    };
    let (from, to) = name[open + 1..close].split_once("..").expect("a range");
    for number in from.parse::<usize>().expect("a number")..to.parse().expect("a number") {
        expand(&format!("{}{number}{}", &name[..open], &name[close + 1..]), shape, shapes);
    }
}
