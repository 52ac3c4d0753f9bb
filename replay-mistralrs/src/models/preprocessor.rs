//! The settings of a model's image processor. Newer versions of transformers keep them in another file and spell some otherwise; here they
//! are read as transformers reads them, and written as the engine does.
use serde_json::{Map, Value, json};

/// The families whose processor takes the least and the largest number of pixels of an image.
const BY_PIXELS: [&str; 2] = ["Qwen2VL", "Qwen3VL"];
/// What transformers assumes for these families where the files say nothing.
const LEAST_PIXELS: u64 = 56 * 56;
const MOST_PIXELS: u64 = 28 * 28 * 1280;

/// Keys that hold sides, which the engine reads as maps.
const SIDES: [&str; 3] = ["size", "crop_size", "max_image_size"];
/// Keys that hold a number of pixels, which some versions write as a map of equal sides.
const NUMBERS: [&str; 6] = ["patch_size", "merge_size", "temporal_patch_size", "min_pixels", "max_pixels", "resample"];

/// The settings of the image processor in these two files: those nested in `processor_config.json` come first, as in transformers. `None` if
/// neither has any.
pub(crate) fn image_settings(preprocessor: Option<&Value>, processor: Option<&Value>) -> Option<Value> {
    let nested = processor.and_then(|processor| processor.get("image_processor")).filter(|nested| nested.is_object());
    let mut settings = nested.or(preprocessor.filter(|own| own.is_object()))?.clone();
    // Audio and video settings stay where they are; the engine reads those of audio beside those of images.
    if let (Some(_), Some(audio), Some(settings)) =
        (nested, processor.and_then(|p| p.get("feature_extractor")?.as_object()), settings.as_object_mut())
    {
        for (key, value) in audio.iter().filter(|(_, value)| !value.is_null()) {
            settings.entry(key.clone()).or_insert(value.clone());
        }
    }
    settings.as_object_mut().into_iter().for_each(spell_for_engine);
    Some(settings)
}

/// `processor_config.json` without what [`image_settings`] took from it.
pub(crate) fn without_image_settings(processor: &Value) -> Value {
    let mut rest = processor.clone();
    if let Some(rest) = rest.as_object_mut() {
        rest.remove("image_processor");
        for key in NUMBERS {
            rest.entry(key).and_modify(|value| *value = number(value));
        }
    }
    rest
}

fn spell_for_engine(settings: &mut Map<String, Value>) {
    let kind = settings.get("image_processor_type").and_then(Value::as_str).unwrap_or_default();
    if BY_PIXELS.iter().any(|family| kind.starts_with(family)) {
        // An absent or null number is that of `size`; a given one wins, as in transformers.
        for (key, side, default) in
            [("min_pixels", "shortest_edge", LEAST_PIXELS), ("max_pixels", "longest_edge", MOST_PIXELS)]
        {
            if settings.get(key).is_none_or(Value::is_null) {
                let of_size = settings.get("size").and_then(|size| size.get(side)).filter(|side| side.is_number());
                let pixels = of_size.cloned().unwrap_or_else(|| default.into());
                settings.insert(key.into(), pixels);
            }
        }
    }
    for key in SIDES {
        settings.entry(key).and_modify(|value| *value = sides(value));
    }
    for key in NUMBERS {
        settings.entry(key).and_modify(|value| *value = number(value));
    }
    settings.retain(|_, value| !value.is_null());
}

/// Sides as a map of whole numbers.
fn sides(value: &Value) -> Value {
    match value {
        Value::Number(_) => {
            let side = whole(value);
            json!({ "height": side, "width": side, "shortest_edge": side })
        }
        Value::Object(sides) => {
            sides.iter().filter(|(_, side)| side.is_number()).map(|(key, side)| (key.clone(), whole(side))).collect()
        }
        other => other.clone(),
    }
}

/// One number, also where it is written as equal sides.
fn number(value: &Value) -> Value {
    match value.as_object().and_then(|sides| sides.get("height").or_else(|| sides.values().next())) {
        Some(side) => whole(side),
        None => whole(value),
    }
}

/// A number without a fraction as an integer, since the engine reads no other.
fn whole(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && (0.0..9e15).contains(&number) => (number as u64).into(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(preprocessor: Value, processor: Value) -> Value {
        image_settings(Some(&preprocessor), Some(&processor)).unwrap()
    }

    #[test]
    fn pixels_are_those_of_size_unless_they_are_given() {
        let size = json!({"shortest_edge": 3136, "longest_edge": 1_003_520});
        let newer = settings(json!({"image_processor_type": "Qwen2VLImageProcessorFast", "size": size}), Value::Null);
        assert_eq!((&newer["min_pixels"], &newer["max_pixels"]), (&json!(3136), &json!(1_003_520)));
        let both = json!({"image_processor_type": "Qwen2VLImageProcessor", "size": size, "max_pixels": 200_704, "min_pixels": null});
        let both = settings(both, Value::Null);
        assert_eq!((&both["min_pixels"], &both["max_pixels"]), (&json!(3136), &json!(200_704)));
        let neither = settings(json!({"image_processor_type": "Qwen2VLImageProcessor"}), Value::Null);
        assert_eq!((&neither["min_pixels"], &neither["max_pixels"]), (&json!(LEAST_PIXELS), &json!(MOST_PIXELS)));
    }

    #[test]
    fn nested_settings_come_first_and_are_taken_out_of_the_other_file() {
        let processor = json!({"processor_class": "X", "image_processor": {"patch_size": 16}, "patch_size": {"height": 14, "width": 14}});
        assert_eq!(settings(json!({"patch_size": 14}), processor.clone())["patch_size"], 16);
        assert_eq!(without_image_settings(&processor), json!({"processor_class": "X", "patch_size": 14}));
        assert_eq!(image_settings(None, Some(&json!({"processor_class": "X"}))), None);
    }

    #[test]
    fn sides_and_numbers_are_written_as_the_engine_reads_them() {
        let spelt = settings(
            json!({"size": {"height": 384.0, "width": 384, "max_height": null}, "crop_size": 336,
                "patch_size": {"height": 14, "width": 14}, "resample": 3, "do_pad": null}),
            Value::Null,
        );
        assert_eq!(spelt["size"], json!({"height": 384, "width": 384}));
        assert_eq!(spelt["crop_size"]["height"], 336);
        assert_eq!((&spelt["patch_size"], &spelt["resample"], spelt.get("do_pad")), (&json!(14), &json!(3), None));
    }
}
