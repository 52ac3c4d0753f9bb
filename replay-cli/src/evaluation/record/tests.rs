use std::path::Path;

use serde_json::json;

use super::super::Item;
use super::super::folder::Folder;
use replay_core::Status;

use super::*;

fn record(arm: &str, item: usize, sample: Option<u32>) -> Record {
    Record {
        arm: arm.into(),
        item,
        fingerprint: format!("of {item}"),
        sample,
        seed: u64::MAX,
        text: "two\nlines \u{2028} \"é\" \u{0}".into(),
        tokens: 7,
        finish_reason: "stop".into(),
        answer: Some("8".into()),
        correct: true,
        time_to_first_token_ms: Some(12.5),
        replay_status: Some(Status::NothingSelected),
    }
}

fn item(line: usize) -> Item {
    let (prompt, answer) = ("x".into(), Some("8".to_owned()));
    let fingerprint = format!("of {line}");
    Item {
        line,
        images: Vec::new(),
        places: Vec::new(),
        prompt,
        answer,
        system: None,
        verifier: None,
        extra: serde_json::Map::new(),
        fingerprint,
    }
}

fn settings() -> serde_json::Value {
    json!({ "samples": 4, "temperature": 0.1 + 0.2, "arms": { "on": { "layers": 7 } } })
}

fn open(path: &Path) -> Journal {
    Journal::open(path, &settings()).unwrap_or_else(|error| panic!("{error}"))
}

/// A journal with two records.
fn two(folder: &Folder) -> std::path::PathBuf {
    let path = folder.path("run.jsonl");
    let mut journal = open(&path);
    journal.append(record("on", 1, None)).unwrap();
    journal
        .append(Record { answer: None, time_to_first_token_ms: None, replay_status: None, ..record("off", 1, Some(0)) })
        .unwrap();
    path
}

#[test]
fn records_come_back_as_they_were() {
    let folder = Folder::new();
    let path = two(&folder);
    let mut journal = open(&path);
    assert_eq!(journal.dropped(), 0);
    assert_eq!(journal.records()[0], record("on", 1, None));
    assert_eq!(journal.records()[1].replay_status, None);
    assert!(journal.find("on", &item(1), None).is_some() && journal.find("off", &item(1), Some(0)).is_some());
    assert!(journal.find("on", &item(1), Some(0)).is_none() && journal.find("on", &item(2), None).is_none());
    // The prompt on that line has changed.
    let changed = Item { fingerprint: "another".into(), ..item(1) };
    assert!(journal.find("on", &changed, None).is_none() && journal.records_of(&[changed]).is_empty());
    assert_eq!(journal.records_of(&[item(1), item(2)]).len(), 2);
    let again = journal.append(record("on", 1, None)).unwrap_err();
    assert!(again.to_string().ends_with("sample greedy of item 1 in arm \"on\" is recorded already"), "{again}");
    journal.append(Record { replay_status: Some(Status::Replayed), ..record("on", 1, Some(0)) }).unwrap();
    journal.append(Record { replay_status: Some(Status::Passthrough), ..record("on", 1, Some(1)) }).unwrap();
    let expected = journal.records().to_vec();
    drop(journal);
    assert_eq!(open(&path).records(), expected);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 5);
}

#[test]
fn a_crash_at_any_byte_costs_at_most_one_record() {
    let folder = Folder::new();
    let whole = std::fs::read(two(&folder)).unwrap();
    let ends: Vec<usize> = (1..=whole.len()).filter(|&end| whole[end - 1] == b'\n').collect();
    for length in 0..=whole.len() {
        let path = folder.write("cut.jsonl", &whole[..length]);
        let mut journal = open(&path);
        let kept = ends.iter().filter(|&&end| end <= length).count().saturating_sub(1);
        assert_eq!(journal.records().len(), kept, "cut at {length}");
        let last = ends.iter().rev().find(|&&end| end <= length).copied().unwrap_or(0);
        assert_eq!(journal.dropped(), length - last);
        journal.append(record("on", 2, Some(3))).unwrap();
        drop(journal);
        let journal = open(&path);
        assert_eq!((journal.records().len(), journal.dropped()), (kept + 1, 0));
    }
}

#[test]
fn another_run_is_not_resumed_and_it_is_said_why() {
    let folder = Folder::new();
    let path = two(&folder);
    let before = std::fs::read(&path).unwrap();
    let other =
        json!({ "samples": 8, "temperature": 0.1 + 0.2, "arms": { "on": { "layers": 7, "blend": 0.5 } }, "seed": 1 });
    let error = Journal::open(&path, &other).unwrap_err();
    let JournalError::OtherRun { differences, .. } = &error else { panic!("{error}") };
    assert_eq!(differences.len(), 3);
    assert_eq!(
        error.to_string(),
        format!(
            "{}: holds a run with other settings:\n  arms.on.blend: nothing in the file, 0.5 now\n  samples: 4 in the file, 8 now\n  \
             seed: nothing in the file, 1 now\nresume it with its own settings, or name another file",
            path.display()
        )
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
    // The order of keys is no setting.
    let turned = json!({ "arms": { "on": { "layers": 7 } }, "temperature": 0.1 + 0.2, "samples": 4 });
    assert_eq!(Journal::open(&path, &turned).unwrap().records().len(), 2);
}

#[test]
fn a_file_that_is_something_else_is_left_alone() {
    let folder = Folder::new();
    for content in [
        "precious",
        "{\"journal\": 1}\n",
        "\n",
        "{\"journal\":\"activation-replay-evidence\",\"version\":2}\n",
        "{}\n{",
    ] {
        let path = folder.write("else.jsonl", content);
        let error = Journal::open(&path, &settings()).unwrap_err();
        assert!(matches!(error, JournalError::NotAJournal { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    let error = Journal::open(&folder.path("no/such/folder.jsonl"), &settings()).unwrap_err();
    assert!(error.to_string().contains("cannot open or create it: "), "{error}");
}

#[test]
fn damage_that_no_crash_explains_is_an_error() {
    let folder = Folder::new();
    let whole = std::fs::read_to_string(two(&folder)).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let damaged = |lines: &[&str]| {
        let content = lines.join("\n") + "\n";
        let path = folder.write("damaged.jsonl", &content);
        let error = Journal::open(&path, &settings()).unwrap_err();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        match error {
            JournalError::Damaged { line, found, .. } => (line, found),
            other => panic!("{other}"),
        }
    };
    assert_eq!(damaged(&[lines[0], &lines[1][..40], lines[2]]).0, 2);
    assert_eq!(damaged(&[lines[0], lines[1], "", lines[2]]).0, 3);
    assert_eq!(damaged(&[lines[0], lines[1], lines[1]]), (3, "that of line 2 again".into()));
    assert_eq!(damaged(&[lines[0], &lines[1].replace("nothing_selected", "great")]).0, 2);
    assert_eq!(damaged(&[lines[0], &lines[1].replace("\"seed\"", "\"sead\"")]).0, 2);
    assert_eq!(damaged(&[&lines[0].replace("fingerprint\":\"", "fingerprint\":\"0")]).0, 1);
}

#[test]
fn one_writer_at_a_time() {
    let folder = Folder::new();
    let path = folder.path("run.jsonl");
    let first = open(&path);
    assert!(matches!(Journal::open(&path, &settings()), Err(JournalError::Busy { .. })));
    drop(first);
    open(&path);
}
