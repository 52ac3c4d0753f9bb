//! Strategy `learned` in the families that have no goldens: the start compares every residual of the differentiable decoder with the
//! engine's; here the loss falls, and equal models learn nothing.
use replay_core::Status;
use replay_core::session::{Directive, Prompt, Sampling, Session as _};
use replay_mistralrs::MistralrsSession;
use replay_mistralrs::families::Family;

use super::matrix::picture;
use super::spec::{Spec, names};
use crate::common::{LEARNED, config, runtime};

#[test]
fn families_with_a_differentiable_decoder_learn() {
    let able = |name: &String| Family::of(&Spec::read(name).config).is_ok_and(|family| family.decoder.is_some());
    let names: Vec<String> = names().into_iter().filter(able).collect();
    assert!(names.len() >= 4, "{names:?}");
    runtime().block_on(async {
        for name in names {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let (base, rlvr) = Spec::read(&name).write_pair(folder.path());
            let learn = async |base: &std::path::Path| {
                let session = MistralrsSession::open(&config(base, &rlvr, LEARNED))
                    .await
                    .unwrap_or_else(|e| panic!("{name}: {e}"));
                let images = vec![picture(60, 50), picture(112, 60)];
                let prompt = Prompt { images, text: "What is it?".into(), ..Prompt::default() };
                let first = Sampling { max_tokens: Some(1), ..Sampling::default() };
                let report = session.answer(prompt, first, Directive::default()).await.expect("an answer").replay;
                (session.replay().expect("on").decoder_errors().expect("tested"), report.expect("a report"))
            };
            let ((of_base, of_rlvr), report) = learn(&base).await;
            assert!(of_base < 1e-5 && of_rlvr < 1e-5, "{name}: {of_base:e} {of_rlvr:e}");
            let learned = report.learned.expect("learned");
            assert!(report.status == Status::Replayed && learned.final_loss < learned.losses[0], "{name}: {learned:?}");
            let (_, twins) = learn(&rlvr).await;
            assert_eq!(twins.status, Status::Unchanged, "{name}: equal models agree");
            println!(
                "{name}: loss {:.3e} to {:.3e}; decoder within {of_rlvr:.0e}",
                learned.losses[0], learned.final_loss
            );
        }
    });
}
