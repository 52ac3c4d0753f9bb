//! Are the visual rows the ones that hold visual content, in prompts of every shape, and does each stand for its own place? Checked
//! against what enters the first layer: a row of text is its token's embedding, and changing a corner of an image changes most the row
//! of that corner.
use crate::common::{pixels, shown};
use std::collections::HashMap;

use candle_core::{DType, Tensor};
use replay_core::conformance::{Plan, Step};
use replay_core::session::{Clip, Picture, Prompt, Turn};
use replay_core::{PromptMap, Role};
use replay_mistralrs::MistralrsSession;
use replay_mistralrs::families::Family;

use super::matrix::picture;
use super::spec::{Spec, names, open_spec};
use crate::common::{runtime, tensors, values};

struct Model {
    session: MistralrsSession,
    family: &'static Family,
    spec: Spec,
    /// `[vocabulary, hidden]`.
    embedding: Tensor,
}

impl Model {
    async fn open(name: &str, folder: &std::path::Path) -> Self {
        let spec = Spec::read(name);
        let family = Family::of(&spec.config).expect("a family with a profile");
        let positions = if family.has_visual_rows { "visual" } else { "all" };
        let replay = format!("strategy = \"substitute\"\nlayers = 1\npositions = \"{positions}\"\nrank.top = 1");
        let session = open_spec(name, folder, &replay).await;
        let weights: HashMap<String, Tensor> = tensors(&folder.join("rlvr/model.safetensors"));
        let embedding = weights.iter().find(|(name, _)| is_embedding(name)).expect("an embedding").1.clone();
        Self { session, family, spec, embedding }
    }

    /// The labels of a prompt, and what enters the first layer: `[rows, hidden]`.
    async fn look(&self, prompt: Prompt) -> (PromptMap, Vec<Vec<f32>>) {
        let plan = Plan(vec![Step::Capture(Role::Rlvr, vec![0])]);
        let (_, observed) = self.session.ask_with_plan(prompt, plan).await.expect("an answer");
        let residual = observed.captures[0].residual(0).expect("captured").to_dtype(DType::F32).expect("f32");
        (observed.prompt.expect("labels"), residual.to_vec2().expect("rows"))
    }

    /// Whether a row is its token's embedding, but for a factor (the first of its streams, where it has several).
    fn is_text(&self, token: u32, row: &[f32]) -> bool {
        let Ok(embedded) = self.embedding.get(token as usize) else { return false };
        let embedded = values(&embedded);
        let row = &row[..embedded.len()];
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(row, &embedded) / (dot(row, row) * dot(&embedded, &embedded)).sqrt() > 0.9999
    }

    async fn check(&self, shape: &str, prompt: Prompt) {
        let images = prompt.images.len()
            + prompt.videos.len()
            + prompt.earlier.iter().map(|turn| turn.images.len()).sum::<usize>();
        let (map, rows) = self.look(prompt).await;
        assert_eq!(map.images().len(), images, "{shape}");
        let mut separators: Vec<&[f32]> = Vec::new();
        for (label, row) in map.rows().iter().zip(&rows) {
            match (label.visual.is_some(), self.is_text(label.token, row)) {
                (true, true) => panic!("{shape}: row {} is labelled visual and holds text", label.position),
                (false, false) => separators.push(row),
                _ => {}
            }
        }
        // What is neither text nor ranked stands for no place: it is the same wherever it stands.
        separators.sort_by(|a, b| a[0].total_cmp(&b[0]));
        separators.dedup();
        assert!(separators.len() <= 2, "{shape}: {} rows hold visual content and have no label", separators.len());
        assert_eq!(map.visual_rows().is_empty(), images == 0 || !self.family.has_visual_rows, "{shape}");
    }
}

/// A video of several unlike frames.
pub(crate) fn video(frames: u32, width: u32, height: u32) -> Clip {
    let frame = |number: u32| {
        let mut frame = pixels(&picture(width, height));
        frame.pixels_mut().for_each(|pixel| pixel[2] = (40 * number) as u8);
        shown(&frame.into())
    };
    Clip::all_frames((0..frames).map(frame).collect(), 2.0)
}

fn is_embedding(name: &str) -> bool {
    ["embed_tokens.weight", "text_model.embed_tokens.weight", "wte.weight"].iter().any(|end| name.ends_with(end))
}

fn prompt(images: Vec<Picture>, text: &str) -> Prompt {
    Prompt { images, text: text.into(), ..Prompt::default() }
}

#[test]
fn visual_rows_are_those_that_hold_visual_content() {
    runtime().block_on(async {
        for name in names() {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let model = Model::open(&name, folder.path()).await;
            let several = !model.family.one_image;
            model.check(&format!("{name}, no image"), prompt(vec![], "What is it?")).await;
            model.check(&format!("{name}, one image"), prompt(vec![picture(60, 50)], "What is it?")).await;
            model.check(&format!("{name}, nothing after the image"), prompt(vec![picture(50, 112)], "")).await;
            if several {
                let adjacent = vec![picture(60, 50), picture(112, 60), picture(50, 90)];
                model
                    .check(&format!("{name}, adjacent images of unequal sizes"), prompt(adjacent, "What are they?"))
                    .await;
            }
            let mut talk = prompt(vec![], "And now?");
            for turn in 0..3 {
                let images = if several || turn == 1 { vec![picture(60 + 20 * turn, 60)] } else { vec![] };
                talk.earlier.push(Turn { images, text: "What is it?".into(), answer: "A field.".into() });
                model.check(&format!("{name}, a talk of {} turns", turn + 1), talk.clone()).await;
            }
        }
    });
}

