//! The `replay` program.
fn main() -> std::process::ExitCode {
    replay_cli::main()
}
