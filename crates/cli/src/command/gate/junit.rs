//! What came of a gate as JUnit XML, which CI systems show beside tests.
//!
//! A test case for each condition and one for the run itself, in the form that Jenkins' and GitLab's readers share:
//! `testsuites`, `testsuite`, `testcase`, `failure`.

use std::path::Path;

use serde_json::Value;

use super::{Verdict, value};
use crate::Error;

/// Writes the file.
///
/// # Errors
/// [`Error::Operation`] when it cannot be written.
pub fn write(file: &Path, found: &Value, sentence: &str, verdict: &Verdict) -> Result<(), Error> {
    let name = format!("{}@{}", found["name"].as_str().unwrap_or_default(), found["version"]);
    std::fs::write(file, document(&name, sentence, verdict))
        .map_err(|cause| Error::doing(format!("writing {}", file.display()), cause))
}

fn document(run: &str, sentence: &str, verdict: &Verdict) -> String {
    let mut cases = vec![case(run, &format!("the {} finishes", verdict.noun), verdict.unfinished.as_deref())];
    for judged in &verdict.conditions {
        let failure = (!judged.passed).then(|| format!("{} has {}", verdict.subject, value(judged)));
        cases.push(case(run, &judged.condition, failure.as_deref()));
    }
    let failures =
        verdict.conditions.iter().filter(|judged| !judged.passed).count() + usize::from(verdict.unfinished.is_some());
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\"", cases.len());
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n<testsuite name=\"{}\" {counts}>\n{}<system-out>{}</system-out>\n</testsuite>\n</testsuites>\n",
        escaped(run),
        cases.concat(),
        escaped(sentence)
    )
}

fn case(class: &str, name: &str, failure: Option<&str>) -> String {
    let head = format!("<testcase classname=\"{}\" name=\"{}\"", escaped(class), escaped(name));
    match failure {
        None => format!("{head}/>\n"),
        Some(why) => format!("{head}><failure message=\"{}\"/></testcase>\n", escaped(why)),
    }
}

/// Text within XML 1.0, which knows no other control characters than tab and line breaks.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use qd_eval::gate::Judged;

    use super::*;

    #[test]
    fn the_form_that_ci_systems_read() {
        let conditions = vec![
            Judged { condition: "exact_match >= 0.8".into(), value: Some(0.75), passed: false },
            Judged { condition: "cost_usd < 1".into(), value: Some(0.0), passed: true },
        ];
        let verdict = Verdict { noun: "experiment", subject: "c1".into(), unfinished: None, conditions };
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <testsuites tests=\"3\" failures=\"1\" errors=\"0\">\n\
            <testsuite name=\"a&lt;b@1\" tests=\"3\" failures=\"1\" errors=\"0\">\n\
            <testcase classname=\"a&lt;b@1\" name=\"the experiment finishes\"/>\n\
            <testcase classname=\"a&lt;b@1\" name=\"exact_match &gt;= 0.8\"><failure message=\"c1 has 0.75\"/></testcase>\n\
            <testcase classname=\"a&lt;b@1\" name=\"cost_usd &lt; 1\"/>\n\
            <system-out>c1 &amp; c2\u{fffd}</system-out>\n</testsuite>\n</testsuites>\n";
        assert_eq!(document("a<b@1", "c1 & c2\u{1}", &verdict), expected);
    }
}
