//! Runs the checks.
use super::check::Check;
use super::checks;
use super::report::{CheckResult, ConformanceReport};
use super::subject::Maker;
use crate::Result;

/// Runs every check on a fresh subject.
///
/// # Errors
/// If a subject cannot be made. A check that returns an error counts as failed.
pub async fn run(maker: &mut dyn Maker) -> Result<ConformanceReport> {
    let mut results: Vec<(Check, CheckResult)> = Vec::new();
    for check in Check::ALL {
        let missing = check
            .requires()
            .iter()
            .find(|needed| results.iter().any(|(done, result)| done == *needed && *result != CheckResult::Passed));
        let result = match missing {
            Some(needed) => CheckResult::Skipped(*needed),
            None => {
                let mut subject = maker.make(check == Check::EqualModelsChangeNothing).await?;
                match checks::run_check(check, &mut *subject).await {
                    Ok(Ok(())) => CheckResult::Passed,
                    Ok(Err(why)) => CheckResult::Failed(why),
                    Err(error) => CheckResult::Failed(error.to_string()),
                }
            }
        };
        results.push((check, result));
    }
    Ok(ConformanceReport(results))
}
