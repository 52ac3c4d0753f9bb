use std::path::Path;

use super::super::folder::Folder;
use super::*;

/// The items of a data set with the images `a.png` and `b.png`, and its problems without the file's name in front.
fn read_text(content: impl AsRef<[u8]>) -> (Vec<Item>, Vec<String>) {
    let folder = Folder::new();
    folder.write("a.png", "a");
    folder.write("sub/b.png", "b");
    let path = folder.write("set.jsonl", content);
    let (items, errors) = read(&path, Answers::Required);
    let file = format!("{}:", path.display());
    let places = format!("{}/", path.parent().unwrap().display());
    let messages = errors.iter().map(|error| error.to_string().replace(&file, "").replace(&places, "")).collect();
    (items, messages)
}

fn problems(content: impl AsRef<[u8]>) -> Vec<String> {
    let (items, problems) = read_text(content);
    assert!(items.is_empty(), "{items:?}");
    problems
}

fn item(line: &str) -> Item {
    let (items, problems) = read_text(line);
    assert_eq!(problems, [""; 0]);
    items.into_iter().next().unwrap()
}

#[test]
fn lines_that_are_right() {
    let (items, problems) = read_text(
        "\u{feff}{\"image\": \"a.png\", \"prompt\": \"How many?\", \"answer\": \"8\"}\r\n\r\n  \n\
         {\"images\": [\"sub/b.png\", \"a.png\"], \"prompt\": \"Which?\", \"answer\": 2.50, \"system\": \"\"}\n\
         {\"prompt\": \"1 + 1\", \"answer\": 2, \"images\": []}",
    );
    assert_eq!(problems, [""; 0]);
    assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [1, 4, 5]);
    assert_eq!(items.iter().filter_map(|item| item.answer.as_deref()).collect::<Vec<_>>(), ["8", "2.5", "2"]);
    assert_eq!(items.iter().map(|item| item.system.as_deref()).collect::<Vec<_>>(), [None, Some(""), None]);
    let is_file = |image: &ItemImage, name: &str| matches!(image, ItemImage::File(path) if path.ends_with(name));
    assert!(is_file(&items[0].images[0], "a.png"));
    assert!(is_file(&items[1].images[0], "sub/b.png") && items[1].images.len() == 2);
    assert!(items[2].images.is_empty());
}

#[test]
fn every_problem_of_every_line_is_reported_and_good_lines_are_kept() {
    let (items, problems) = read_text(
        "{\"prompt\": \"1 + 1\", \"answer\": 2}\n{\"prompt\": \"\", \"image\": \"c.png\"}\n{\"prompt\": \"x\" \"answer\": 1}\n\n\
         {\"prompt\": \"1 + 2\", \"answer\": 3}\n",
    );
    assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(
        problems,
        [
            "2: prompt: expected a text, found an empty string",
            "2: answer: expected a text or a number, found nothing",
            "2: image: expected the path of an image file, found nothing at c.png",
            "3: expected one JSON object per line, found broken JSON at column 16 (expected `,` or `}`)",
        ]
    );
}

