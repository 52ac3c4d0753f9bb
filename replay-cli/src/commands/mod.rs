//! The commands of the `replay` program, one file each.
mod adapters;
mod analyse;
mod answers;
mod args;
mod bench;
mod check;
mod data;
mod eval;
mod exit;
mod inspect;
mod judge;
mod memory;
mod open;
mod plain;
mod presets;
mod progress;
mod run;
mod serve;
mod sweep;
mod trace;
mod write;

use std::io::IsTerminal;

use clap::Parser;

use args::{Args, Command};

/// Runs the program with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    let args = Args::parse();
    if !matches!(args.command, Command::Serve(_)) {
        // If `head` or a pager closes the output, the program ends without an error, like other programs.
        sigpipe::reset();
    }
    // `replay` is the prefix of the targets of this program and all its crates.
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "error,replay=warn".into());
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    exit::report(run_command(args))
}

fn run_command(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args.command {
        Command::Check { config } => runtime.block_on(check::check(&config)),
        Command::Run(args) => runtime.block_on(run::run(args)),
        Command::Inspect(args) => runtime.block_on(inspect::inspect(args)),
        Command::Eval(args) => runtime.block_on(eval::eval(args)),
        Command::Analyse(args) => runtime.block_on(analyse::analyse(args)),
        Command::Judge(args) => judge::judge(&args),
        Command::Sweep(args) => runtime.block_on(sweep::sweep(args)),
        Command::Bench(args) => runtime.block_on(bench::bench(args)),
        Command::Serve(args) => runtime.block_on(serve::serve(args)),
        Command::Trace(args) => runtime.block_on(trace::trace(args)),
        Command::Adapters => adapters::adapters(),
        Command::Presets => presets::presets(),
        Command::Schema => presets::schema(),
    }
}
