//! Decodes videos to frames: GIFs directly, other formats with the system's ffmpeg.
use std::io::Cursor;
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, DynamicImage, Frame};
use replay_core::session::Clip;
use tokio::process::Command;

use super::image::{Limits, MediaError, decode, picture};

/// Maximum number of frames that are sampled, as in the engines' own servers.
const MAX_FRAMES: usize = 32;
/// The frame rate of a file that gives none.
const DEFAULT_FRAME_RATE: f64 = 24.0;

/// Reads a video file: up to 32 of its frames, evenly spaced.
///
/// # Errors
/// If the file cannot be read, or is not a GIF and ffmpeg is not installed.
pub async fn read_video(path: &Path) -> Result<Clip, MediaError> {
    let bytes = tokio::fs::read(path).await?;
    match bytes.starts_with(b"GIF8") {
        true => decode_gif(&bytes),
        false => read_with_ffmpeg(path).await,
    }
}

/// Decodes a GIF: up to 32 of its frames, evenly spaced.
///
/// # Errors
/// If the bytes are not a GIF, or it has no frames.
pub fn decode_gif(bytes: &[u8]) -> Result<Clip, MediaError> {
    let frames: Vec<Frame> = GifDecoder::new(Cursor::new(bytes))?.into_frames().collect_frames()?;
    if frames.is_empty() {
        return Err(MediaError::Video("it has no frames".into()));
    }
    let delay = |frame: &Frame| match frame.delay().numer_denom_ms() {
        (_, 0) => 0.0,
        (numerator, denominator) => f64::from(numerator) / f64::from(denominator),
    };
    let milliseconds: f64 = frames.iter().map(delay).sum();
    let frames_per_second =
        if milliseconds > 0.0 { frames.len() as f64 * 1e3 / milliseconds } else { DEFAULT_FRAME_RATE };
    let sampled = evenly_spaced(frames.len());
    let frame_picture = |&index: &usize| picture(DynamicImage::ImageRgba8(frames[index].buffer().clone()));
    let pictures = sampled.iter().map(frame_picture).collect::<Result<_, _>>()?;
    Ok(Clip { frames: pictures, frames_per_second, total_frames: frames.len(), sampled })
}

/// The indices of up to [`MAX_FRAMES`] evenly spaced frames of `total`, beginning with the first.
fn evenly_spaced(total: usize) -> Vec<usize> {
    let count = MAX_FRAMES.min(total);
    (0..count).map(|index| (index as f64 * total as f64 / count as f64) as usize).collect()
}

async fn read_with_ffmpeg(path: &Path) -> Result<Clip, MediaError> {
    let fails = |why: String| MediaError::Video(why);
    let rate = probe(path, "stream=r_frame_rate", false).await?;
    let frames_per_second = parse_rate(&rate).unwrap_or(DEFAULT_FRAME_RATE);
    let counted = probe(path, "stream=nb_read_frames", true).await?.parse().ok();
    let total = counted.filter(|&total: &usize| total > 0).unwrap_or(MAX_FRAMES);
    let sampled = evenly_spaced(total);
    let folder = tempfile::tempdir()?;
    let selected: Vec<String> = sampled.iter().map(|frame| format!("eq(n\\,{frame})")).collect();
    let mut command = Command::new("ffmpeg");
    command.arg("-i").arg(path).args(["-vf", &format!("select='{}'", selected.join("+")), "-vsync", "vfr"]);
    command.args(["-frames:v", &sampled.len().to_string()]).arg(folder.path().join("%04d.png"));
    let output = command.output().await.map_err(without_ffmpeg)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().last().unwrap_or("no reason given");
        return Err(fails(format!("ffmpeg cannot read it: {last}")));
    }
    let mut frames = Vec::new();
    for number in 1..=sampled.len() {
        let file = folder.path().join(format!("{number:04}.png"));
        if let Ok(bytes) = tokio::fs::read(file).await {
            frames.push(decode(&bytes, Limits::default())?);
        }
    }
    if frames.is_empty() {
        return Err(fails("ffmpeg finds no frames in it".into()));
    }
    // If the file has fewer frames than it says, the last ones are missing.
    let sampled = if frames.len() < sampled.len() { sampled[..frames.len()].to_vec() } else { sampled };
    Ok(Clip { frames, frames_per_second, total_frames: total, sampled })
}

/// Reads an entry of the first video stream with ffprobe; `counts` makes ffprobe count the frames.
async fn probe(path: &Path, entry: &str, counts: bool) -> Result<String, MediaError> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", "v:0"]);
    if counts {
        command.arg("-count_frames");
    }
    command.args(["-show_entries", entry, "-of", "default=noprint_wrappers=1:nokey=1"]).arg(path);
    let output = command.output().await.map_err(without_ffmpeg)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn without_ffmpeg(error: std::io::Error) -> MediaError {
    MediaError::Video(format!(
        "a video that is no GIF is read by ffmpeg and ffprobe, which cannot be run here ({error}): install ffmpeg, or give frames as images"
    ))
}

/// Parses a frame rate such as `30000/1001` or `30`.
fn parse_rate(text: &str) -> Option<f64> {
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    let (numerator, denominator): (f64, f64) = (numerator.parse().ok()?, denominator.parse().ok()?);
    (denominator > 0.0 && numerator > 0.0).then(|| numerator / denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_evenly_spaced_from_the_first_on() {
        assert_eq!(evenly_spaced(3), [0, 1, 2]);
        let many = evenly_spaced(96);
        assert_eq!((many.len(), many[0], many[1], many[31]), (32, 0, 3, 93));
    }

    #[test]
    fn rates_are_fractions_or_numbers() {
        assert!((parse_rate("30000/1001").unwrap() - 29.97).abs() < 0.01);
        assert_eq!(
            (parse_rate("30"), parse_rate("30/0"), parse_rate("N/A"), parse_rate("")),
            (Some(30.0), None, None, None)
        );
    }

    #[test]
    fn bytes_that_are_not_a_gif_are_refused() {
        assert!(decode_gif(b"GIF89a").is_err() && decode_gif(b"").is_err());
    }
}
