use super::mock::{Fault, MockMaker};
use super::*;
use crate::Exactness;

fn report_of(fault: Option<Fault>) -> ConformanceReport {
    pollster::block_on(run(&mut MockMaker::new(fault))).unwrap()
}

#[test]
fn the_mock_engine_passes() {
    let report = report_of(None);
    assert!(report.passed(), "{report}");
}

#[test]
fn an_engine_with_noise_passes_within_the_exactness_that_it_states() {
    let run = |noise: f32, stated: Exactness| pollster::block_on(run(&mut MockMaker::noisy(noise, stated))).unwrap();
    let report = run(1e-5, Exactness::Tolerance(1e-3));
    assert!(report.passed(), "{report}");
    assert!(run(1e-5, Exactness::Bits).failed().contains(&Check::OffIsIdentical));
    assert!(run(1e-2, Exactness::Tolerance(1e-3)).failed().contains(&Check::OffIsIdentical));
}

#[test]
fn each_fault_fails_exactly_its_own_check() {
    for fault in Fault::ALL {
        let report = report_of(Some(fault));
        assert_eq!(report.failed(), [fault.breaks()], "{fault:?}\n{report}");
    }
}

#[test]
fn every_check_is_broken_by_some_fault() {
    for check in Check::ALL {
        assert!(Fault::ALL.iter().any(|fault| fault.breaks() == check), "{check:?}");
    }
}
