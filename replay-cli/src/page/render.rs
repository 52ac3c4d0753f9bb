//! Renders pages from data.
use minijinja::{AutoEscape, Environment, context};
use serde::Serialize;

/// The styles and scripts of a page, in the order in which they are joined.
pub(super) struct Parts {
    pub(super) styles: &'static [&'static str],
    pub(super) scripts: &'static [&'static str],
}

/// Renders a page with `data` embedded as JSON.
pub(super) fn render(parts: &Parts, title: &str, data: &impl Serialize) -> Result<String, PageError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page", include_str!("page.html"))?;
    let safe = |text: &str| minijinja::Value::from_safe_string(text.into());
    let data = embedded(&serde_json::to_string(data)?);
    let (css, js) = (parts.styles.join("\n"), parts.scripts.join("\n"));
    let values = context! { title, css => safe(&css), js => safe(&js), data => safe(&data) };
    Ok(environment.get_template("page")?.render(values)?)
}

/// Escapes JSON for a script element, so that nothing in it can end the element or begin a comment.
fn embedded(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
        out
    })
}

/// An error of rendering a page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The template failed.
    #[error("page template: {0}")]
    Template(#[from] minijinja::Error),
    /// The data cannot be written as JSON.
    #[error("page data: {0}")]
    Data(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{CurvesData, curves};

    #[test]
    fn hostile_text_cannot_end_the_script_element() {
        let hostile = "</script><script>alert(1)</script><!--&\u{2028}";
        let json = embedded(&serde_json::to_string(hostile).unwrap());
        assert!(!json.contains('<') && !json.contains('&') && !json.contains('\u{2028}'));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
        let data = CurvesData { title: hostile, subtitle: "", note: "", charts: vec![], tables: vec![] };
        let page = curves(&data).unwrap();
        assert!(!page.contains("alert(1)</script>"));
        assert!(page.contains("&lt;&#x2f;script&gt;") || page.contains("&lt;/script&gt;"));
    }
}
