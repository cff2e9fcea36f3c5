//! From what was typed to a rule.

use serde_json::{Map, Value, json};

use crate::Error;
use crate::args::Rule;
use crate::command::input;

/// Fields of an answer that say what a rule is, and not how it stands.
const SPEC: &[&str] = &[
    "severity",
    "receivers",
    "enabled",
    "query",
    "everywhere",
    "window_s",
    "every_s",
    "delay_s",
    "condition",
    "for_s",
    "for_evaluations",
    "keep_firing_for_s",
    "on_no_data",
    "on_error",
    "description",
];

/// What a rule is, of what the server says of it.
pub fn spec_of(rule: Value) -> Value {
    let Value::Object(fields) = rule else { return json!({}) };
    fields.into_iter().filter(|(name, value)| SPEC.contains(&name.as_str()) && !value.is_null()).collect()
}

/// The rule that was typed, over the one that there is.
///
/// # Errors
/// [`Error::Usage`] when what was typed is no rule.
pub fn read(typed: &Rule, begin: Value) -> Result<Value, Error> {
    let mut rule = match &typed.file {
        Some(file) => spec_of(from_file(file)?),
        None => begin,
    };
    query(typed, &mut rule);
    match condition(typed)? {
        Some(condition) => rule["condition"] = over(condition, &rule["condition"]),
        None => adjust(typed, &mut rule["condition"])?,
    }
    let fields = [
        ("window_s", typed.window.map(Value::from)),
        ("every_s", typed.every.map(Value::from)),
        ("delay_s", typed.delay.map(Value::from)),
        ("for_s", typed.hold.map(Value::from)),
        ("for_evaluations", typed.evaluations.map(Value::from)),
        ("keep_firing_for_s", typed.keep_firing.map(Value::from)),
        ("severity", typed.severity.clone().map(Value::from)),
        ("on_no_data", typed.on_no_data.clone().map(Value::from)),
        ("on_error", typed.on_error.clone().map(Value::from)),
        ("description", typed.description.clone().map(Value::from)),
        ("receivers", (!typed.receivers.is_empty()).then(|| json!(typed.receivers))),
        ("everywhere", typed.everywhere.then_some(Value::Bool(true))),
        ("enabled", typed.disable.then_some(Value::Bool(false)).or(typed.enable.then_some(Value::Bool(true)))),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            rule[name] = value;
        }
    }
    complete(&mut rule)?;
    Ok(rule)
}

fn from_file(file: &str) -> Result<Value, Error> {
    let text = match file {
        "-" => input()?,
        file => std::fs::read_to_string(file).map_err(|cause| Error::doing(format!("reading {file}"), cause))?,
    };
    let rule: Map<String, Value> = serde_json::from_str(&text).map_err(|cause| Error::Usage {
        problem: format!("{file} is no JSON object: {cause}"),
        help: "`quarterdeck alert show NAME --output json` shows what a rule looks like".to_owned(),
    })?;
    Ok(Value::Object(rule))
}

/// A condition that was typed; what was not typed of it is as in the one there is, if that is of its kind.
fn over(mut condition: Value, before: &Value) -> Value {
    let alike = before["kind"] == condition["kind"];
    if let Some(fields) = condition.as_object_mut() {
        for (name, value) in fields.iter_mut().filter(|(_, value)| value.is_null()) {
            *value = match alike {
                true => before[name.as_str()].clone(),
                false => Value::Null,
            };
        }
        if fields["kind"] == "change" {
            fields.entry("unit").and_modify(|unit| if_null(unit, "percent"));
            fields.entry("against").and_modify(|against| if_null(against, "previous"));
        }
    }
    condition
}

fn if_null(value: &mut Value, word: &str) {
    if value.is_null() {
        *value = word.into();
    }
}

