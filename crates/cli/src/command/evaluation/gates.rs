//! The gates of an evaluation: what must hold of its targets.

use std::collections::BTreeMap;

use qd_eval::Gate;
use qd_eval::gate::{Judged, MEASURES};
use serde_json::Value;

use super::told;
use crate::Error;
use crate::command::gate;

/// Ends of a score's interval, and of what people would have said.
const ENDS: [&str; 5] = [".low", ".high", ".corrected", ".corrected.low", ".corrected.high"];

/// Whether gates can be judged of what a definition asks for, as far as that says: before anything is paid.
///
/// # Errors
/// [`Error::Usage`] for a target or a metric that there will not be, and for one of several targets that is not named.
pub fn foresee(gates: &[Gate], definition: &Value, target: Option<&str>) -> Result<(), Error> {
    let several: Vec<&str> =
        definition["targets"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if let Some(unknown) = target.filter(|target| !several.contains(target) && !several.is_empty()) {
        return Err(Error::Usage {
            problem: format!("the evaluation has no target {unknown:?}"),
            help: format!("its targets are {}", several.join(", ")),
        });
    }
    let scorers = definition["scorers"].as_array().into_iter().flatten();
    let mut names: Vec<String> = scorers.flat_map(with_ends).collect();
    names.extend(MEASURES.iter().map(|name| (*name).to_owned()));
    let mut there: Vec<String> =
        several.iter().flat_map(|target| names.iter().map(move |name| format!("{target}.{name}"))).collect();
    if several.len() < 2 || target.is_some() {
        there.extend(names);
    }
    gate::foresee(gates, &there)
}

/// What a scorer will be called: its name, its kind, or as its judge is called.
fn name_of(scorer: &Value) -> String {
    let named = scorer["name"].as_str().map(str::to_owned);
    let judge = scorer["judge"].as_str().map(|judge| {
        let reference = judge.split('@').next().unwrap_or_default();
        let last = reference.strip_prefix("ready/").unwrap_or(reference);
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        last.chars().map(plain).collect()
    });
    named.or(judge).or(scorer["kind"].as_str().map(str::to_owned)).unwrap_or_default()
}

/// What a gate can ask for of a scorer: what people would have said only of a judge. The server knows whether they said anything.
fn with_ends(scorer: &Value) -> Vec<String> {
    let name = name_of(scorer);
    let ends = ENDS.iter().filter(|end| scorer["kind"] == "judge" || !end.starts_with(".corrected"));
    let ends: Vec<String> = ends.map(|end| format!("{name}{end}")).collect();
    std::iter::once(name).chain(ends).collect()
}

/// Judges an evaluation.
///
/// # Errors
/// [`Error::Usage`] for a metric that there is not.
pub fn judge(gates: &[Gate], found: &Value, target: Option<&str>) -> Result<Vec<Judged>, Error> {
    let several = told::targets(found).count() > 1;
    let mut metrics = BTreeMap::new();
    for one in told::targets(found) {
        let name = one["name"].as_str().unwrap_or_default();
        let of_target = of_target(one);
        if !several || target == Some(name) {
            metrics.extend(of_target.clone());
        }
        metrics.extend(of_target.into_iter().map(|(metric, value)| (format!("{name}.{metric}"), value)));
    }
    gate::judge(gates, &metrics)
}

/// What a gate can ask for of a target, with its value.
fn of_target(target: &Value) -> BTreeMap<String, Option<f64>> {
    let mut metrics = BTreeMap::new();
    for score in told::scores(target) {
        let name = score["name"].as_str().unwrap_or_default();
        let corrected = &score["judge"]["corrected"];
        let values = [&score["low"], &score["high"], &corrected["value"], &corrected["low"], &corrected["high"]];
        metrics.insert(name.to_owned(), score["value"].as_f64());
        metrics.extend(ENDS.iter().zip(values).map(|(end, value)| (format!("{name}{end}"), value.as_f64())));
    }
    for name in MEASURES {
        let field = if name == "cost_usd" { "cost_per_call_usd" } else { name };
        metrics.insert(name.to_owned(), target[field].as_f64());
    }
    metrics
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_judged_is_told_before_anything_is_paid() {
        let why = |text: &str, targets: Value, target: Option<&str>| {
            let definition = json!({"targets": targets, "scorers": [{"kind": "bleu"}, {"kind": "judge", "judge": "ready/help-ful@m"}]});
            let gates = [gate::read(text).unwrap()];
            foresee(&gates, &definition, target).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let two = json!({"a": {}, "b": {}});
        assert_eq!(why("bleu.low >= 30 and help_ful.corrected > 0.5", json!(null), None), "");
        assert!(why("blue >= 30", json!(null), None).contains("blue"));
        assert!(why("bleu.corrected >= 30", json!(null), None).contains("bleu.corrected"), "BLEU is no judge");
        assert_eq!(why("a.bleu >= 30 and b.failed < 1", two.clone(), None), "");
        assert!(why("bleu >= 30", two.clone(), None).contains("\"bleu\""), "of which target?");
        assert_eq!(why("bleu >= 30", two.clone(), Some("b")), "");
        assert!(why("bleu >= 30", two, Some("c")).contains("no target"));
    }

    #[test]
    fn targets_are_judged_by_name() {
        let target = |name: &str, value: f64| json!({"name": name, "failed": 0, "scores": [{"name": "bleu", "value": value, "low": value - 1.0}]});
        let found = json!({"report": {"targets": [target("a", 30.0), target("b", 20.0)]}});
        let passed = |text: &str, target: Option<&str>| {
            let judged = judge(&[gate::read(text).unwrap()], &found, target);
            judged.map(|judged| judged.into_iter().map(|one| one.passed).collect::<Vec<_>>())
        };
        assert_eq!(passed("a.bleu >= 30 and b.bleu >= 30", None).unwrap(), [true, false]);
        assert_eq!(passed("bleu.low >= 29 and failed < 1", Some("a")).unwrap(), [true, true]);
        assert_eq!(passed("bleu.high >= 29", Some("a")).unwrap(), [false], "what has no number does not hold");
        assert!(passed("bleu >= 1", None).is_err());
    }
}
