//! Answers as a marker would see them: right and wrong ones, through the verifier `boxed`.
use super::Verifier;

fn right(said: &str, gold: &str) -> bool {
    Verifier::Boxed.judge(&format!("so \\boxed{{{said}}}"), gold).correct
}

#[test]
fn answers_that_mean_the_same_are_right() {
    let mut wrong = Vec::new();
    for (said, gold) in [
        (r"\frac{16}{2}", "8"),
        (r"8^\circ", "8"),
        (r"8^{\circ}", "8°"),
        (r"8\text{ cm}", "8"),
        ("x=8", "8"),
        ("x = 8", "x=8"),
        (r"8\%", "8"),
        (r"8\%", "0.08"),
        ("0.08", r"8\%"),
        (r"8{,}000", "8000"),
        (r"\frac12", "0.5"),
        (r"2\sqrt3", r"2\sqrt{3}"),
        (r"m+n = 256+37 = 293", "293"),
        (r"\dfrac{1}{2}", r"\frac{1}{2}"),
        (r"\tfrac{2}{4}", "1/2"),
        ("1/2", "0.5"),
        (r"-\frac{1}{2}", "-0.5"),
        (r"\frac{-1}{2}", "-1/2"),
        (r"3\frac{1}{2}", "3.5"),
        (r"3\frac12", "7/2"),
        ("3 1/2", "3.5"),
        (r"\sqrt{12}", r"2\sqrt{3}"),
        (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
        ("√12", r"2\sqrt{3}"),
        ("2√3", r"2\sqrt{3}"),
        (r"\sqrt[3]{8}", "2"),
        (r"2\pi", "2π"),
        (r"\frac{\pi}{2}", r"0.5\pi"),
        (r"3\times10^8", "300000000"),
        (r"3 \times 10^{8}", "3e8"),
        (r"1.5 \cdot 10^{-3}", "0.0015"),
        ("2^{10}", "1024"),
        (r"\{1,2\}", r"\{2, 1\}"),
        (r"\left\{1,2\right\}", "1, 2"),
        ("1 or 2", "2, 1"),
        ("x=3 or x=5", "3, 5"),
        (r"x=3 \text{ or } x=5", "5, 3"),
        ("3 and 5", "3,5"),
        ("(1, 2)", "(1,2)"),
        (r"\left(1,2\right)", "(1, 2)"),
        (r"(\frac{1}{2}, 3)", "(0.5, 3.0)"),
        ("[0,1)", "[0, 1)"),
        (r"[0,1)\cup(2,3]", r"(2,3] \cup [0,1)"),
        (r"(-\infty, 3)", "(-∞,3)"),
        (r"x \in [0,1]", "[0,1]"),
        (r"\pm 3", "3, -3"),
        (r"\pm\sqrt{2}", r"-\sqrt{2}, \sqrt{2}"),
        ("8 cm", "8 cm"),
        ("8cm", "8 cm"),
        ("8 cm", "8"),
        ("8", r"8\,\mathrm{cm}"),
        ("8 meters", "8 m"),
        ("5 apples", "5"),
        ("5 Apples", "5 apple"),
        (r"60\text{ km/h}", "60 km/h"),
        (r"8\text{ cm}^2", r"8\,\text{cm}^{2}"),
        ("90 degrees", r"90^\circ"),
        ("2x+1", "1+2x"),
        ("y = 2x + 1", "2x+1"),
        ("(x+1)^2", "x^2+2x+1"),
        ("x(x+1)", "x^2 + x"),
        (r"\frac{x}{2}", "0.5x"),
        ("2ab", "2ba"),
        ("2 x", "2x"),
        ("f(x) = x^2", "x^2"),
        (r"\$8", "8"),
        ("€8", "8"),
        ("8 dollars", "8"),
        ("1,234", "1234"),
        ("1{,}234{,}567", "1234567"),
        (r"\mathbf{8}", "8"),
        (r"\boxed{8}", "8"),
        (r"\text{Red}", "Red"),
        ("8.", "8"),
        ("\u{2212}8", "-8"),
        ("8 ÷ 2", "4"),
        ("5!", "120"),
        ("|-3|", "3"),
        (r"\log_{2}8", "3"),
        ("x^2+y^2=1", "x^2+y^2=1.0"),
        (r"0.\overline{3}", r"0.\overline{3}"),
        ("12:30", "12:30"),
        (r"x \leq 3", r"x\le3"),
        ("50%", "0.5"),
        ("½", "0.5"),
    ] {
        if !right(said, gold) {
            wrong.push((said, gold));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn answers_that_mean_something_else_are_wrong() {
    let mut taken = Vec::new();
    for (said, gold) in [
        (r"\pm2021", "2021"),
        ("2021", r"\pm2021"),
        ("1:00", "12:00"),
        ("[0,1]", "[0,1)"),
        ("(0,1)", "[0,1]"),
        ("(1,2)", "(2,1)"),
        ("(1,2)", "(1,2,3)"),
        ("8 cm", "8 m"),
        ("8 apples", "8 pears"),
        (r"8\text{ cm}^2", r"8\text{ cm}"),
        ("2^{10}", "210"),
        ("x^2", "x2"),
        ("1,2", "12"),
        (r"1{,}234", "1.234"),
        ("8.1", "8"),
        ("0.333", r"\frac{1}{3}"),
        ("3.14", r"\pi"),
        ("9007199254740993", "9007199254740992"),
        (r"\frac{1}{2}", r"\frac{2}{1}"),
        (r"2\sqrt{3}", r"3\sqrt{2}"),
        (r"\sqrt{3}", "3"),
        (r"\{1,2\}", r"\{1,3\}"),
        (r"\{1,2\}", r"\{1,2,2\}"),
        ("3", "3, 5"),
        ("3, 5", "3"),
        ("3, 5, 7", "3, 5"),
        (r"[0,1)\cup(2,3]", "[0,1)"),
        ("2x+1", "2x-1"),
        ("2x", "2y"),
        ("x=3", "y=3"),
        ("x", "8"),
        ("2x", "2"),
        ("-8", "8"),
        (r"8\%", "800"),
        (r"80\%", "0.08"),
        ("Red", "Blue"),
        ("red", "Red"),
        ("ab", "ba"),
        ("cat", "act"),
        ("5", "x+y=5"),
        ("x+y=6", "x+y=5"),
        ("12", "1 2"),
        ("3 1/2", "31/2"),
        (r"3\frac12", r"\frac{3}{2}"),
        ("1e3", "1e4"),
        ("", "8"),
        ("{}", "8"),
        ("0", "1e-12"),
        (r"\frac{1}{0}", "1"),
        ("x<3", "x>3"),
        (r"x\leq3", "x<3"),
        ("North", "Northern"),
        ("A", "B"),
    ] {
        if right(said, gold) {
            taken.push((said, gold));
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
}

#[test]
fn no_answer_takes_long_or_overflows() {
    let deep = "(".repeat(390);
    let tower = "9^9^9^9^9^9^9";
    let roots = r"\sqrt".repeat(80);
    let fractions = r"\frac{1}{".repeat(40);
    for text in [&deep, tower, &roots, &fractions, "1e999999999", &"{".repeat(400), &"1,".repeat(199), "±±±±±±±±1"]
    {
        assert!(!right(text, "8"), "{text}");
        let _ = right("8", text);
    }
}
