//! Reads the data sets of commands.
use std::collections::HashMap;
use std::path::Path;

use crate::evaluation::{Answers, Item, ItemImage, dataset};
use replay_core::session::{Picture, Prompt};

use super::args::DataArgs;
use super::exit::InputError;
use crate::media;

/// Reads the prompts of a data set. Every invalid line is reported; without `--keep-going` it ends the command.
pub(crate) fn read(args: &DataArgs, answers: Answers) -> anyhow::Result<Vec<Item>> {
    let (mut items, errors) = dataset::read(&args.data, answers);
    items.truncate(args.limit.map_or(usize::MAX, |limit| limit as usize));
    let mut text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    text.extend(check_images(args, &mut items));
    if !text.is_empty() && (!args.keep_going || items.is_empty()) {
        let hint = if items.is_empty() { "" } else { "\n--keep-going goes on with the other lines" };
        return Err(InputError(format!("{}{hint}", text.join("\n"))).into());
    }
    for line in text {
        eprintln!("left out: {line}");
    }
    Ok(items)
}

/// The prompt of an item; `None` if its images cannot be read and `keep_going` is set.
pub(crate) fn prompt(item: &Item, keep_going: bool) -> anyhow::Result<Option<Prompt>> {
    let images: Result<Vec<_>, String> = item.images.iter().map(picture).collect();
    match images {
        Ok(images) => {
            let (system, places, text) = (item.system.clone(), item.places.clone(), item.prompt.clone());
            Ok(Some(Prompt { system, images, places, text, ..Prompt::default() }))
        }
        Err(error) if keep_going => {
            eprintln!("left out: line {}: {error}", item.line);
            Ok(None)
        }
        Err(error) => Err(InputError(format!("line {}: {error}", item.line)).into()),
    }
}

/// Decodes an image of a data set.
fn picture(image: &ItemImage) -> Result<Picture, String> {
    match image {
        ItemImage::File(path) => read_picture(path),
        ItemImage::Bytes(bytes) => media::decode(bytes, media::Limits::default()).map_err(|e| format!("image: {e}")),
    }
}

/// Leaves out the items with an image that cannot be decoded, and says what is wrong with it: now, and not after an hour of answers.
fn check_images(args: &DataArgs, items: &mut Vec<Item>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut known: HashMap<ItemImage, Result<(), String>> = HashMap::new();
    items.retain(|item| {
        let broken = item.images.iter().find_map(|image| match image {
            // A file may be the image of many lines.
            ItemImage::File(_) => known.entry(image.clone()).or_insert_with(|| picture(image).map(drop)).clone().err(),
            ItemImage::Bytes(_) => picture(image).err(),
        });
        problems.extend(broken.iter().map(|why| format!("{}:{}: {why}", args.data.display(), item.line)));
        broken.is_none()
    });
    problems
}

/// Reads an image file. The error names the file.
pub(crate) fn read_picture(path: &Path) -> Result<Picture, String> {
    media::read(path, media::Limits::default()).map_err(|e| format!("image {}: {e}", path.display()))
}
