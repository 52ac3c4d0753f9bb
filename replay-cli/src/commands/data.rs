//! Reads the data sets of commands.
use std::path::Path;

use crate::evaluation::{Answers, Item, dataset};
use replay_core::session::{Picture, Prompt};

use super::args::DataArgs;
use super::exit::InputError;
use crate::media;

/// Reads the prompts of a data set. Every invalid line is reported; without `--keep-going` it ends the command.
pub(crate) fn read(args: &DataArgs, answers: Answers) -> anyhow::Result<Vec<Item>> {
    let (mut items, errors) = dataset::read(&args.data, answers);
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if !errors.is_empty() && (!args.keep_going || items.is_empty()) {
        let hint = if items.is_empty() { "" } else { "\n--keep-going goes on with the other lines" };
        return Err(InputError(format!("{}{hint}", text.join("\n"))).into());
    }
    for line in text {
        eprintln!("left out: {line}");
    }
    items.truncate(args.limit.map_or(usize::MAX, |limit| limit as usize));
    Ok(items)
}

/// The prompt of an item; `None` if its images cannot be read and `keep_going` is set.
pub(crate) fn prompt(item: &Item, keep_going: bool) -> anyhow::Result<Option<Prompt>> {
    let images: Result<Vec<_>, String> = item.images.iter().map(|path| read_picture(path)).collect();
    match images {
        Ok(images) => {
            Ok(Some(Prompt { system: item.system.clone(), images, text: item.prompt.clone(), ..Prompt::default() }))
        }
        Err(error) if keep_going => {
            eprintln!("left out: line {}: {error}", item.line);
            Ok(None)
        }
        Err(error) => Err(InputError(format!("line {}: {error}", item.line)).into()),
    }
}

/// Reads an image file. The error names the file.
pub(crate) fn read_picture(path: &Path) -> Result<Picture, String> {
    media::read(path, media::Limits::default()).map_err(|e| format!("image {}: {e}", path.display()))
}
