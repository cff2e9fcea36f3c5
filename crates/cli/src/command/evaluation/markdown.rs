//! A report as Markdown, as it stands in the summary of a job.

use std::fmt::Write as _;

use serde_json::Value;

use super::told;
use crate::command::gate::{self, Verdict};

/// The whole document.
pub fn document(found: &Value, verdict: &Verdict) -> String {
    let mut text = String::new();
    let name = format!("{}@{}", found["name"].as_str().unwrap_or_default(), found["version"]);
    let passed = verdict.unfinished.is_none() && verdict.conditions.iter().all(|judged| judged.passed);
    let mark = match (passed, verdict.conditions.is_empty()) {
        (true, true) => "",
        (true, false) => " ✅",
        (false, _) => " ❌",
    };
    line(&mut text, &format!("## Evaluation {}{mark}", escaped(&name)));
    line(&mut text, "");
    if let Some(why) = &verdict.unfinished {
        line(&mut text, &format!("**{}**", escaped(why)));
        line(&mut text, "");
    }
    if !verdict.conditions.is_empty() {
        line(&mut text, "| gate | value | |");
        line(&mut text, "| --- | --- | --- |");
        for judged in &verdict.conditions {
            let mark = if judged.passed { "passed" } else { "**failed**" };
            line(&mut text, &format!("| `{}` | {} | {mark} |", code(&judged.condition), gate::value(judged)));
        }
        line(&mut text, "");
    }
    line(&mut text, "| target | score | value [95 %] | items | missing |");
    line(&mut text, "| --- | --- | --- | --- | --- |");
    for target in told::targets(found) {
        for score in told::scores(target) {
            line(&mut text, &row(target, score));
        }
    }
    line(&mut text, "");
    told::sentences(found).iter().for_each(|sentence| line(&mut text, &format!("- {}", escaped(sentence))));
    text
}

fn row(target: &Value, score: &Value) -> String {
    let word = |of: &Value| escaped(of.as_str().unwrap_or_default());
    let missing = match score["missing"].as_u64() {
        Some(0) | None => String::new(),
        Some(missing) => format!("{missing} ({})", escaped(&told::why(score))),
    };
    format!(
        "| {} | {} | {} | {} | {missing} |",
        word(&target["name"]),
        word(&score["name"]),
        told::value(score),
        score["items"]
    )
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

/// Text that is no markup: what models or people named must not become a link, a heading or HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' => safe.extend(['\\', c]),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// The same within a span of code, in a table.
fn code(text: &str) -> String {
    text.replace('`', "'").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use qd_eval::gate::Judged;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_summary() {
        let found = json!({
            "name": "ci", "version": 2, "state": "finished",
            "report": {"items": 10, "tokens": 0, "spent_picodollars": 0, "unpriced": 0, "comparisons": [], "targets": [{
                "name": "old_one", "scores": [{"name": "bleu", "unit": "points", "value": 31.25, "low": 28.0, "high": 34.0, "items": 9,
                    "missing": 1, "why": {"no_answer": 1}}],
            }]},
        });
        let conditions = vec![Judged { condition: "bleu >= 40".into(), value: Some(31.25), passed: false }];
        let verdict = Verdict { noun: "evaluation", subject: "ci".into(), unfinished: None, conditions };
        let text = document(&found, &verdict);
        assert!(text.starts_with("## Evaluation ci@2 ❌\n"), "{text}");
        assert!(text.contains("| `bleu >= 40` | 31.25 | **failed** |"), "{text}");
        assert!(text.contains("| old\\_one | bleu | 31.2 [28.0, 34.0] | 9 | 1 (no answer 1) |"), "{text}");
        assert!(text.contains("- finished: 10 items, "), "{text}");
        assert_eq!(escaped("<b>|[x](y)\n"), "&lt;b&gt;\\|\\[x\\]\\(y\\) ");
    }
}
