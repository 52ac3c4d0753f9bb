//! The command-line arguments.
use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand};

/// Activation Replay in mistral.rs: brings the base model's low-entropy prompt activations back into an RLVR-trained
/// vision-language model.
#[derive(Debug, Parser)]
#[command(name = "replay", version, about, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 2 configuration, 3 the models are not a pair, 4 engine, 5 input.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load both models, check that they form a pair, test the taps, print what would be replayed.
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Answer a prompt about images, with replay or without.
    Run(RunArgs),
    /// Write one HTML page: entropy, selection and divergence over the user's own image, layer by layer.
    Inspect(InspectArgs),
    /// Does it help? pass@k and greedy accuracy of replay off against any number of configurations, on the same prompts and seeds.
    Eval(EvalArgs),
    /// Judge answers that were given before, without asking a model: lines of `text` and `answer`, or the records of `replay eval`.
    Judge(JudgeArgs),
    /// How far the RLVR model has moved from the base on a set of prompts, by how certain the base was; thresholds from data.
    Analyse(AnalyseArgs),
    /// Where the base's visual rows matter: the effect of bringing them back at one residual at a time and at all of them (the ceiling:
    /// what there is to recover), and how much of that the configuration reaches.
    Sweep(SweepArgs),
    /// What replay costs on this machine for this pair and prompt, off and on taking turns.
    Bench(BenchArgs),
    /// Serve models over HTTP, as the OpenAI API does.
    Serve(ServeArgs),
    /// Write every intermediate of one prompt to a safetensors file.
    Trace(TraceArgs),
    /// List the engine adapters and architectures of this program.
    Adapters,
    /// List the presets, their values and sources.
    Presets,
    /// Print the JSON schema of the configuration file.
    Schema,
}

#[derive(Debug, Group)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "replay.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct PromptArgs {
    /// An image; repeat it for several. Images stand in front of the text, in the order given.
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Vec<PathBuf>,
    /// A video, after the images; repeat it for several. Gemma 4 sees them. A GIF; other formats are read by ffmpeg, if it is installed.
    #[arg(long, value_name = "FILE")]
    pub(crate) video: Vec<PathBuf>,
    /// The user's text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: String,
    /// A system message.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
}

impl PromptArgs {
    /// Whether the prompt has an image or a video.
    pub(crate) fn has_media(&self) -> bool {
        !self.image.is_empty() || !self.video.is_empty()
    }
}

#[derive(Debug, Group)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Most tokens to generate.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: u32,
    /// Sampling temperature; greedy if not given.
    #[arg(long, value_name = "T", value_parser = temperature)]
    pub(crate) temperature: Option<f64>,
    /// Independent answers to the prompt.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) samples: u32,
    /// Answer without replay.
    #[arg(long)]
    pub(crate) off: bool,
}

#[derive(Debug, Group)]
pub(crate) struct TraceArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
    /// The page to write.
    #[arg(long, value_name = "FILE", default_value = "inspect.html")]
    pub(crate) out: PathBuf,
    /// Most tokens to generate for each of the two answers.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: u32,
}

#[derive(Debug, Group)]
pub(crate) struct DataArgs {
    /// The data set: JSON Lines with `image` or `images`, `prompt` or `question` and `answer` (`analyse` and `sweep` do without), a JSON list,
    /// or a table (.tsv, .csv) as VLMEvalKit has.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Use only the first N prompts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Go on with the good lines when others are wrong.
    #[arg(long)]
    pub(crate) keep_going: bool,
}