#[test]
fn the_frames_of_videos_are_told_apart_and_each_row_stands_for_its_own_place() {
    runtime().block_on(async {
        let seeing = names().into_iter().filter(|name| Spec::read(name).video_tag.is_some());
        for name in seeing {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let model = Model::open(&name, folder.path()).await;
            let watch = |images: Vec<Picture>, videos: Vec<Clip>| Prompt { videos, ..prompt(images, "What is it?") };
            let one = watch(vec![], vec![video(3, 112, 60)]);
            model.check(&format!("{name}, a video"), one.clone()).await;
            let two = vec![video(2, 60, 60), video(4, 112, 60)];
            model.check(&format!("{name}, adjacent videos"), watch(vec![], two.clone())).await;
            model
                .check(&format!("{name}, images and videos"), watch(vec![picture(60, 50), picture(112, 60)], two))
                .await;

            let (map, before) = model.look(one.clone()).await;
            assert_eq!(map.images()[0].grids[0].frames, 3, "{name}");
            let mut changed = one;
            let frame = &mut changed.videos[0].frames[1];
            let mut pixels = pixels(frame);
            for (x, y, pixel) in pixels.enumerate_pixels_mut() {
                if x >= 67 && y >= 36 {
                    *pixel = image::Rgb([255 - pixel[0], 0, 255 - pixel[2]]);
                }
            }
            *frame = shown(&pixels.into());
            let (other, after) = model.look(changed).await;
            assert_ne!(map.images()[0].content, other.images()[0].content, "{name}: another video");
            let moved = |row: usize| before[row].iter().zip(&after[row]).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
            for row in map.rows() {
                let there = row.visual.is_some_and(|visual| visual.frame == 1);
                assert!(there || moved(row.position) == 0.0, "{name}: {row:?} is not of the frame that was changed");
            }
            let most = map.rows().iter().max_by(|a, b| moved(a.position).total_cmp(&moved(b.position)));
            let place = most.and_then(|row| row.visual).expect("a visual row");
            // The encoder's cache must not take frames of the same bytes in another shape for each other.
            let bytes: Vec<u8> = (0..60 * 40 * 3).map(|at| (at % 251) as u8).collect();
            for (width, height) in [(60, 40), (30, 80)] {
                let frame = image::RgbImage::from_raw(width, height, bytes.clone()).expect("as many bytes");
                let one = Clip::all_frames(vec![shown(&frame.into())], 2.0);
                model.check(&format!("{name}, a frame of {width}x{height}"), watch(vec![], vec![one])).await;
            }
            let grid = map.images()[0].grids[0];
            assert!(
                (place.row + 1) * 3 > grid.rows * 2 && (place.column + 1) * 3 > grid.columns * 2,
                "{name}: {place:?}"
            );
        }
    });
}

#[test]
fn each_visual_row_stands_for_its_own_place() {
    runtime().block_on(async {
        for name in names() {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let model = Model::open(&name, folder.path()).await;
            if !model.spec.places {
                continue;
            }
            let sizes = [(112, 112), (112, 64)];
            for (width, height) in sizes.into_iter().filter(|(width, height)| width == height || !model.spec.padded) {
                let (map, before) = model.look(prompt(vec![picture(width, height)], "What?")).await;
                let mut changed = pixels(&picture(width, height));
                for (x, y, pixel) in changed.enumerate_pixels_mut() {
                    // A processor may cut off what is less than a token.
                    if x >= width * 3 / 5 && y >= height * 3 / 5 {
                        *pixel = image::Rgb([255 - pixel[0], 0, 255 - pixel[2]]);
                    }
                }
                let (_, after) = model.look(prompt(vec![shown(&changed.into())], "What?")).await;
                let moved = |row: usize| before[row].iter().zip(&after[row]).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
                // The whole image is the first or the last piece, or the only one.
                let grids = &map.images()[0].grids;
                let whole = if model.spec.whole_first { 0 } else { grids.len() - 1 };
                let of_whole = map.rows().iter().filter(|row| row.visual.is_some_and(|v| v.frame == whole));
                let most =
                    of_whole.max_by(|a, b| moved(a.position).total_cmp(&moved(b.position))).expect("visual rows");
                let place = most.visual.expect("visual");
                let (down, right) =
                    ((place.row + 1) * 3 > grids[whole].rows * 2, (place.column + 1) * 3 > grids[whole].columns * 2);
                assert!(
                    down && right,
                    "{name}, {width}x{height}: the lower right corner moved {place:?} of {grids:?} most"
                );
            }
        }
    });
}
