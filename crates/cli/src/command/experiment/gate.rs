//! The gate of an experiment: what must hold of one cell.

use std::collections::BTreeMap;

use qd_eval::Gate;
use qd_eval::gate::MEASURES;
use serde_json::Value;

use crate::Error;
use crate::command::gate::{self, Verdict};

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
    gate::foresee(gates, &there)
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
    let conditions = gate::judge(gates, &metrics(judged))?;
    let state = found["state"].as_str().unwrap_or("unknown");
    let unfinished = (state != "finished").then(|| super::ending(state, found));
    let subject = judged["id"].as_str().unwrap_or_default().to_owned();
    Ok(Verdict { noun: "experiment", subject, unfinished, conditions })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_judged_is_told_before_anything_is_paid() {
        let why = |text: &str, prompts: &[&str], cell: Option<&str>| {
            let definition =
                json!({"prompts": prompts, "parameters": {"temperature": [0]}, "scorers": [{"kind": "exact_match"}]});
            foresee(&[gate::read(text).unwrap()], &definition, cell)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        assert_eq!(why("exact_match.low >= 0.8 and failed < 1", &["a"], None), "");
        assert!(why("exact_mach >= 0.8", &["a"], None).contains("exact_mach"));
        assert!(why("exact_match >= 0.8", &["a", "b"], None).contains("2 cells"));
        assert_eq!(why("exact_match >= 0.8", &["a", "b"], Some("c2")), "");
        assert!(why("exact_match >= 0.8", &["a", "b"], Some("c3")).contains("no cell"));
    }
}
