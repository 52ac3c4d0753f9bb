//! Which fixes to leave out together.

use std::collections::BTreeSet;

use crate::{
    edits::{EditList, Fault},
    error::{Error, Result},
    page::PAGE,
};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Each fault that has a test, one at a time.
    Each,
    /// Each area, all its faults that have a test at once.
    Areas,
    /// These faults one at a time, and these areas at once.
    Named {
        /// Names of faults.
        faults: Vec<String>,
        /// Names of areas.
        areas: Vec<String>,
    },
}

/// Faults whose fixes are left out of one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The fault's name, or the area's.
    pub name: String,
    /// Faults that have a test.
    pub faults: Vec<Fault>,
}

impl Group {
    /// Names of the faults.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.faults.iter().map(|fault| fault.name.clone()).collect()
    }
}

/// The groups in the order of the lists.
///
/// # Errors
/// [`Error::Selection`] for a name that no fault or area has, and for a fault that has no test.
pub fn select(areas: &[EditList], selection: &Selection) -> Result<Vec<Group>> {
    let by_area = |area: &EditList| Group {
        name: area.name.clone(),
        faults: area.faults.iter().filter(tested).cloned().collect(),
    };
    let alone = |fault: &Fault| Group { name: fault.name.clone(), faults: vec![fault.clone()] };
    let all = || areas.iter().flat_map(|area| &area.faults);
    let groups = match selection {
        Selection::Each => all().filter(tested).map(alone).collect(),
        Selection::Areas => areas.iter().map(by_area).collect(),
        Selection::Named { faults, areas: names } => {
            let mut groups = Vec::new();
            for name in faults {
                match all().find(|fault| fault.name == *name) {
                    Some(fault) if !fault.tests.is_empty() => groups.push(alone(fault)),
                    Some(_) => {
                        return Err(Error::Selection(format!("no test of the suite is known for fault `{name}`")));
                    }
                    None => return Err(Error::Selection(format!("there is no fault `{name}`; {PAGE} lists them"))),
                }
            }
            for name in names {
                match areas.iter().find(|area| area.name == *name) {
                    Some(area) => groups.push(by_area(area)),
                    None => {
                        let known: Vec<&str> = areas.iter().map(|area| area.name.as_str()).collect();
                        let message = format!("there is no area `{name}`; there are: {}", known.join(", "));
                        return Err(Error::Selection(message));
                    }
                }
            }
            groups
        }
    };
    Ok(groups.into_iter().filter(|group| !group.faults.is_empty()).collect())
}

fn tested(fault: &&Fault) -> bool {
    !fault.tests.is_empty()
}
