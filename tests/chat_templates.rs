//! A template that loses the question, as published ones of LLaVA do in this engine, is found by `replay check`; another can be named.
use std::path::Path;
use std::process::Command;

use crate::common::change;
use crate::families::Spec;

/// Goes through a message's content as a list; the engine gives LLaVA's templates a string.
const OF_PARTS: &str = "{% for m in messages %}{% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}{% endif %}{% endfor %}\
                        {% if m['content'] is string %}<image>{% endif %}{% endfor %}";

fn check(folder: &Path, key: &str) -> (Option<i32>, String) {
    let file = folder.join("replay.toml");
    let text = format!(
        "adapter = \"mistralrs\"\n[pair]\nrlvr = \"rlvr\"\nbase = \"base\"\n[mistralrs]\ndevice = \"cpu\"\n{key}\n\
         [replay]\nstrategy = \"substitute\"\nlayers = 2\nrank.top = 2\n"
    );
    std::fs::write(&file, text).expect("a writable folder");
    let run =
        Command::new(env!("CARGO_BIN_EXE_replay")).arg("check").arg("--config").arg(&file).output().expect("runs");
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

#[test]
fn one_that_loses_the_question_is_found_and_another_can_be_named() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (_, rlvr) = Spec::read("llava").write_pair(folder.path());
    let own = rlvr.join("tokenizer_config.json");
    let whole = crate::common::json(&own)["chat_template"].as_str().expect("a template").to_string();
    std::fs::write(folder.path().join("whole.jinja"), whole).expect("a writable folder");
    assert_eq!(check(folder.path(), "").0, Some(0));

    change(&own, |config| config["chat_template"] = OF_PARTS.into());
    let (code, message) = check(folder.path(), "");
    assert!(code == Some(4) && message.contains("leaves out what is said beside an image"), "{code:?} {message}");
    assert_eq!(check(folder.path(), "chat_template = \"whole.jinja\"").0, Some(0));

    let (code, message) = check(folder.path(), "chat_template = \"missing.jinja\"");
    assert!(code == Some(4) && message.contains("missing.jinja"), "{code:?} {message}");
    let (code, message) = check(folder.path(), "chat_template = \"template.json\"");
    assert!(code == Some(2) && message.contains("ends in .jinja"), "{code:?} {message}");
}
