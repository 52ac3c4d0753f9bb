//! The files of a checkpoint as the engine is given them. What a trainer left out is taken from the other model of the pair, and files that a
//! newer library wrote are edited.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mistralrs_core::forward_hook::Checkpoint;
use serde_json::Value;
use tempfile::TempDir;

use crate::models::config_layout::translate_config_text;
use crate::models::preprocessor::{image_settings, without_image_settings};
use crate::models::source::ModelSource;
use crate::models::tokens;

const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";
const PROCESSOR: &str = "processor_config.json";
const GENERATION: &str = "generation_config.json";
/// A chat template in a file of its own; the engine takes the first that it finds.
const TEMPLATES: [&str; 2] = ["chat_template.jinja", "chat_template.json"];

/// The small files of one model, own or the other model's, in the spelling that the engine reads.
#[derive(Debug)]
pub(crate) struct SmallFiles {
    pub(crate) tokenizer: Value,
    /// Settings of the image processor; null if there are none.
    pub(crate) preprocessor: Value,
    /// The rest of `processor_config.json`; null if there is none.
    pub(crate) processor: Value,
    tokenizer_config: Value,
    generation: Value,
    /// Where `tokenizer.json` is, if the other model's is taken.
    spare_tokenizer: Option<PathBuf>,
    /// What was taken from the other model or left out, for users.
    pub(crate) remarks: Vec<String>,
}

impl SmallFiles {
    /// Reads the files of a model whose folder is known.
    ///
    /// # Errors
    /// If a file is not JSON, or `tokenizer.json` is in neither folder.
    pub(crate) fn read(source: &ModelSource) -> Result<Self, String> {
        let own = source.folder().ok_or("its files are not in the hub's cache")?;
        let spare = source.spare().filter(|spare| spare.is_dir());
        let mut taken = Vec::new();
        let mut find = |name: &'static str| -> Result<Option<(Value, bool)>, String> {
            if let Some(value) = read_json(&own.join(name))? {
                return Ok(Some((value, true)));
            }
            let Some(value) = spare.as_ref().map(|spare| read_json(&spare.join(name))).transpose()?.flatten() else {
                return Ok(None);
            };
            taken.push(name);
            Ok(Some((value, false)))
        };
        let tokenizer = find(TOKENIZER)?;
        let tokenizer_config = find(TOKENIZER_CONFIG)?;
        let generation = find(GENERATION)?.map_or(Value::Null, |(value, _)| value);
        // Each model's two files about images belong together.
        let own_files = (read_json(&own.join(PREPROCESSOR))?, read_json(&own.join(PROCESSOR))?);
        let own_settings = image_settings(own_files.0.as_ref(), own_files.1.as_ref());
        let (settings, processor) = match (own_settings, &spare) {
            (None, Some(spare)) => {
                let other = (read_json(&spare.join(PREPROCESSOR))?, read_json(&spare.join(PROCESSOR))?);
                let settings = image_settings(other.0.as_ref(), other.1.as_ref());
                if settings.is_some() {
                    taken.push(if other.0.is_some() { PREPROCESSOR } else { PROCESSOR });
                }
                (settings, own_files.1.or(other.1))
            }
            (settings, Some(spare)) if own_files.1.is_none() => (settings, read_json(&spare.join(PROCESSOR))?),
            (settings, _) => (settings, own_files.1),
        };
        let template = template(&own, tokenizer_config.as_ref(), processor.as_ref(), spare.as_deref(), &mut taken)?;
        let tokenizer_config = tokenizer_config.map_or(Value::Null, |(value, _)| value);
        let tokenizer_config = match (&tokenizer_config, &template) {
            (Value::Null, None) => Value::Null,
            (config, template) => tokens::tokenizer_config(config, template.as_ref()),
        };
        let (spare_tokenizer, tokenizer) = match tokenizer {
            Some((tokenizer, is_own)) => {
                ((!is_own).then(|| spare.clone().unwrap_or_default().join(TOKENIZER)), tokenizer)
            }
            None => {
                return Err(format!("{TOKENIZER} is in neither model's folder; copy it from where the base came from"));
            }
        };
        let mut remarks = Vec::new();
        if !taken.is_empty() {
            let lacks = if taken.len() == 1 { "it" } else { "them" };
            remarks
                .push(format!("{} taken from the other model of the pair: the folder lacks {lacks}", taken.join(", ")));
        }
        let (generation, unknown) = tokens::generation_config(&generation, &tokenizer);
        if !unknown.is_empty() {
            remarks.push(format!("{GENERATION} names ids that {TOKENIZER} lacks, which are left out: {unknown:?}"));
        }
        tokens::check_end(&generation, &tokenizer_config, &tokenizer)?;
        let processor = processor.as_ref().map_or(Value::Null, without_image_settings);
        let preprocessor = settings.unwrap_or(Value::Null);
        Ok(Self { tokenizer, preprocessor, processor, tokenizer_config, generation, spare_tokenizer, remarks })
    }
}

