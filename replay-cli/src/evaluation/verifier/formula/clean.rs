//! Answers without what only changes their looks, in one spelling for each sign.
use super::super::extract::braced;

/// Commands and signs that change nothing but the looks.
const DROPPED: [&str; 22] = [
    r"\left",
    r"\right",
    r"\bigl",
    r"\bigr",
    r"\Bigl",
    r"\Bigr",
    r"\big",
    r"\Big",
    r"\displaystyle",
    r"\,",
    r"\;",
    r"\:",
    r"\!",
    r"\(",
    r"\)",
    r"\[",
    r"\]",
    r"\$",
    "$",
    "€",
    "£",
    "¥",
];
/// Other spellings, and the one that is read. `⟨` and `⟩` stand around words.
const SPELT: [(&str, &str); 52] = [
    (r"\dfrac", r"\frac"),
    (r"\tfrac", r"\frac"),
    (r"\cfrac", r"\frac"),
    ("{,}", ","),
    (r"\%", "%"),
    ("％", "%"),
    (r"^{\circ}", "°"),
    (r"^\circ", "°"),
    (r"^{°}", "°"),
    (r"^°", "°"),
    (r"\degree", "°"),
    (r"\circ", "°"),
    ("\u{2212}", "-"),
    ("–", "-"),
    (r"\times", "*"),
    (r"\cdot", "*"),
    (r"\ast", "*"),
    ("**", "^"),
    ("×", "*"),
    ("·", "*"),
    ("∙", "*"),
    (r"\div", "/"),
    ("÷", "/"),
    (r"\pi", "π"),
    ("√", r"\sqrt"),
    ("²", "^2"),
    ("³", "^3"),
    ("½", r"\frac{1}{2}"),
    ("¼", r"\frac{1}{4}"),
    ("¾", r"\frac{3}{4}"),
    (r"\pm", "±"),
    ("+-", "±"),
    ("+/-", "±"),
    (r"\leqslant", "≤"),
    (r"\geqslant", "≥"),
    (r"\leq", "≤"),
    (r"\geq", "≥"),
    (r"\neq", "≠"),
    (r"\le", "≤"),
    (r"\ge", "≥"),
    (r"\ne", "≠"),
    ("<=", "≤"),
    (">=", "≥"),
    (r"\infty", "∞"),
    (r"\cup", "∪"),
    (r"\in ", "∈"),
    (r"\{", "⦃"),
    (r"\}", "⦄"),
    (r"\lbrace", "⦃"),
    (r"\rbrace", "⦄"),
    (r"\quad", " "),
    ("~", " "),
];
/// Commands around a group of which only the content counts.
const AROUND: [&str; 5] = [r"\mathbf", r"\boldsymbol", r"\boxed", r"\fbox", r"\mathit"];
/// Commands around words.
const WORDS: [&str; 6] = [r"\textbf", r"\textit", r"\text", r"\mathrm", r"\operatorname", r"\mbox"];

/// The answer in one spelling, without signs around it.
pub(super) fn cleaned(answer: &str) -> String {
    let mut text = unwrapped(answer, 0);
    for dropped in DROPPED {
        text = text.replace(dropped, "");
    }
    for (other, read) in SPELT {
        text = text.replace(other, read);
    }
    let text = text.replace("\\ ", " ").replace(['\n', '\t'], " ");
    let spaced = text.split_whitespace().collect::<Vec<_>>().join(" ");
    spaced.trim_end_matches(['.', '。', ';', ',', ' ']).trim().to_owned()
}

/// The text without commands around groups; words stand in `⟨⟩`.
fn unwrapped(text: &str, depth: usize) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let group = |commands: &[&str]| {
            let after = commands.iter().find_map(|command| rest.strip_prefix(command))?;
            braced(after.trim_start())
        };
        if let Some((inner, after)) = group(&WORDS).filter(|_| depth < 8) {
            out.push_str(&format!("⟨{}⟩", inner.trim().replace(['⟨', '⟩'], "")));
            rest = after;
        } else if let Some((inner, after)) = group(&AROUND).filter(|_| depth < 8) {
            out.push_str(&unwrapped(inner, depth + 1));
            rest = after;
        } else {
            out.push('\\');
            rest = &rest[1..];
            // An escaped sign stays with its backslash.
            if let Some(sign) = rest.chars().next().filter(|sign| !sign.is_ascii_alphabetic()) {
                out.push(sign);
                rest = &rest[sign.len_utf8()..];
            }
        }
    }
    out + rest
}