#[test]
fn further_keys_are_kept_and_a_misspelt_one_is_named() {
    let kept = item(r#"{"question": "x", "answer": 1, "id": 7, "category": "maths", "solution": "long"}"#);
    assert_eq!((kept.prompt.as_str(), kept.answer.as_deref()), ("x", Some("1")));
    assert_eq!((&kept.extra["id"], &kept.extra["category"]), (&serde_json::json!(7), &serde_json::json!("maths")));
    assert_eq!(
        problems(r#"{"promt": "x", "answer": 1, "id": 7}"#),
        ["1: promt: expected `prompt`, `question`, `problem` or `query`, found an unknown key; did you mean `prompt`?"]
    );
    assert_eq!(
        problems(r#"{"prompt": "x", "answer": 1, "answer": 2}"#),
        ["1: answer: expected each key once, found it again"]
    );
}

#[test]
fn the_forms_that_people_have() {
    let choices = item(r#"{"question": "Which?", "options": ["red", "blue"], "answer": "B", "hint": "look"}"#);
    assert_eq!(choices.prompt, "Hint: look\nWhich?\nA. red\nB. blue");
    assert_eq!(
        item(r#"{"question": "Which?", "choices": {"A": "red", "B": 2}, "answer": "B"}"#).prompt,
        "Which?\nA. red\nB. 2"
    );
    let solved =
        item(r#"{"problem": "1+1", "solution": "<think>x</think><answer> 2 </answer>", "verifier": "numeric"}"#);
    assert_eq!((solved.answer.as_deref(), solved.verifier.as_deref()), (Some("2"), Some("numeric")));
    let placed = item(r#"{"prompt": "A <image> B <image>", "images": ["a.png", "sub/b.png"], "answer": 1}"#);
    assert_eq!((placed.prompt.as_str(), &placed.places), ("A  B ", &vec![2, 5]));
    assert_eq!(
        problems(r#"{"prompt": "A <image> B <image>", "image": "a.png", "answer": 1}"#),
        [
            "1: prompt: expected a mark `<image>` for each image, or none, found the mark <image> in a prompt with 1 image"
        ]
    );
}

/// A small PNG, in base64.
fn png() -> (Vec<u8>, String) {
    use base64::Engine as _;
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(4, 3).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let bytes = bytes.into_inner();
    let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
    (bytes, text)
}

#[test]
fn images_may_stand_in_the_lines() {
    let (bytes, text) = png();
    let url_safe = text.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned();
    for image in [
        format!("{text:?}"),
        format!("{url_safe:?}"),
        format!("\"data:image/png;base64,{text}\""),
        format!("{{\"bytes\": {text:?}, \"path\": null}}"),
        "{\"bytes\": null, \"path\": \"a.png\"}".into(),
    ] {
        let found = item(&format!("{{\"prompt\": \"x\", \"answer\": 1, \"image\": {image}}}")).images;
        match &found[0] {
            ItemImage::Bytes(found) => assert_eq!(**found, *bytes),
            ItemImage::File(path) => assert!(path.ends_with("a.png")),
        }
    }
    let broken = problems(format!("{{\"prompt\": \"x\", \"answer\": 1, \"image\": \"{}\"}}", "?".repeat(2000)));
    assert!(broken[0].contains("neither a path nor an image in base64"), "{broken:?}");
}

#[test]
fn tables_of_vlmevalkit() {
    let folder = Folder::new();
    let (_, png) = png();
    folder.write("c.png", "c");
    let table = format!(
        "index\timage\tquestion\thint\tA\tB\tanswer\tcategory\n\
         0\t{png}\tWhich?\t\tred\tblue\tB\tcolour\n\
         1\t0\t\"How\nmany?\"\tcount\t\t\t3\tnumber\n\
         2\t['{png}', '{png}']\tBoth?\t\t\t\tyes\tpair\n"
    );
    let (items, errors) = read(&folder.write("set.tsv", &table), Answers::Required);
    assert_eq!(errors, []);
    assert_eq!(
        items[0].prompt,
        "Question: Which?\nOptions:\nA. red\nB. blue\nPlease select the correct answer from the options above. \n"
    );
    assert_eq!(items[1].prompt, "Hint: count\nHow\nmany?");
    assert_eq!(items[1].images, items[0].images);
    assert_eq!((items[2].images.len(), items[2].line), (2, 4));
    assert_eq!((items[1].answer.as_deref(), &items[1].extra["category"]), (Some("3"), &serde_json::json!("number")));
    let (items, _) =
        read(&folder.write("set.csv", "image_path,question,answer\nc.png,\"a, b?\",1\n"), Answers::Required);
    assert_eq!((items[0].prompt.as_str(), items[0].images.len()), ("a, b?", 1));
    let (items, errors) = read(&folder.write("bad.tsv", "question\tanswer\nx\n\ty\n"), Answers::Required);
    assert_eq!((items.len(), errors.len()), (0, 2), "{errors:?}");
    for (name, content) in [("no.tsv", "a\tb\n1\t2\n"), ("set.parquet", "PAR1"), ("broken.json", "[{")] {
        assert_eq!(read(&folder.write(name, content), Answers::Required).1.len(), 1, "{name}");
    }
    let (items, _) = read(&folder.write("set.json", r#"[{"question": "x", "answer": 1}]"#), Answers::Required);
    assert_eq!(items.len(), 1);
}

#[test]
fn values_of_the_wrong_kind() {
    let wrong = |rest: &str| problems(format!("{{\"prompt\": \"x\", {rest}}}")).join("\n");
    assert_eq!(wrong(r#""answer": true"#), "1: answer: expected a text or a number, found boolean true");
    assert_eq!(wrong(r#""answer": null"#), "1: answer: expected a text or a number, found null");
    assert_eq!(
        wrong(r#""answer": 1, "images": "a.png""#),
        "1: images: expected a list of paths, found string \"a.png\"; for one image, write `image`"
    );
    assert_eq!(
        wrong(r#""answer": 1, "image": "a.png", "images": []"#),
        "1: images: expected either `image` or `images`, found both"
    );
    assert_eq!(
        wrong(r#""answer": 1, "images": ["a.png", 3, "sub"]"#),
        "1: images: expected the path of an image file, found number 3\n\
         1: images: expected the path of an image file, found no regular file at sub"
    );
    assert_eq!(
        wrong(r#""answer": 1, "image": "https://example.org/a.png""#),
        "1: image: expected the path of an image file, found nothing at https://example.org/a.png; \
         only files are read: save the image first"
    );
    assert_eq!(wrong(r#""answer": 1, "system": ["x"]"#), "1: system: expected a text, found a list of 1 value");
}

#[test]
fn a_number_that_would_lose_digits_is_refused() {
    assert_eq!(item(r#"{"prompt": "x", "answer": 18446744073709551615}"#).answer.unwrap(), "18446744073709551615");
    let [problem] = problems(r#"{"prompt": "x", "answer": 123456789012345678901}"#).try_into().unwrap();
    assert!(problem.ends_with("; so large a number loses digits: write it as a text"), "{problem}");
}

#[test]
fn files_that_are_no_data_sets() {
    for empty in ["", "\n \r\n\n", "\u{feff}"] {
        assert_eq!(problems(empty), [" expected one JSON object per line, found an empty file"]);
    }
    assert_eq!(problems("[1, 2]"), ["1: expected one JSON object per line, found a list of 2 values"]);
    assert_eq!(
        problems("{\n\"prompt\": 1}")[0],
        "1: expected one JSON object per line, found broken JSON at column 1 (EOF while parsing an object); \
         an array or an object over several lines is not JSON Lines"
    );
    assert_eq!(problems(b"\xff\xfe{".as_slice()), ["1: expected text in UTF-8, found another byte at column 1"]);
    assert_eq!(problems("[".repeat(100_000)).len(), 1);
    let (items, errors) = read(Path::new("/nonexistent/set.jsonl"), Answers::Required);
    assert!(items.is_empty());
    let message = errors[0].to_string();
    assert!(message.starts_with("/nonexistent/set.jsonl: expected a readable file, found "), "{message}");
}

#[test]
fn the_fingerprint_is_of_the_content() {
    let one = item(r#"{"image": "a.png", "prompt": "x", "answer": "1"}"#);
    assert_eq!(one.fingerprint, item("\n{\"answer\": 1, \"prompt\": \"x\", \"images\": [\"./a.png\"]}").fingerprint);
    let others = [
        r#"{"image": "sub/b.png", "prompt": "x", "answer": "1"}"#,
        r#"{"prompt": "x", "answer": "1"}"#,
        r#"{"images": ["a.png", "a.png"], "prompt": "x", "answer": "1"}"#,
        r#"{"image": "a.png", "prompt": "x1", "answer": "1"}"#,
        r#"{"image": "a.png", "prompt": "x", "answer": "2"}"#,
        r#"{"image": "a.png", "prompt": "x", "answer": "1", "system": ""}"#,
    ];
    for other in others {
        assert_ne!(one.fingerprint, item(other).fingerprint, "{other}");
    }
    let of = |lines: &[usize]| fingerprint(&lines.iter().map(|&line| Item { line, ..one.clone() }).collect::<Vec<_>>());
    assert!(of(&[1]) == of(&[1]) && of(&[1]) != of(&[7]) && of(&[1]) != of(&[1, 2]));
}

#[test]
fn the_data_set_of_the_examples_is_right() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/images/questions.jsonl");
    let (items, errors) = read(&path, Answers::Required);
    assert_eq!(errors, []);
    assert!(items.len() >= 6 && items.iter().all(|item| item.images.len() == 1));
}

#[test]
fn an_answer_may_be_missing_where_none_is_judged_but_not_be_wrong() {
    let folder = Folder::new();
    let path = folder.write("set.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \"a\", \"answer\": 3}\n");
    let (items, errors) = read(&path, Answers::Optional);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(items.iter().map(|item| item.answer.as_deref()).collect::<Vec<_>>(), [None, Some("3")]);
    assert_ne!(items[0].fingerprint, items[1].fingerprint);
    let path = folder.write("wrong.jsonl", "{\"prompt\": \"a\", \"answer\": []}\n{\"prompt\": \"a\", \"anser\": 3}\n");
    let (items, errors) = read(&path, Answers::Optional);
    assert_eq!((items.len(), errors.len()), (0, 2), "{errors:?}");
}
