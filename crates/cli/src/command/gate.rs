//! Gates: what must hold of a report, for CI systems.

pub mod junit;

use std::collections::BTreeMap;

use qd_eval::Gate;
use qd_eval::gate::Judged;

use crate::Error;

/// What came of gates.
pub struct Verdict {
    /// What was run: `experiment`, `evaluation`.
    pub noun: &'static str,
    /// What of it was judged: a cell, a target.
    pub subject: String,
    /// Why it did not finish.
    pub unfinished: Option<String>,
    /// Each condition.
    pub conditions: Vec<Judged>,
}

/// Reads a gate.
///
/// # Errors
/// [`Error::Usage`] for what is none.
pub fn read(text: &str) -> Result<Gate, Error> {
    text.parse().map_err(usage)
}

fn usage(error: qd_eval::Error) -> Error {
    Error::Usage {
        problem: error.to_string(),
        help: "`--help` of the same command tells what a gate can ask for".to_owned(),
    }
}

/// Whether gates ask only for what there will be, before anything is paid.
///
/// # Errors
/// [`Error::Usage`] for a metric that there will not be.
pub fn foresee(gates: &[Gate], there: &[String]) -> Result<(), Error> {
    let known = |name: &str| there.iter().any(|known| known == name).then_some(None);
    gates.iter().try_for_each(|gate| gate.judge(known, there).map(drop).map_err(usage))
}

/// Judges metrics by name.
///
/// # Errors
/// [`Error::Usage`] for a metric that there is not.
pub fn judge(gates: &[Gate], metrics: &BTreeMap<String, Option<f64>>) -> Result<Vec<Judged>, Error> {
    let there: Vec<String> = metrics.keys().cloned().collect();
    let mut conditions = Vec::new();
    for gate in gates {
        conditions.extend(gate.judge(|name| metrics.get(name).copied(), &there).map_err(usage)?);
    }
    Ok(conditions)
}

impl Verdict {
    /// Says what came of it.
    ///
    /// # Errors
    /// [`Error::Gate`] when a condition does not hold, or what was run did not finish.
    pub fn told(&self) -> Result<(), Error> {
        for judged in &self.conditions {
            let mark = if judged.passed { "passed" } else { "FAILED" };
            eprintln!("gate {mark}: {}, and {} has {}", judged.condition, self.subject, value(judged));
        }
        let broken: Vec<&str> =
            self.conditions.iter().filter(|judged| !judged.passed).map(|judged| judged.condition.as_str()).collect();
        match (&self.unfinished, broken.as_slice()) {
            (None, []) => Ok(()),
            (Some(why), _) => Err(Error::Gate { message: why.clone() }),
            (None, broken) => {
                Err(Error::Gate { message: format!("{} does not hold of {}", broken.join(" and "), self.subject) })
            }
        }
    }
}

/// The value that was judged, for people.
pub fn value(judged: &Judged) -> String {
    judged.value.map_or_else(|| "no value".to_owned(), |value| value.to_string())
}
