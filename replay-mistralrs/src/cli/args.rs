//! Arguments.
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
    /// The user's text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: String,
    /// A system message.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
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

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 100".into()),
    }
}