/// A chat template in another place than `tokenizer_config.json`, which does not have one.
fn template(
    own: &Path,
    tokenizer_config: Option<&(Value, bool)>,
    processor: Option<&Value>,
    spare: Option<&Path>,
    taken: &mut Vec<&'static str>,
) -> Result<Option<Value>, String> {
    let in_folder = |folder: &Path| -> Result<Option<(Value, &'static str)>, String> {
        if let Ok(text) = std::fs::read_to_string(folder.join(TEMPLATES[0])) {
            return Ok(Some((text.into(), TEMPLATES[0])));
        }
        let config = read_json(&folder.join(TOKENIZER_CONFIG))?;
        if let Some(template) = config.and_then(|config| config.get("chat_template").cloned()).filter(|t| !t.is_null())
        {
            return Ok(Some((template, TOKENIZER_CONFIG)));
        }
        let json = read_json(&folder.join(TEMPLATES[1]))?;
        Ok(json.and_then(|json| Some((json.get("chat_template")?.clone(), TEMPLATES[1]))))
    };
    if let Some((template, _)) = in_folder(own)? {
        return Ok(Some(template));
    }
    let in_others = |value: Option<&Value>| value.is_some_and(|value| !value["chat_template"].is_null());
    if in_others(processor) || in_others(tokenizer_config.map(|(value, _)| value)) {
        return Ok(None);
    }
    let Some((template, name)) = spare.map(in_folder).transpose()?.flatten() else { return Ok(None) };
    taken.push(if name == TOKENIZER_CONFIG { "the chat template" } else { name });
    Ok(Some(template))
}

/// The value of a JSON file; `None` if there is no such file.
fn read_json(path: &Path) -> Result<Option<Value>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| format!("{}: {e}", path.display())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{}: {e}", path.display())),
    }
}

/// Edits the engine's view of a checkpoint while it is loaded.
pub(crate) struct EditedCheckpoint {
    source: ModelSource,
    edit_config: Box<dyn FnMut(String) -> Result<String, String>>,
    /// Files that are read instead of those of the folder or the hub.
    provided: BTreeMap<&'static str, PathBuf>,
    written: TempDir,
}

impl EditedCheckpoint {
    /// # Errors
    /// If a file of a local model cannot be read, or no temporary file can be written.
    pub(crate) fn new(
        source: &ModelSource,
        edit_config: impl FnMut(String) -> Result<String, String> + 'static,
    ) -> Result<Self, String> {
        let written = TempDir::new().map_err(|e| format!("no temporary folder can be made: {e}"))?;
        let edit_config = Box::new(edit_config);
        let mut checkpoint = Self { source: source.clone(), edit_config, provided: BTreeMap::new(), written };
        // The files of a model on the hub may not be here yet; they are edited as they come.
        if source.is_local() {
            let files = SmallFiles::read(source)?;
            for remark in &files.remarks {
                tracing::warn!("{}: {remark}", source.id);
            }
            checkpoint.provide_all(&files)?;
        }
        Ok(checkpoint)
    }

    fn provide_all(&mut self, files: &SmallFiles) -> Result<(), String> {
        let small = [
            (TOKENIZER_CONFIG, &files.tokenizer_config),
            (PREPROCESSOR, &files.preprocessor),
            (PROCESSOR, &files.processor),
            (GENERATION, &files.generation),
        ];
        for (name, value) in small {
            if !value.is_null() {
                let path = self.write(name, value)?;
                self.provided.insert(name, path);
            }
        }
        if let Some(path) = &files.spare_tokenizer {
            self.provided.insert(TOKENIZER, path.clone());
        }
        Ok(())
    }

    fn write(&self, name: &str, value: &Value) -> Result<PathBuf, String> {
        let path = self.written.path().join(name);
        std::fs::write(&path, value.to_string()).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path)
    }
}