/// Changes the condition that there is where only a part of one was typed.
fn adjust(typed: &Rule, condition: &mut Value) -> Result<(), Error> {
    let clear = if condition["kind"] == "budget" { "clear_factor" } else { "clear" };
    let parts = [
        ("--clear", &["threshold", "change", "budget"][..], clear, typed.clear.map(Value::from)),
        ("--against", &["change"], "against", typed.against.clone().map(Value::from)),
        ("--absolute", &["change"], "unit", typed.absolute.then(|| "absolute".into())),
        ("--period", &["budget"], "period_s", typed.period.map(Value::from)),
        ("--burn", &["budget"], "factor", typed.burn.map(Value::from)),
        ("--short-window", &["budget"], "short_window_s", typed.short_window.map(Value::from)),
        ("--grace", &["absence"], "grace_s", typed.grace.map(Value::from)),
    ];
    for (flag, kinds, name, value) in parts {
        let Some(value) = value else { continue };
        if !condition["kind"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
            return Err(Error::Usage {
                problem: format!("{flag} is part of a condition that is not there"),
                help: format!("it goes with a condition of the kind {}", kinds.join(" or ")),
            });
        }
        condition[name] = value;
    }
    Ok(())
}

/// What a rule cannot do without is asked for here, in the words of the command line.
fn complete(rule: &mut Value) -> Result<(), Error> {
    let missing = |problem: &str, help: &str| Error::Usage { problem: problem.to_owned(), help: help.to_owned() };
    if rule["query"].is_null() {
        if rule["condition"]["kind"] != "absence" {
            return Err(missing("it is not said what to read", "give --measure, or --sql"));
        }
        rule["query"] = json!({"measure": "calls"});
    }
    if rule["condition"].is_null() {
        return Err(missing(
            "it is not said what to tell",
            "give --above, --below, --change-above, --budget or --absent",
        ));
    }
    if rule["window_s"].is_null() {
        rule["window_s"] = 300.into();
    }
    Ok(())
}

/// Parts of a query that are typed replace those of the rule; another measure begins another query.
fn query(typed: &Rule, rule: &mut Value) {
    let parts = [
        ("measure", &typed.measure),
        ("sql", &typed.sql),
        ("score", &typed.score),
        ("kind", &typed.kind),
        ("status", &typed.status),
        ("model", &typed.model),
        ("provider", &typed.provider),
        ("session", &typed.session),
        ("user", &typed.user),
        ("tag", &typed.tag),
        ("environment", &typed.environment),
        ("name", &typed.operation),
        ("prompt", &typed.prompt),
    ];
    let given = |(name, value): (&str, &Option<String>)| Some((name.to_owned(), Value::from(value.as_deref()?)));
    let told: Map<String, Value> = parts.into_iter().filter_map(given).collect();
    if told.is_empty() {
        return;
    }
    let anew = typed.measure.is_some() || typed.sql.is_some();
    match rule["query"].as_object_mut().filter(|_| !anew) {
        Some(query) => query.extend(told),
        None => {
            let mut query = told;
            // Filters of no measure are of calls, unless scores are named.
            if !anew {
                query.insert("measure".to_owned(), if typed.score.is_some() { "score" } else { "calls" }.into());
            }
            rule["query"] = Value::Object(query);
        }
    }
}

