//! The gate of an experiment: what must hold of one cell.

use std::collections::BTreeMap;

use qd_eval::Gate;
use qd_eval::gate::{Judged, MEASURES};
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

/// Whether gates can be judged of what a definition asks for, as far as that says: before anything is paid.
///
/// # Errors
/// [`Error::Usage`] for a metric or a cell that there will not be, and for several cells of which none is named: the best one
/// would be chosen by looking, and pass too often.
pub fn foresee(gates: &[Gate], definition: &Value, cell: Option<&str>) -> Result<(), Error> {
    let several = |name: &str| definition[name].as_array().map_or(0, Vec::len);
    let values = definition["parameters"].as_object().into_iter().flatten();
    let parameters: usize = values.map(|(_, values)| values.as_array().map_or(1, Vec::len)).product();
    let grid = several("prompts") * several("models").max(1) * parameters * several("shots").max(1);
    let drawn = definition["search"]["cells"].as_u64().and_then(|cells| usize::try_from(cells).ok());
    let cells = drawn.map_or(grid, |drawn| grid.min(drawn));
    let help = format!("its cells are c1 to c{cells}; name the one that is judged with --cell");
    let number = cell.and_then(|cell| cell.strip_prefix('c')?.parse::<usize>().ok());
    if cells > 0 && number.is_some_and(|number| !(1..=cells).contains(&number)) {
        return Err(Error::Usage {
            problem: format!("the experiment has no cell {:?}", cell.unwrap_or_default()),
            help,
        });
    }
    if cells > 1 && cell.is_none() {
        return Err(Error::Usage { problem: format!("the experiment has {cells} cells, and a gate judges one"), help });
    }
    let scorers = definition["scorers"].as_array().into_iter().flatten();
    let names = scorers.filter_map(|scorer| scorer["name"].as_str().or(scorer["kind"].as_str()));
    let mut there: Vec<String> =
        names.flat_map(|name| [name.to_owned(), format!("{name}.low"), format!("{name}.high")]).collect();
    there.extend(MEASURES.iter().map(|name| (*name).to_owned()));
    for gate in gates {
        gate.judge(|name| there.iter().any(|known| known == name).then_some(None), &there).map_err(usage)?;
    }
    Ok(())
}

/// Judges a cell of an experiment: the one that is named, or else the only one.
///
/// # Errors
/// [`Error::Usage`] for a cell or a metric that there is not.
pub fn judge(gates: &[Gate], found: &Value, cell: Option<&str>) -> Result<Verdict, Error> {
    let report = &found["report"];
    let cells = report["cells"].as_array().map_or(&[][..], Vec::as_slice);
    let wanted = cell.or(cells.first().filter(|_| cells.len() == 1).and_then(|cell| cell["id"].as_str()));
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
    for name in MEASURES {
        let field = if name == "cost_usd" { "cost_per_call_usd" } else { name };
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_judged_is_told_before_anything_is_paid() {
        let why = |gate: &str, prompts: &[&str], cell: Option<&str>| {
            let definition =
                json!({"prompts": prompts, "parameters": {"temperature": [0]}, "scorers": [{"kind": "exact_match"}]});
            foresee(&[read(gate).unwrap()], &definition, cell).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(why("exact_match.low >= 0.8 and failed < 1", &["a"], None), "");
        assert!(why("exact_mach >= 0.8", &["a"], None).contains("exact_mach"));
        assert!(why("exact_match >= 0.8", &["a", "b"], None).contains("2 cells"));
        assert_eq!(why("exact_match >= 0.8", &["a", "b"], Some("c2")), "");
        assert!(why("exact_match >= 0.8", &["a", "b"], Some("c3")).contains("no cell"));
    }
}
