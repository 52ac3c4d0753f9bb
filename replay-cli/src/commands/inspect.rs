//! `replay inspect`
use std::io::Cursor;

use crate::page::{self, AnswerData, ImageData, InspectData, LayerData, PromptData};
use anyhow::Context;
use base64::Engine;
use image::{DynamicImage, ImageFormat, RgbImage};
use replay_core::session::{Answer, Directive, Mode, Picture, Prompt, Sampling};
use replay_core::{Observation, tables};

use super::args::InspectArgs;
use super::exit::InputError;
use super::{open, progress, write};

/// Larger pictures are scaled down in the page, to keep the file small.
const MAX_SIDE: u32 = 1600;

pub(crate) async fn inspect(args: InspectArgs) -> anyhow::Result<()> {
    let config = open::config(&args.config.config)?;
    if !args.prompt.has_media() {
        return Err(InputError("there is nothing to see without at least one --image or --video".into()).into());
    }
    let prompt = open::prompt(args.prompt).await?;
    let session = open::session(&config).await?;
    let (Some(pair), Some(settings)) = (session.facts().pair, session.settings()) else {
        return Err(config.refuse("replay.enabled", "true, to inspect a replay", None).into());
    };
    let sampling = Sampling { max_tokens: Some(args.max_tokens as usize), ..Sampling::default() };
    let off = Directive { mode: Mode::Off, ..Directive::default() };
    let off = session.answer(prompt.clone(), sampling, off).await?;
    let on = Directive { observe: true, ..Directive::default() };
    let on = progress::ask(&*session, prompt.clone(), sampling, on).await?;
    let observation = on.observation.as_ref().context("the engine answered without an observation")?;
    let report = on.replay.as_ref().context("the engine answered without a report")?;
    let data = InspectData {
        title: title(&prompt.text),
        pair: &pair,
        settings: settings.replayer().settings().describe(),
        prompt: PromptData { system: prompt.system.as_deref(), text: &prompt.text },
        images: images(&prompt, observation)?,
        layers: layers(observation),
        learned: report.learned.as_ref(),
        answers: [("off", answer(&off)), ("on", answer(&on))].into(),
        report,
    };
    write::text(&args.out, &page::inspect(&data)?)?;
    println!("{}", tables::status(report));
    println!("wrote {}", args.out.display());
    Ok(())
}

fn title(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("Activation Replay: {short}{}", if short.len() < text.len() { "..." } else { "" })
}

fn answer(answer: &Answer) -> AnswerData<'_> {
    AnswerData { text: answer.text(), time_to_first_token_ms: answer.time_to_first_token_ms }
}

fn images(prompt: &Prompt, observation: &Observation) -> anyhow::Result<Vec<ImageData>> {
    let mut first = 0;
    let pictures = prompt.images.iter().map(std::slice::from_ref);
    let shown = pictures.chain(prompt.videos.iter().map(|video| &video.frames[..]));
    // A picture that its model family splits is shown once for each tile, with that tile's tokens.
    let pieces = observation.prompt.images().iter().zip(shown).enumerate();
    let pieces = pieces.flat_map(|(index, (image, frames))| {
        let name = move |piece| match image.grids.len() {
            1 if index >= prompt.images.len() => format!("Video {}", index - prompt.images.len() + 1),
            1 => format!("Image {}", index + 1),
            pieces => format!("Image {}, piece {} of {pieces}", index + 1, piece + 1),
        };
        image.grids.iter().enumerate().map(move |(piece, grid)| (frames, *grid, name(piece)))
    });
    pieces
        .map(|(frames, grid, name)| {
            let image = ImageData {
                name,
                src: frames.iter().map(source).collect::<anyhow::Result<_>>()?,
                width: frames[0].width(),
                height: frames[0].height(),
                frames: grid.frames,
                rows: grid.rows,
                columns: grid.columns,
                first,
            };
            first += grid.tokens();
            Ok(image)
        })
        .collect()
}

/// A picture as a data URL.
fn source(picture: &Picture) -> anyhow::Result<String> {
    let image = RgbImage::from_raw(picture.width(), picture.height(), picture.pixels().to_vec());
    let image = DynamicImage::from(image.context("a picture whose pixels do not match its size")?);
    let shown = match picture.width().max(picture.height()) > MAX_SIDE {
        true => image.thumbnail(MAX_SIDE, MAX_SIDE),
        false => image,
    };
    let mut png = Cursor::new(Vec::new());
    shown.to_rgb8().write_to(&mut png, ImageFormat::Png)?;
    let base64 = base64::engine::general_purpose::STANDARD.encode(png.into_inner());
    Ok(format!("data:image/png;base64,{base64}"))
}

/// The values of each layer at the visual rows, in prompt order.
fn layers(observation: &Observation) -> Vec<LayerData> {
    let visual = observation.prompt.visual_rows();
    let visual_values = |values: &[f32]| -> Vec<Option<f32>> {
        // Values that are not finite or were not measured are `None`.
        visual.iter().map(|&row| values.get(row).copied().filter(|x| x.is_finite())).collect()
    };
    let layer = |layer: &replay_core::LayerObservation| LayerData {
        layer: layer.layer,
        residual: layer.residual,
        entropy: visual_values(&layer.entropy_base),
        selected: visual.iter().map(|&row| u8::from(layer.selected[row])).collect(),
        kl_before: visual_values(&layer.kl_before),
        // Without edits the divergence is unchanged.
        kl_after: visual_values(if layer.kl_after.is_empty() { &layer.kl_before } else { &layer.kl_after }),
    };
    observation.layers.iter().map(layer).collect()
}
