//! `replay judge`: judges answers that were given before, without asking the model again.
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::args::JudgeArgs;
use super::exit::InputError;
use crate::evaluation::{Answers, Judgement, Record, Verifier, dataset};

/// One answer to judge.
struct Given {
    arm: Option<String>,
    /// Whether it is a greedy answer of an evaluation.
    greedy: bool,
    text: String,
    answer: String,
    verifier: Option<Verifier>,
}

pub(crate) fn judge(args: &JudgeArgs) -> anyhow::Result<()> {
    let verifier: Verifier = args.verifier.parse().map_err(|e| InputError(format!("--verifier: {e}")))?;
    let given = read(&args.answers, args.data.as_deref(), &verifier)?;
    let judge = |given: &Given| given.verifier.as_ref().unwrap_or(&verifier).judge(&given.text, &given.answer);
    let verdicts: Vec<Judgement> = given.iter().map(judge).collect();
    if args.json {
        let verdict = |verdict: &Judgement| json!({ "answer": verdict.answer, "correct": verdict.correct });
        println!("{}", json!({ "verdicts": verdicts.iter().map(verdict).collect::<Vec<_>>() }));
        return Ok(());
    }
    print(&given, &verdicts);
    Ok(())
}

/// Counts of one arm.
#[derive(Default)]
struct Counts {
    right: usize,
    wrong: usize,
    none: usize,
    greedy: (usize, usize),
    sampled: (usize, usize),
}

fn print(given: &[Given], verdicts: &[Judgement]) {
    let mut arms: BTreeMap<&str, Counts> = BTreeMap::new();
    for (given, verdict) in given.iter().zip(verdicts) {
        let counts = arms.entry(given.arm.as_deref().unwrap_or("answers")).or_default();
        match (verdict.correct, &verdict.answer) {
            (true, _) => counts.right += 1,
            (false, Some(_)) => counts.wrong += 1,
            (false, None) => counts.none += 1,
        }
        let (right, all) = if given.greedy { &mut counts.greedy } else { &mut counts.sampled };
        *right += usize::from(verdict.correct);
        *all += 1;
    }
    for (arm, Counts { right, wrong, none, greedy, sampled }) in arms {
        let share = |name: &str, (right, all): (usize, usize)| match all {
            0 => String::new(),
            _ => format!(", {name} {:.3}", right as f64 / all as f64),
        };
        let by_kind = match greedy.1 {
            0 => String::new(),
            _ => share("pass@1", sampled) + &share("greedy", greedy),
        };
        println!("{arm}: {right} right, {wrong} wrong, {none} without an answer{by_kind}");
    }
}

fn read(path: &Path, data: Option<&Path>, default: &Verifier) -> anyhow::Result<Vec<Given>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| InputError(format!("{shown}: {e}")))?;
    let lines = || text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let first: Option<Value> = lines().next().and_then(|(_, line)| serde_json::from_str(line).ok());
    let is_journal = first.is_some_and(|first| first.get("journal").is_some());
    let gold = if is_journal { Some(right_answers(path, data)?) } else { None };
    let (mut given, mut problems) = (Vec::new(), Vec::new());
    for (index, line) in lines().skip(usize::from(is_journal)) {
        let read = match &gold {
            Some(gold) => of_record(line, gold),
            None => of_object(line, default),
        };
        match read {
            Ok(one) => given.push(one),
            Err(why) => problems.push(format!("{shown}:{}: {why}", index + 1)),
        }
    }
    if given.is_empty() && problems.is_empty() {
        problems.push(format!("{shown}: expected one answer a line, found an empty file"));
    }
    if problems.is_empty() { Ok(given) } else { Err(InputError(problems.join("\n")).into()) }
}

/// The right answers of a data set, by line and fingerprint.
type RightAnswers = BTreeMap<(usize, String), String>;

fn right_answers(path: &Path, data: Option<&Path>) -> anyhow::Result<RightAnswers> {
    let data = data.ok_or_else(|| {
        InputError(format!(
            "{}: records of an evaluation hold no right answers; name its data set with --data",
            path.display()
        ))
    })?;
    let (items, errors) = dataset::read(data, Answers::Required);
    if !errors.is_empty() {
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        return Err(InputError(text.join("\n")).into());
    }
    let keyed = items.into_iter().filter_map(|item| Some(((item.line, item.fingerprint), item.answer?)));
    Ok(keyed.collect())
}

fn of_record(line: &str, gold: &RightAnswers) -> Result<Given, String> {
    let record: Record = serde_json::from_str(line).map_err(|e| format!("expected a record of an evaluation: {e}"))?;
    let Record { arm, item, fingerprint, sample, text, .. } = record;
    let answer = gold.get(&(item, fingerprint)).cloned();
    let answer =
        answer.ok_or_else(|| format!("line {item} of the data set is another one than this record answers"))?;
    Ok(Given { arm: Some(arm), greedy: sample.is_none(), text, answer, verifier: None })
}

fn of_object(line: &str, default: &Verifier) -> Result<Given, String> {
    let value: Value = serde_json::from_str(line).map_err(|e| format!("expected one JSON object a line: {e}"))?;
    let text = value["text"].as_str().ok_or("expected a key `text`, the answer of the model, a text")?;
    let answer = match &value["answer"] {
        Value::String(answer) => answer.clone(),
        Value::Number(answer) => answer.to_string(),
        _ => return Err("expected a key `answer`, the right answer, a text or a number".into()),
    };
    let named = value.get("verifier").filter(|named| !named.is_null());
    let verifier = named.map(|named| named.as_str().unwrap_or_default().parse::<Verifier>()).transpose();
    let verifier = verifier.map_err(|e| format!("verifier: {e}"))?;
    verifier.as_ref().unwrap_or(default).accepts(&answer).map_err(|e| format!("answer: {e}"))?;
    let arm = value["arm"].as_str().map(str::to_owned);
    Ok(Given { arm, greedy: false, text: text.to_owned(), answer, verifier })
}