/// The condition, if one was typed.
fn condition(typed: &Rule) -> Result<Option<Value>, Error> {
    let side = |above: Option<f64>, below: Option<f64>| {
        above.map(|value| ("above", value)).or(below.map(|value| ("below", value)))
    };
    let mut found = Vec::new();
    if let Some((direction, value)) = side(typed.above, typed.below) {
        found.push(json!({"kind": "threshold", "direction": direction, "value": value, "clear": typed.clear}));
    }
    if let Some((direction, value)) = side(typed.change_above, typed.change_below) {
        found.push(json!({
            "kind": "change", "direction": direction, "value": value, "clear": typed.clear,
            "unit": typed.absolute.then_some("absolute"), "against": typed.against,
        }));
    }
    if let Some(limit) = typed.budget {
        found.push(json!({
            "kind": "budget", "limit": limit, "period_s": typed.period, "factor": typed.burn,
            "short_window_s": typed.short_window, "clear_factor": typed.clear,
        }));
    }
    if typed.absent {
        found.push(json!({"kind": "absence", "grace_s": typed.grace}));
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(Error::Usage {
            problem: "a rule has one condition".to_owned(),
            help: "make a rule for each: --above or --below, --change-above or --change-below, --budget, --absent"
                .to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Alert, Arguments, Command};
    use clap::Parser as _;

    fn typed(words: &str) -> Rule {
        let line = format!("quarterdeck alert create x {words}");
        let Command::Alert(Alert::Create { rule, .. }) = Arguments::parse_from(line.split_whitespace()).command else {
            panic!("it is another command")
        };
        *rule
    }

    #[test]
    fn words_become_a_rule() {
        let rule = read(&typed("--measure error_rate --model m --above 5 --clear 4 --window 15m --for 2m"), json!({}));
        let expected = json!({
            "query": {"measure": "error_rate", "model": "m"}, "window_s": 900, "for_s": 120,
            "condition": {"kind": "threshold", "direction": "above", "value": 5.0, "clear": 4.0},
        });
        assert_eq!(rule.unwrap(), expected);
        let budget =
            read(&typed("--measure cost --budget 100 --period 30d --burn 14.4 --window 1h"), json!({})).unwrap();
        assert_eq!((&budget["condition"]["period_s"], &budget["window_s"]), (&json!(2_592_000), &json!(3_600)));
        let absent = read(&typed("--absent --environment production"), json!({})).unwrap();
        assert_eq!(absent["query"], json!({"measure": "calls", "environment": "production"}));
    }

    #[test]
    fn what_is_not_typed_stays() {
        let now = json!({"query": {"measure": "calls", "model": "m"}, "window_s": 60, "condition": {"kind": "absence"}, "state": "ok"});
        let changed = read(&typed("--user ann --every 2m"), spec_of(now.clone())).unwrap();
        let expected = json!({
            "query": {"measure": "calls", "model": "m", "user": "ann"}, "window_s": 60, "every_s": 120,
            "condition": {"kind": "absence"},
        });
        assert_eq!(changed, expected);
        let other = read(&typed("--measure cost --above 1"), spec_of(now)).unwrap();
        assert_eq!(other["query"], json!({"measure": "cost"}), "another measure begins another query");
    }

    #[test]
    fn a_part_of_a_condition_changes_the_one_there_is() {
        let condition = json!({"kind": "threshold", "direction": "above", "value": 2000.0, "clear": 1500.0});
        let now = json!({"query": {"measure": "calls"}, "window_s": 60, "condition": condition});
        let changed = |words: &str| read(&typed(words), now.clone()).map(|rule| rule["condition"].clone());
        let with =
            |value: f64, clear: f64| json!({"kind": "threshold", "direction": "above", "value": value, "clear": clear});
        assert_eq!(changed("--clear 1000").unwrap(), with(2000.0, 1000.0));
        assert_eq!(changed("--above 3000").unwrap(), with(3000.0, 1500.0));
        let change = json!({"kind": "change", "direction": "above", "value": 50.0, "clear": null, "unit": "percent", "against": "previous"});
        assert_eq!(changed("--change-above 50").unwrap(), change, "another kind begins anew");
        assert!(changed("--against day").is_err(), "a threshold is against nothing");
    }

    #[test]
    fn what_was_shown_is_taken_from_a_file_and_flags_go_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rule.json");
        let shown = json!({"id": "x", "state": "ok", "query": {"measure": "calls"}, "window_s": 60, "condition": {"kind": "absence"}});
        std::fs::write(&file, shown.to_string()).unwrap();
        let rule = read(&typed(&format!("--file {} --disable", file.display())), json!({})).unwrap();
        let expected =
            json!({"query": {"measure": "calls"}, "window_s": 60, "condition": {"kind": "absence"}, "enabled": false});
        assert_eq!(rule, expected);
        std::fs::write(&file, "[]").unwrap();
        assert!(read(&typed(&format!("--file {}", file.display())), json!({})).is_err());
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for words in ["--above 1", "--measure calls", "--measure calls --above 1 --absent", "--file /nowhere"] {
            assert!(read(&typed(words), json!({})).is_err(), "{words}");
        }
    }
}
