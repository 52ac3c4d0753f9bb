//! A prompt's progress on a terminal: learning takes a while.
use indicatif::{ProgressBar, ProgressStyle};
use replay_core::session::{Answer, Directive, Event, Prompt, Request, Sampling, Session, SessionError};
use tokio::sync::mpsc;

use super::open;

/// Asks, with a spinner, and with a bar from the first pass of learning to the last.
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
                    learning(&bar, progress.passes as u64);
                }
                bar.set_position(progress.pass as u64);
                bar.set_message(format!("loss {:.3e}", progress.loss));
            }
        }
    };
    bar.finish_and_clear();
    answer
}

fn learning(bar: &ProgressBar, passes: u64) {
    bar.set_length(passes);
    let style = ProgressStyle::with_template("{spinner} learning [{bar:30}] {pos}/{len} {msg} [{elapsed}]");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
}
