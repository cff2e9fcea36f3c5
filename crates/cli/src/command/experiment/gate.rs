//! The gate of an experiment: what must hold of one cell.

use std::collections::BTreeMap;

use qd_eval::Gate;
use qd_eval::gate::Judged;
use serde_json::Value;

use crate::Error;

/// What came of a gate.
pub struct Verdict {
    /// The cell that was judged.
    pub cell: String,
    /// Why the experiment did not finish.
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
        help: "`quarterdeck experiment run --help` tells what a gate can ask for".to_owned(),
    }
}

/// Judges a cell of an experiment: the one that is named, or else the only one, or else the one with the best mean.
///
/// # Errors
/// [`Error::Usage`] for a cell or a metric that there is not.
pub fn judge(gates: &[Gate], found: &Value, cell: Option<&str>) -> Result<Verdict, Error> {
    let report = &found["report"];
    let cells = report["cells"].as_array().map_or(&[][..], Vec::as_slice);
    let wanted = cell.or(report["best"].as_str()).or(cells.first().and_then(|cell| cell["id"].as_str()));
    let judged = cells.iter().find(|cell| wanted.is_some_and(|wanted| cell["id"] == wanted || cell["label"] == wanted));
    let judged = judged.ok_or_else(|| Error::Usage {
        problem: format!("the experiment has no cell {:?}", wanted.unwrap_or_default()),
        help: format!("its cells are c1 to c{}", cells.len()),
    })?;
    let metrics = metrics(judged);
    let there: Vec<String> = metrics.keys().cloned().collect();
    let mut conditions = Vec::new();
    for gate in gates {
        conditions.extend(gate.judge(|name| metrics.get(name).copied(), &there).map_err(usage)?);
    }
    let state = found["state"].as_str().unwrap_or("unknown");
    let unfinished = (state != "finished").then(|| super::ending(state, found));
    Ok(Verdict { cell: judged["id"].as_str().unwrap_or_default().to_owned(), unfinished, conditions })
}

/// What a gate can ask for, with its value.
fn metrics(cell: &Value) -> BTreeMap<String, Option<f64>> {
    let mut metrics = BTreeMap::new();
    for (name, score) in cell["scores"].as_object().into_iter().flatten() {
        metrics.insert(name.clone(), score["mean"].as_f64());
        metrics.insert(format!("{name}.low"), score["low"].as_f64());
        metrics.insert(format!("{name}.high"), score["high"].as_f64());
    }
    for (name, field) in [
        ("cost_usd", "cost_per_call_usd"),
        ("latency_p50_ms", "latency_p50_ms"),
        ("latency_p95_ms", "latency_p95_ms"),
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("failed", "failed"),
    ] {
        metrics.insert(name.to_owned(), cell[field].as_f64());
    }
    metrics
}

impl Verdict {
    /// Says what came of it.
    ///
    /// # Errors
    /// [`Error::Gate`] when a condition does not hold, or the experiment did not finish.
    pub fn told(&self) -> Result<(), Error> {
        for judged in &self.conditions {
            let mark = if judged.passed { "passed" } else { "FAILED" };
            eprintln!("gate {mark}: {}, and {} has {}", judged.condition, self.cell, value(judged));
        }
        let broken: Vec<&str> =
            self.conditions.iter().filter(|judged| !judged.passed).map(|judged| judged.condition.as_str()).collect();
        match (&self.unfinished, broken.as_slice()) {
            (None, []) => Ok(()),
            (Some(why), _) => Err(Error::Gate { message: why.clone() }),
            (None, broken) => {
                Err(Error::Gate { message: format!("{} does not hold of {}", broken.join(" and "), self.cell) })
            }
        }
    }
}

/// The value that was judged, for people.
pub fn value(judged: &Judged) -> String {
    judged.value.map_or_else(|| "no value".to_owned(), |value| value.to_string())
}
