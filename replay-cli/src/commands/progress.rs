//! Shows the progress of a prompt on a terminal, since learning takes long.
use indicatif::{ProgressBar, ProgressStyle};
use replay_core::session::{Answer, Directive, Event, Prompt, Request, Sampling, Session, SessionError};
use tokio::sync::mpsc;

use super::open;

/// Answers a prompt with a spinner, and with a progress bar while a delta is learned.
pub(crate) async fn ask(
    session: &dyn Session,
    prompt: Prompt,
    sampling: Sampling,
    directive: Directive,
) -> Result<Answer, SessionError> {
    let (sender, mut passes) = mpsc::unbounded_channel();
    let bar = open::spinner("answering".into());
    let request = Request { sampling, directive, first_token: true, ..Request::new(prompt) };
    let mut listen = move |event| {
        if let Event::Progress(progress) = event {
            let _ = sender.send(progress);
        }
    };
    let mut answer = session.ask(request, &mut listen);
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            Some(progress) = passes.recv() => {
                if progress.pass == 1 {
                    start_learning(&bar, progress.passes as u64);
                }
                bar.set_position(progress.pass as u64);
                bar.set_message(format!("loss {:.3e}", progress.loss));
            }
        }
    };
    bar.finish_and_clear();
    answer
}

fn start_learning(bar: &ProgressBar, passes: u64) {
    bar.set_length(passes);
    let style = ProgressStyle::with_template("{spinner} learning [{bar:30}] {pos}/{len} {msg} [{elapsed}]");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
}
