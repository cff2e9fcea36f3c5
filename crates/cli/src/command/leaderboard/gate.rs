//! The gate of a leaderboard: what must hold of one model.

use std::collections::BTreeMap;

use qd_eval::Gate;
use serde_json::Value;

use crate::Error;
use crate::command::gate::{self, Verdict};

/// Whether it is clear which model is judged, before anything is paid.
///
/// # Errors
/// [`Error::Usage`] for several models of which none is named: the best one would be chosen by looking, and pass too often.
pub fn foresee(models: &Value, model: Option<&str>) -> Result<(), Error> {
    let names: Vec<&str> = models.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let problem = match model {
        Some(model) if !names.contains(&model) => format!("the leaderboard does not ask {model:?}"),
        None if names.len() > 1 => format!("the leaderboard asks {} models, and a gate judges one", names.len()),
        _ => return Ok(()),
    };
    Err(Error::Usage { problem, help: format!("name one of {} with --model", names.join(", ")) })
}

/// Judges a model: the one that is named, or else the only one.
///
/// # Errors
/// [`Error::Usage`] for a metric that there is not.
pub fn judge(gates: &[Gate], found: &Value, model: Option<&str>) -> Result<Verdict, Error> {
    let models = found["report"]["models"].as_array().map_or(&[][..], Vec::as_slice);
    let judged = models.iter().find(|row| model.is_none_or(|model| row["model"] == model)).unwrap_or(&Value::Null);
    let state = found["state"].as_str().unwrap_or("unknown");
    Ok(Verdict {
        noun: "leaderboard",
        subject: judged["model"].as_str().unwrap_or_default().to_owned(),
        unfinished: (state != "finished").then(|| super::ending(state, found)),
        conditions: gate::judge(gates, &metrics(judged))?,
    })
}

/// What a gate can ask for, with its value.
fn metrics(model: &Value) -> BTreeMap<String, Option<f64>> {
    let fields = [
        ("score", "score"),
        ("score.low", "low"),
        ("score.high", "high"),
        ("rank_best", "rank_best"),
        ("rank_worst", "rank_worst"),
        ("tokens_per_second", "tokens_per_second"),
        ("cost_usd", "cost_usd"),
        ("failed", "failed"),
    ];
    let mut metrics: BTreeMap<String, Option<f64>> =
        fields.iter().map(|(name, field)| ((*name).to_owned(), model[field].as_f64())).collect();
    for task in model["tasks"].as_array().into_iter().flatten() {
        // A task of a group has the group before it.
        let name = task["task"].as_str().unwrap_or_default().replace(['/', ':'], ".");
        metrics.insert(name, task["value"].as_f64());
    }
    metrics
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_model_is_judged_by_its_numbers() {
        let found = json!({"state": "finished", "report": {"models": [
            {"model": "a", "score": 9.0, "failed": 0, "tasks": [{"task": "g/t", "value": 0.5}]}, {"model": "b", "score": 3.0},
        ]}});
        let judged = |gate: &str, model: &str| judge(&[gate::read(gate).unwrap()], &found, Some(model))?.told();
        assert!(judged("score > 5 and g.t >= 0.5, failed <= 0", "a").is_ok());
        assert!(matches!(judged("score > 5", "b"), Err(Error::Gate { .. })));
        assert!(matches!(judged("scor > 5", "a"), Err(Error::Usage { .. })));
        let stopped = json!({"state": "stopped", "why": "budget", "report": found["report"]});
        let stopped = judge(&[gate::read("score > 5").unwrap()], &stopped, Some("a")).unwrap();
        assert!(stopped.told().unwrap_err().to_string().contains("budget"));
        assert!(foresee(&json!(["a", "b"]), None).is_err() && foresee(&json!(["a"]), None).is_ok());
        assert!(foresee(&json!(["a"]), Some("c")).is_err());
    }
}