impl Checkpoint for EditedCheckpoint {
    fn list(&mut self, mut files: Vec<String>) -> Result<Vec<String>, String> {
        if !self.source.is_local() {
            for name in [TOKENIZER, TOKENIZER_CONFIG, PREPROCESSOR, PROCESSOR, GENERATION] {
                let lacks = !files.iter().any(|file| file == name || name == PREPROCESSOR && file == PROCESSOR);
                let spare = self.source.spare().map(|spare| spare.join(name)).filter(|path| path.is_file());
                // An empty listing means that the hub did not answer.
                if let Some(path) = spare.filter(|_| lacks && !files.is_empty()) {
                    tracing::warn!("{}: {name} taken from the other model of the pair", self.source.id);
                    self.provided.insert(name, path);
                }
            }
        } else if self.provided.contains_key(TOKENIZER_CONFIG) {
            // It holds the template of these.
            files.retain(|file| !TEMPLATES.contains(&file.as_str()));
        }
        for name in self.provided.keys() {
            if !files.iter().any(|file| file == name) {
                files.push((*name).into());
            }
        }
        Ok(files)
    }

    fn provide(&mut self, file: &str) -> Result<Option<PathBuf>, String> {
        Ok(self.provided.get(file).cloned())
    }

    fn replace(&mut self, file: &str, found: &Path) -> Result<Option<PathBuf>, String> {
        let edited = match file {
            TOKENIZER_CONFIG => read_json(found)?.map(|config| tokens::tokenizer_config(&config, None)),
            PROCESSOR => read_json(found)?.map(|processor| {
                let mut edited = without_image_settings(&processor);
                if let Some(settings) = image_settings(None, Some(&processor)) {
                    edited["image_processor"] = settings;
                }
                edited
            }),
            _ => None,
        };
        edited.map(|edited| self.write(file, &edited)).transpose()
    }

    fn config(&mut self, text: String) -> Result<String, String> {
        (self.edit_config)(translate_config_text(text)?)
    }

    fn preprocessor(&mut self, text: String, processor: Option<&str>) -> Result<String, String> {
        let read = |name: &str, text: &str| serde_json::from_str::<Value>(text).map_err(|e| format!("{name}: {e}"));
        let own = read(PREPROCESSOR, &text)?;
        let processor = processor.map(|text| read(PROCESSOR, text)).transpose()?;
        Ok(image_settings(Some(&own), processor.as_ref()).map_or(text, |settings| settings.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn folder(files: &[(&str, Value)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in files {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn read(own: &TempDir, spare: &TempDir) -> Result<SmallFiles, String> {
        let find = |folder: &TempDir| ModelSource::find(&folder.path().to_string_lossy(), None).unwrap();
        SmallFiles::read(&find(own).with_spare(&find(spare)))
    }

    #[test]
    fn what_a_folder_lacks_is_taken_from_the_other_model_and_said() {
        let base = folder(&[
            (TOKENIZER, json!({"model": {"vocab": {"a": 0, "<e>": 1}}})),
            (TOKENIZER_CONFIG, json!({"eos_token": "<e>"})),
            (PREPROCESSOR, json!({"patch_size": 14})),
            (GENERATION, json!({"eos_token_id": 1})),
            (TEMPLATES[0], json!("{{ x }}")),
        ]);
        let bare = read(&folder(&[]), &base).unwrap();
        assert_eq!(bare.tokenizer_config, json!({"eos_token": "<e>", "chat_template": "{{ x }}"}));
        assert_eq!((&bare.preprocessor["patch_size"], &bare.generation["eos_token_id"]), (&json!(14), &json!(1)));
        assert!(bare.spare_tokenizer.is_some());
        let said = &bare.remarks[0];
        for name in [TOKENIZER, TOKENIZER_CONFIG, PREPROCESSOR, GENERATION, TEMPLATES[0]] {
            assert!(said.contains(name), "{said}");
        }
        assert!(read(&base, &folder(&[])).unwrap().remarks.is_empty());
        assert!(read(&folder(&[]), &folder(&[])).unwrap_err().contains(TOKENIZER));
    }

    #[test]
    fn a_models_own_files_come_before_those_of_the_other_whatever_their_form() {
        let base = folder(&[
            (TOKENIZER, json!({"model": {"vocab": {"a": 0}}})),
            (PREPROCESSOR, json!({"patch_size": 14})),
            (PROCESSOR, json!({"image_processor": {"patch_size": 12}, "image_seq_length": 7})),
            (TEMPLATES[1], json!({"chat_template": "base's"})),
        ]);
        let own =
            folder(&[(PREPROCESSOR, json!({"patch_size": 16})), (TOKENIZER_CONFIG, json!({"chat_template": "own"}))]);
        let files = read(&own, &base).unwrap();
        assert_eq!(
            (&files.preprocessor["patch_size"], &files.processor),
            (&json!(16), &json!({"image_seq_length": 7}))
        );
        assert_eq!(files.tokenizer_config["chat_template"], "own");
        assert_eq!(files.remarks.len(), 1, "{:?}", files.remarks);
    }
}
