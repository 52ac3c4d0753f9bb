//! Replay in an engine of your own: a small engine that is not mistral.rs, its adapter, and its conformance test.
//! [docs/writing-an-adapter.md](../../docs/writing-an-adapter.md) walks through it.
//!
//!     cargo seam run --example custom_adapter
//!
//! With arguments it is the `replay` program, which has this adapter besides its own:
//!
//!     cargo seam run --example custom_adapter run --config examples/configs/toy.toml --image examples/images/000.png --prompt "What is it?"
mod adapter;
mod conformance;
mod engine;
mod pair;
mod session;
mod text;

use std::process::ExitCode;

use replay_core::registry;

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        return replay_cli::main();
    }
    match check() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Shows what is linked, and runs the conformance kit.
fn check() -> anyhow::Result<()> {
    for adapter in registry::adapters()? {
        println!("adapter {} for {}", adapter.name(), adapter.engine());
    }
    let outcome = pollster::block_on(replay_core::conformance::run(&mut conformance::Toys))?;
    print!("{outcome}");
    anyhow::ensure!(outcome.passed(), "the adapter does not conform");
    Ok(())
}