#[derive(Debug, Group)]
pub(crate) struct AnswerArgs {
    /// Answers to each prompt at the temperature, besides the greedy one.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) samples: u32,
    /// Sampling temperature.
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    pub(crate) temperature: f64,
    /// Seed of the samples and of the resampling.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How the answer is found in a text: exact, boxed, answer-tag, numeric, numeric:TOLERANCE, letter or regex:PATTERN.
    #[arg(long, value_name = "VERIFIER", default_value = "boxed")]
    pub(crate) verifier: String,
    /// Most tokens of an answer.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: u32,
    /// Requests at a time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) concurrency: u32,
    /// Where every answer is written down, and where an interrupted run goes on from [default: beside the data].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(crate) struct EvalArgs {
    /// The configuration file; repeat it for several, all of one pair.
    #[arg(long, value_name = "FILE", default_value = "replay.toml")]
    pub(crate) config: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) answers: AnswerArgs,
    /// Also evaluate the base model alone.
    #[arg(long)]
    pub(crate) base: bool,
    /// A system prompt for lines that have none.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// The system prompt of one arm, whatever its lines say: a base and its RLVR model may have been trained with different ones; repeat it.
    #[arg(long, value_name = "ARM=TEXT")]
    pub(crate) arm_system: Vec<String>,
    /// Also show pass@1 by this key of the data set [default: category, where lines have it].
    #[arg(long, value_name = "KEY")]
    pub(crate) by: Option<String>,
    /// The arm that all others are compared with.
    #[arg(long, value_name = "ARM", default_value = super::plain::OFF)]
    pub(crate) against: String,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write a page with the curves.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(crate) struct JudgeArgs {
    /// How the answer is found in a text: exact, boxed, answer-tag, numeric, numeric:TOLERANCE, letter or regex:PATTERN.
    #[arg(long, value_name = "VERIFIER", default_value = "boxed")]
    pub(crate) verifier: String,
    /// The answers: a JSON object a line with `text` and the right `answer` and, if need be, `verifier`; or the records of `replay eval`.
    #[arg(long, value_name = "FILE")]
    pub(crate) answers: PathBuf,
    /// The data set that the records of `replay eval` belong to, with its right answers.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Print one JSON object: the verdicts in the order of the file.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct AnalyseArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Buckets of base entropy.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=100))]
    pub(crate) quantiles: u32,
    /// A data set of prompts like those that RL was trained on, which the gate is to keep out.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// The share of rows that the calibrated thresholds are to select.
    #[arg(long, value_name = "SHARE", default_value_t = 0.25, value_parser = share)]
    pub(crate) share: f64,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write a page with the curves.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) answers: AnswerArgs,
    /// The residuals to sweep, separated by commas: 0 is what enters the first decoder layer, J the output of layer J - 1 [default: all].
    #[arg(long, value_name = "J,...", value_delimiter = ',')]
    pub(crate) residuals: Option<Vec<usize>>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write a page with the curve.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(crate) struct ServeArgs {
    /// The configuration file; repeat it for several models, of which the first is the default. A model is called like the last part of
    /// its hub id or directory, or NAME. Or one configuration file of the engine with the tables of replay in it.
    #[arg(long, value_name = "[NAME=]FILE", default_value = "replay.toml")]
    pub(crate) config: Vec<NamedFile>,
    /// The address to listen on [default: 127.0.0.1, or what the engine's file says].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<std::net::IpAddr>,
    /// The port to listen on; 0 takes a free one [default: 8000, or what the engine's file says].
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// The environment variable that holds the API key that requests have to carry.
    #[arg(long, value_name = "NAME")]
    pub(crate) api_key_env: Option<String>,
    /// The directory that requests may name images in; without it, local files are refused.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) image_root: Option<PathBuf>,
    /// Fetch no images over http and https.
    #[arg(long)]
    pub(crate) no_fetch: bool,
    /// Also fetch images from this machine and private networks.
    #[arg(long)]
    pub(crate) private_addresses: bool,
    /// The largest request, and the largest image, in MiB [default: 32, and 20 for an image].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) max_body_mib: Option<u32>,
    /// The largest image in pixels [default: 50000000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_pixels: Option<u64>,
    /// Open the engine's routes that change it (unload, reload, requantise, tune) or keep what was said (responses).
    #[arg(long)]
    pub(crate) admin: bool,
    /// Open POST /v1/replay/reload, which has the files read again as a hang-up signal does.
    #[arg(long, requires = "api_key_env")]
    pub(crate) reload_route: bool,
}

/// A configuration file, and the name of its model if the argument gives one.
#[derive(Debug, Clone)]
pub(crate) struct NamedFile {
    pub(crate) name: Option<String>,
    pub(crate) file: PathBuf,
}

impl std::str::FromStr for NamedFile {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The name of a file may contain the sign.
        let named = text.split_once('=').filter(|(name, _)| !name.is_empty() && !PathBuf::from(text).exists());
        Ok(match named {
            Some((name, file)) => Self { name: Some(name.into()), file: file.into() },
            None => Self { name: None, file: text.into() },
        })
    }
}

#[derive(Debug, Group)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
    /// Rounds after a first one that warms up.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Tokens to generate, for the throughput.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) max_tokens: u32,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 1".into()),
    }
}

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 100".into()),
    }
}
