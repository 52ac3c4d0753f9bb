use super::*;

fn verifier(text: &str) -> Verifier {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn answer(name: &str, text: &str) -> Option<String> {
    verifier(name).judge(text, "-").answer
}

fn right(name: &str, text: &str, gold: &str) -> bool {
    verifier(name).judge(text, gold).correct
}

const ALL: [&str; 6] = ["exact", "boxed", "answer-tag", "numeric", "letter", "regex:Answer: (.*)"];

#[test]
fn wrong_answers_without_a_letter_or_a_number_stay_wrong() {
    // What the published scripts count as right: both sides have no capital letter from A to G.
    for name in ALL {
        for (said, gold) in [("White", "Red"), ("yellow", "blue"), ("12", "7"), ("", ""), ("", "7"), ("$.$", ".")] {
            for text in [said.to_owned(), format!("Answer: <answer>\\boxed{{{said}}}</answer>")] {
                assert!(!right(name, &text, gold), "{name}: {text:?} is not {gold:?}");
            }
        }
    }
    // And both begin with the same one.
    assert!(
        !right("letter", "Blue", "Brown") && !right("letter", "A cat", "A dog") && !right("exact", "Blue", "Brown")
    );
}

#[test]
fn right_answers_that_can_never_be_met_are_found_beforehand() {
    let refused = |name: &str, gold: &str| verifier(name).accepts(gold).unwrap_err().to_string();
    assert_eq!(
        refused("letter", "White"),
        "the verifier letter expects choice letters (A to J) as the right answer, found \"White\""
    );
    assert_eq!(
        refused("numeric:0.5", "2 or 3"),
        "the verifier numeric:0.5 expects one number as the right answer, found \"2 or 3\""
    );
    for (name, gold) in [("numeric", "red"), ("numeric", r"2\sqrt{3}"), ("exact", " $.$ "), ("letter", "A car")] {
        refused(name, gold);
    }
    for (name, gold) in [("numeric", "$1,234.50"), ("numeric", r"\boxed{\frac{1}{2}}"), ("numeric", "8 cm^2")] {
        assert_eq!(verifier(name).accepts(gold), Ok(()), "{gold}");
    }
    for gold in ["B", " b ", "(B)", "B.", "B. a red car", "(B) a red car", r"$\boxed{\text{B}}$", "<answer>B</answer>"]
    {
        assert_eq!(verifier("letter").accepts(gold), Ok(()), "{gold}");
        assert!(right("letter", "The answer is B.", gold), "{gold}");
    }
}

#[test]
fn boxes_have_balanced_braces() {
    let boxed = |text| answer("boxed", text);
    assert_eq!(boxed(r"first \boxed{1}, then $\boxed{\frac{a}{b}}$."), Some(r"\frac{a}{b}".into()));
    assert_eq!(boxed(r"\boxed{\{1, 2\}}"), Some(r"\{1, 2\}".into()));
    assert_eq!(boxed(r"\boxed{\left\{1}"), Some(r"\left\{1".into()));
    assert_eq!(boxed(r"\\boxed {8}"), Some("8".into()));
    assert_eq!(boxed(r"\boxed{\boxed{8}}"), Some("8".into()));
    // Cut off, or an example of how to answer.
    assert_eq!(boxed(r"\boxed{7} and \boxed{8"), Some("7".into()));
    assert_eq!(boxed(r"\boxed{7}, written in \boxed{}"), Some("7".into()));
    for nothing in ["", "8", r"\boxed", r"\boxed 8", r"\boxed{", r"\boxed{ }", r"\boxed{$.$}", r"\boxed}{"] {
        assert_eq!(boxed(nothing), None, "{nothing}");
    }
    assert!(right("boxed", r"\boxed{8}", r"$\boxed{8.0}$"));
}

#[test]
fn tags() {
    let tagged = |text| answer("answer-tag", text);
    assert_eq!(tagged("<think>x</think><answer> Red\n</answer>"), Some("Red".into()));
    assert_eq!(tagged("<answer>1</answer> no: <answer>2</answer> <answer>3"), Some("2".into()));
    assert_eq!(tagged("<answer>it is <answer>2</answer>"), Some("2".into()));
    assert_eq!(tagged(r"\boxed{1} <answer>so $\boxed{2}$</answer> \boxed{3}"), Some("2".into()));
    for nothing in ["", r"\boxed{1}", "<answer>1", "1</answer>", "<answer> </answer>", "</answer>1<answer>"] {
        assert_eq!(tagged(nothing), None, "{nothing}");
    }
}

#[test]
fn equal_answers_in_other_clothes() {
    for same in ["8", "8.0", "+8", " 8. ", "$8$", "$8.00$.", r"\text{8}", "08", "8e0", r"\$8", "0.8e1"] {
        assert_eq!(canonical(same), canonical("8"), "{same}");
    }
    for same in ["1000", "1,000", "1,000.0", "1e3"] {
        assert_eq!(canonical(same), canonical("1000"), "{same}");
    }
    for same in ["-0.5", "-.5", "\u{2212}0.50", "-5e-1"] {
        assert_eq!(canonical(same), canonical("-0.5"), "{same}");
    }
    assert_eq!(canonical("-0"), canonical("0.00"));
    assert_eq!(canonical(" a  red\n car. "), "a red car");
    let different =
        ["8", "80", "-8", "8.1", "8 cm", "eight", "1,00", "0,800", "1e400", "1e401", "8:00", "8, 8", "red", "Red"];
    for (index, one) in different.iter().enumerate() {
        for other in &different[..index] {
            assert_ne!(canonical(one), canonical(other));
        }
    }
    // Not the same, though 64-bit floating point cannot tell them apart.
    assert_ne!(canonical("9007199254740993"), canonical("9007199254740992"));
    assert_eq!(canonical("1e99999999999999999999"), "1e99999999999999999999");
    assert_eq!(canonical("1e9223372036854775807"), "1e9223372036854775807");
    assert_eq!(canonical("10e9223372036854775807"), "10e9223372036854775807");
}

#[test]
fn the_last_number() {
    let number = |text| answer("numeric", text);
    for (text, last) in [
        ("There are 3 rows of 2, so 6.", "6"),
        ("It costs $1,250.50 in all", "1,250.50"),
        ("x=-4", "-4"),
        ("about \u{2212}3", "\u{2212}3"),
        ("共8个", "8"),
        ("the area is 8 cm^2", "8"),
        ("the area is 8 cm^{2}.", "8"),
        ("90^\\circ", "90"),
        ("x_1 = 5", "5"),
        ("it is 5 in model GPT-4", "5"),
        ("**Answer:**8...", "8"),
        ("well...7", "7"),
        (".5", ".5"),
        ("1,0000 then 2,000", "2,000"),
        ("3 \\times 10^{8} m/s", "3 \\times 10^{8}"),
        ("so 1/2", "1/2"),
        ("-\\frac{1}{2}", "-\\frac{1}{2}"),
        ("<answer>about 3</answer> of 7", "3"),
        (r"\boxed{4}, see page 9", "4"),
        ("3π is 9.42", "9.42"),
        ("60 km/h", "60"),
    ] {
        assert_eq!(number(text), Some(last.into()), "{text}");
    }
    for nothing in [
        "",
        "none",
        r"2\sqrt{3}",
        "2√3",
        "3π",
        r"3\pi",
        r"\frac{\pi}{2}",
        r"\frac{2}{\sqrt{3}}",
        "2^3",
        "10^{5}",
        "5/x",
        r"\pi/2",
        "5-8",
        "12:30",
        "2024-05-12",
        "2024/05/12",
        "1/0",
        r"1\frac{1}{2}",
        "1e999999",
        "1e99999999999999999999",
        "x1",
        "<answer>red</answer> 7",
        r"\sqrt[3]{8}",
        r"\frac{1",
        r"\frac12",
        r"\sqrt{",
        "^",
        "_{",
    ] {
        assert_eq!(number(nothing), None, "{nothing}");
    }
}

#[test]
fn numbers_within_a_tolerance() {
    assert!(right("numeric", "so 8.0", "8") && right("numeric", "0.5", "1/2") && right("numeric", "0.33333333", "1/3"));
    assert!(
        right("numeric", r"\frac{1}{2}", "0.5")
            && right("numeric", "3e8", r"3 \times 10^8")
            && !right("numeric", "3/2", "1/2")
    );
    // Absolute below 1, a share above.
    assert!(right("numeric:0.01", "1.01", "1") && !right("numeric:0.01", "1.0101", "1"));
    assert!(right("numeric:0.01", "101", "100") && !right("numeric:0.01", "101.01", "100"));
    assert!(
        right("numeric:0.01", "0.509", "0.5")
            && right("numeric:0.01", "-0.01", "0")
            && !right("numeric:0.01", "0.02", "0")
    );
    assert!(!right("numeric:0", "8.0000001", "8") && right("numeric:0", "8.0", "8"));
    // Not everything near 0 equals a constant that is.
    assert!(!right("numeric", "0", "6.67e-11") && right("numeric", "6.67e-11", "6.67e-11"));
    assert!(!right("numeric", "2\\sqrt{3}", "3") && !right("numeric", "5-8", "8") && !right("numeric", "3", "2 or 3"));
}

#[test]
fn choice_letters() {
    let letter = |text| answer("letter", text);
    for (text, chosen) in [
        ("B", "B"),
        ("b", "B"),
        ("(b)", "B"),
        ("a.", "A"),
        ("i", "I"),
        ("**C**.", "C"),
        ("B.", "B"),
        ("B. a red car", "B"),
        ("A. a red car", "A"),
        ("A: a red car", "A"),
        ("A - a red car", "A"),
        ("(A) is a red car", "A"),
        ("Answer: B", "B"),
        ("answer: b", "B"),
        ("The answer is a.", "A"),
        ("The answer is (c) since I see a car", "C"),
        ("The answer is A because I see a car", "A"),
        ("The answer is I.", "I"),
        ("Option A shows a car", "A"),
        ("A is correct.", "A"),
        ("It is not A but C", "C"),
        ("I think it is D", "D"),
        ("Answer: B. A car is D units away from C.", "B"),
        ("Answer: B? No. The correct option is \"C\".", "C"),
        ("the correct choice would be **E**, unlike F", "E"),
        ("Answer: $\\text{D}$", "D"),
        ("the answer is $\\boxed{D}$", "D"),
        ("<think>A or B</think><answer>B</answer>", "B"),
        ("<answer>(A) red</answer>", "A"),
        ("</think>B", "B"),
        ("答案是B。", "B"),
        ("答案：C", "C"),
        ("I'd say B, at 25 C", "B"),
        ("Answer:\n\nB\n\nC is too far", "B"),
        ("B\n\n**B**", "B"),
        ("J", "J"),
        ("So: 'B'", "B"),
        ("It's D'Angelo. C", "C"),
    ] {
        assert_eq!(letter(text), Some(chosen.into()), "{text}");
    }
    for nothing in [
        "",
        "White",
        "A car is parked.",
        "The answer is a car",
        "Answer: A red car",
        "So do I.",
        "I am sure",
        "I see a cat",
        "N/A",
        "Washington D.C",
        "x = A + B + C",
        "C++",
        "f(A)",
        "25 C",
        "K",
        "Z",
        "Answer: A or B",
        "A, C",
        "B and C",
        "option I took",
        "answer: yes",
        "<answer>White</answer>, not B",
        "vitamin-C",
        "A's",
        "(i) red",
        "x_{B}",
        "<b>",
        "café",
        "A cat and a dog",
    ] {
        assert_eq!(letter(nothing), None, "{nothing}");
    }
    assert!(right("letter", "Answer: B", "b") && right("letter", "(b)", "B. red") && !right("letter", "B", "C"));
}

#[test]
fn patterns_take_the_last_match() {
    let name = r"regex:(?i)total[: ]+(\d+)";
    assert_eq!(answer(name, "Total 3 ... total: 8"), Some("8".into()));
    assert_eq!(answer(name, "8"), None);
    assert!(right(name, "total 8", "8.0"));
    assert_eq!(answer("regex:a(x)?|b", "ax b"), Some("x".into()));
}

#[test]
fn names_are_read_and_written() {
    for name in ["exact", "boxed", "answer-tag", "letter", "numeric:0.01", "numeric:0", r"regex:a:(\d+)"] {
        assert_eq!(verifier(name).to_string(), name);
    }
    assert_eq!(verifier("numeric").to_string(), "numeric:0.000001");
    let refused = |text: &str| text.parse::<Verifier>().unwrap_err();
    assert_eq!(
        refused("boxd").to_string(),
        "expected exact, boxed, answer-tag, numeric, numeric:TOLERANCE, letter or regex:PATTERN, found \"boxd\"; did you mean boxed?"
    );
    assert_eq!(
        refused("answer_tag"),
        VerifierError::Unknown { found: "answer_tag".into(), nearest: Some("answer-tag") }
    );
    assert_eq!(refused("x"), VerifierError::Unknown { found: "x".into(), nearest: None });
    assert_eq!(refused("boxed:3").to_string(), "expected boxed with nothing behind it, found \"3\"");
    for wrong in ["numeric:", "numeric:x", "numeric:-1", "numeric:1", "numeric:nan", "numeric:inf"] {
        assert!(matches!(refused(wrong), VerifierError::Tolerance(_)), "{wrong}");
    }
    assert!(matches!(refused("regex:("), VerifierError::Pattern(_)));
    assert_eq!(refused("regex:(a)(b)"), VerifierError::Groups { pattern: "(a)(b)".into(), found: 2 });
    assert_eq!(refused("regex"), VerifierError::Groups { pattern: String::new(), found: 0 });
}

#[test]
fn no_text_makes_a_verifier_panic() {
    let pieces = [
        "\\boxed{",
        "}",
        "{",
        "<answer>",
        "</answer>",
        "A",
        "i",
        "8",
        ".",
        ",000",
        "-",
        "/",
        "^",
        "_",
        "\\frac{",
        "\\sqrt[",
        "é",
        "是",
        "𝔸",
        " ",
        "\n",
        "e9",
        "\\",
        "$",
        "π",
        "√",
        "×10^",
        "\u{2212}",
        "answer",
    ];
    let mut state = 1u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += pieces[(state >> 33) as usize % pieces.len()];
        }
        for name in ALL {
            let verifier = verifier(name);
            let _ = (verifier.judge(&text, &text), verifier.accepts(&text));
        }
    }
}

