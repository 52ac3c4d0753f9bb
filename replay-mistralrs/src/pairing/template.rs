//! What a loaded model's chat template reads.
use either::Either;
use mistralrs_core::Pipeline;

/// Whether the chat template reads the content of a message as a list of parts, by their `type`. Another would print the list.
pub(crate) fn takes_parts(pipeline: &dyn Pipeline) -> bool {
    let template = pipeline.get_chat_template();
    let Some(template) = template.as_ref().and_then(|template| template.chat_template.as_ref()) else { return false };
    match &template.0 {
        Either::Left(text) => reads_types(text),
        Either::Right(named) => named.iter().filter_map(|entry| entry.get("template")).any(|text| reads_types(text)),
    }
}

fn reads_types(template: &str) -> bool {
    ["'type'", "\"type\"", ".type"].iter().any(|read| template.contains(read)) && template.contains("image")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_that_read_types_take_parts() {
        assert!(reads_types("{% for c in m.content %}{% if c['type'] == 'image' %}<img>{% endif %}{% endfor %}"));
        assert!(reads_types("{%- if c.type == 'image' or 'image_url' in c %}"));
        assert!(!reads_types("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% endfor %}"));
    }
}