#[test]
fn a_formula_in_a_box_is_no_choice_and_several_letters_are_a_set() {
    for (text, chosen) in [
        (r"Since \boxed{E = mc^2} holds. Answer: D", "D"),
        (r"\boxed{\text{B. a red car}}", "B"),
        (r"\boxed{B}, so the answer is not C", "B"),
        (r"\boxed{\textbf{(C)}}", "C"),
        ("C.154 °", "C"),
        ("(C) 154 °", "C"),
        ("I measured it. Answer: C.154 °", "C"),
    ] {
        assert_eq!(answer("letter", text), Some(chosen.into()), "{text}");
    }
    for gold in ["A, C", "AC", "A and C", "A;C", "C, A", "(A), (C)", "A、C"] {
        assert_eq!(verifier("letter").accepts(gold), Ok(()), "{gold}");
        for said in [
            "A, C",
            "C and A",
            "AC",
            r"\boxed{A, C}",
            r"\boxed{\text{A and C}}",
            "<answer>C, A</answer>",
            "The answer is A and C.",
            "I see two.\nAnswers: A, C",
            "Answer: AC",
        ] {
            assert!(right("letter", said, gold), "{said:?} is {gold:?}");
        }
        for said in ["A", "C", "A, B", "A, B, C", "B and C", "a cat", ""] {
            assert!(!right("letter", said, gold), "{said:?} is not {gold:?}");
        }
    }
    assert!(verifier("letter").accepts("CAB").is_err() && !right("letter", "A, C", "A"));
}
