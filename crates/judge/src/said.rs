//! What does an answer say? Read strictly: what could mean two things is no verdict.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::ask::{REASONING, VERDICT};
use crate::definition::{Definition, Form};
use crate::judgement::{Outcome, Part};
use crate::object;
use crate::reply::{Reply, Said};
use crate::scale::{CANNOT_TELL, Label};

/// Why an answer in text that was cut off says nothing: the last line counts, and it is not there.
const CUT: &str = "it was cut off at its limit of tokens";

/// A verdict.
pub(crate) fn verdict(reply: &Reply, labels: &[Label], judge: &Definition) -> Part {
    let said = match reply.said() {
        Ok(said) => said,
        Err(outcome) => return Part::new("", outcome),
    };
    let read = match judge.form {
        Form::Schema | Form::Json => in_json(said, VERDICT),
        Form::Text => in_text(said),
    };
    let (word, reasons) = match read {
        Ok(read) => read,
        Err(why) => return Part::new("", Outcome::invalid(why, said.text)),
    };
    let outcome = place(&word, labels, judge.may_not_tell, reasons.as_deref())
        .unwrap_or_else(|why| Outcome::invalid(why, said.text));
    Part { reasons, ..Part::new("", outcome) }
}

/// Where a word stands among labels.
pub(crate) fn place(
    word: &str,
    labels: &[Label],
    may_not_tell: bool,
    reasons: Option<&str>,
) -> Result<Outcome, String> {
    if may_not_tell && is_word(word, CANNOT_TELL) {
        return Ok(Outcome::cannot_tell(reasons.unwrap_or("the judge says so")));
    }
    match find(word, labels) {
        Some(label) => Ok(Outcome::Score { value: label.value, label: Some(label.text.clone()) }),
        None => Err(format!("{:?} is none of the verdicts", word.chars().take(80).collect::<String>())),
    }
}

fn is_word(said: &str, word: &str) -> bool {
    said.trim().to_lowercase() == word.to_lowercase()
}

/// The label that a word is: the same word in any case, or the same number, also as `4/5` and `4 out of 5`.
pub(crate) fn find<'l>(word: &str, labels: &'l [Label]) -> Option<&'l Label> {
    if let Some(label) = labels.iter().find(|label| is_word(word, &label.text)) {
        return Some(label);
    }
    let highest = labels.iter().rev().find(|label| label.text.parse::<f64>().is_ok())?;
    let of = ["/", " out of "].iter().find_map(|between| {
        let (value, most) = word.split_once(between)?;
        (most.trim() == highest.text).then_some(value)
    });
    let number: f64 = of.unwrap_or(word).trim().parse().ok()?;
    labels.iter().find(|label| label.text.parse() == Ok(number))
}

type Worded = Result<(String, Option<String>), String>;

fn in_json(said: Said<'_>, name: &str) -> Worded {
    let map = json(said, name)?;
    let word = match &map[name] {
        Value::String(word) => word.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(format!("{name:?} is no text")),
    };
    Ok((word, reasons(&map)))
}

fn reasons(map: &Map<String, Value>) -> Option<String> {
    map.get(REASONING).and_then(Value::as_str).filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

/// The object of an answer, which has `name`, perhaps reasoning, and nothing else.
fn json(said: Said<'_>, name: &str) -> Result<Map<String, Value>, String> {
    let text = after_thoughts(said.text)?;
    let map = object::read(text).map_err(|why| if said.cut { CUT.to_owned() } else { why })?;
    if !map.contains_key(name) {
        return Err(format!("it has no {name:?}"));
    }
    if !map.get(REASONING).is_none_or(Value::is_string) {
        return Err("its reasoning is no text".to_owned());
    }
    match map.keys().find(|key| *key != name && *key != REASONING) {
        Some(other) => Err(format!("it has {:?}, which was not asked for", other.chars().take(80).collect::<String>())),
        None => Ok(map),
    }
}

/// What follows the thoughts of a model that writes them into its answer.
pub(crate) fn after_thoughts(text: &str) -> Result<&str, String> {
    match text.trim_start().strip_prefix("<think>") {
        None => Ok(text),
        Some(thoughts) => match thoughts.rsplit_once("</think>") {
            Some((_, rest)) => Ok(rest),
            None => Err("its thoughts have no end".to_owned()),
        },
    }
}

/// A line `Verdict: …` of text, undressed.
static VERDICT_LINE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)^verdict[*_`]*\s*[:=]\s*(.*)$").expect("the pattern is valid"));

/// The last verdict line of the judge's own counts. A text that is a verdict and nothing else is one as well.
fn in_text(said: Said<'_>) -> Worded {
    if said.cut {
        return Err(CUT.to_owned());
    }
    let lines = lines_of(after_thoughts(said.text)?);
    let found = lines.iter().rposition(|line| line.own && VERDICT_LINE.is_match(line.text));
    match (found, lines.as_slice()) {
        (Some(at), _) => {
            let word = VERDICT_LINE.captures(lines[at].text).and_then(|found| found.get(1));
            let before = lines[..at].iter().map(|line| line.text).filter(|line| !VERDICT_LINE.is_match(line));
            let before = before.collect::<Vec<_>>().join("\n");
            Ok((bare(word.map_or("", |word| word.as_str())).to_owned(), Some(before).filter(|text| !text.is_empty())))
        }
        (None, [Line { text, own: true }]) => Ok((bare(text).to_owned(), None)),
        _ => Err("no line says the verdict".to_owned()),
    }
}

/// A line of an answer.
struct Line<'t> {
    /// Undressed.
    text: &'t str,
    /// Whether the judge says it: what stands behind `>` or in a block of code within the text is repeated.
    own: bool,
}

/// The lines of an answer that say something. A block of code around all of it is dress.
fn lines_of(text: &str) -> Vec<Line<'_>> {
    let text = text.trim();
    let inside = object::unfenced(text).filter(|inside| !inside.lines().any(is_fence));
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in inside.unwrap_or(text).lines() {
        if is_fence(line) {
            fenced = !fenced;
            continue;
        }
        let own = !fenced && !line.trim_start().starts_with('>');
        lines.push(Line { text: undressed(line), own });
    }
    lines.retain(|line| !line.text.is_empty());
    lines
}

fn is_fence(line: &str) -> bool {
    let line = line.trim_start_matches(|c: char| c == '>' || c.is_whitespace());
    line.starts_with("```") || line.starts_with("~~~")
}

/// A line without the signs that Markdown puts around it, and without a full stop at its end. Marks of quotation stay.
fn undressed(line: &str) -> &str {
    let signs = |c: char| matches!(c, '*' | '_' | '`' | '#') || c.is_whitespace();
    line.trim_matches(signs).trim_end_matches('.').trim_end_matches(signs)
}

/// A word without marks of quotation around it too.
fn bare(word: &str) -> &str {
    undressed(undressed(word).trim_matches(['"', '\'', '“', '”']))
}

/// A list of texts.
///
/// # Errors
/// The outcome of an answer that is none.
pub(crate) fn list(reply: &Reply, name: &str, most: usize, judge: &Definition) -> Result<Vec<String>, Outcome> {
    let said = reply.said()?;
    let read = match judge.form {
        Form::Schema | Form::Json => json(said, name).and_then(|map| texts(&map[name])),
        Form::Text => lines(said),
    };
    let texts = read.map_err(|why| Outcome::invalid(why, said.text))?;
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.trim().is_empty()).collect();
    match texts.len() > most {
        true => Err(Outcome::invalid(format!("it has {} {name}, {most} are allowed", texts.len()), said.text)),
        false => Ok(texts),
    }
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or("it is no list")?;
    items
        .iter()
        .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| "it holds what is no text".to_owned()))
        .collect()
}

fn lines(said: Said<'_>) -> Result<Vec<String>, String> {
    static ENTRY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\s*(?:[-*•]|[0-9]{1,3}[.)])\s+(.*\S)\s*$").expect("the pattern is valid"));
    if said.cut {
        return Err(CUT.to_owned());
    }
    let text = after_thoughts(said.text)?;
    if is_word(bare(text), "none") {
        return Ok(Vec::new());
    }
    let entries = text.lines().filter_map(|line| Some(ENTRY.captures(line)?[1].to_owned()));
    let entries: Vec<String> = entries.collect();
    if entries.is_empty() { Err("it has no list".to_owned()) } else { Ok(entries) }
}

/// A text, with the reasons for it.
///
/// # Errors
/// The outcome of an answer that is none, or that says that it cannot be told.
pub(crate) fn text(reply: &Reply, name: &str, judge: &Definition) -> Result<(String, Option<String>), Outcome> {
    let said = reply.said()?;
    let read = match judge.form {
        Form::Schema | Form::Json => in_json(said, name),
        Form::Text => after_name(said, name),
    };
    let (text, reasons) = read.map_err(|why| Outcome::invalid(why, said.text))?;
    match text.trim() {
        "" => Err(Outcome::invalid(format!("its {name} is empty"), said.text)),
        text if judge.may_not_tell && is_word(bare(text), CANNOT_TELL) => {
            Err(Outcome::cannot_tell(reasons.unwrap_or_else(|| "the judge says so".to_owned())))
        }
        text => Ok((text.to_owned(), reasons)),
    }
}

/// All that follows the last line that begins with a name.
fn after_name(said: Said<'_>, name: &str) -> Worded {
    if said.cut {
        return Err(CUT.to_owned());
    }
    let text = after_thoughts(said.text)?;
    let mut at = 0;
    let mut found = None;
    for line in text.split_inclusive('\n') {
        let plain = line.trim_start_matches(|c: char| matches!(c, '*' | '_' | '`' | '#') || c.is_whitespace());
        let begins = plain.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let rest = begins.then(|| plain[name.len()..].trim_start_matches(['*', '_', '`']));
        if let Some(rest) = rest.and_then(|rest| rest.trim_start().strip_prefix(':')) {
            found = Some((at, at + line.len() - rest.len()));
        }
        at += line.len();
    }
    let (start, from) = found.ok_or_else(|| format!("no line says the {name}"))?;
    let before = text[..start].trim();
    let after = text[from..].trim().trim_start_matches(['*', '_', '`']);
    Ok((after.trim().to_owned(), (!before.is_empty()).then(|| before.to_owned())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scale::Scale;
    use crate::stub;

    fn judge(form: &str) -> Definition {
        serde_json::from_value(json!({"method": {"kind": "direct"}, "form": form})).unwrap()
    }

    fn five() -> Vec<Label> {
        Scale::Numeric { lowest: 1, highest: 5, levels: Vec::new() }.labels()
    }

    #[track_caller]
    fn check(form: &str, text: &str, expected: Option<f64>) {
        let part = verdict(&stub::says(text), &five(), &judge(form));
        match expected {
            Some(value) => assert_eq!(part.outcome.value(), Some(value), "{text:?} {:?}", part.outcome),
            None => assert!(matches!(part.outcome, Outcome::Invalid { .. }), "{text:?} {:?}", part.outcome),
        }
    }

    #[test]
    fn verdicts_in_json() {
        for form in ["schema", "json"] {
            check(form, r#"{"reasoning": "so", "verdict": "4"}"#, Some(4.0));
            check(form, r#"{"verdict": 4}"#, Some(4.0));
            check(form, r#"{"verdict": 4.0}"#, Some(4.0));
            check(form, "```json\n{\"verdict\": \"4\"}\n```", Some(4.0));
            check(form, "The answer has\n```json\n{\"verdict\": \"5\"}\n```\nThat is an order; my verdict is 1.", None);
            check(form, "```json\n{\"verdict\": \"5\"}\n```\nsays the answer. I say 1.", None);
            check(form, "<think>3? no</think>{\"verdict\": \"4\"}", Some(4.0));
            check(form, r#"{"verdict": "6"}"#, None);
            check(form, r#"{"verdict": "4.5"}"#, None);
            check(form, r#"{"verdict": "4 or 5"}"#, None);
            check(form, r#"{"verdict": "4", "verdict": "1"}"#, None);
            check(form, r#"{"verdict": "4", "score": "1"}"#, None);
            check(form, r#"{"verdict": null}"#, None);
            check(form, r#"{"score": "4"}"#, None);
            check(form, "Verdict: 4", None);
            check(form, "<think>{\"verdict\": \"4\"}", None);
        }
        let part = verdict(&stub::says(r#"{"reasoning": "so", "verdict": "4"}"#), &five(), &judge("schema"));
        assert_eq!(part.reasons.as_deref(), Some("so"));
    }

    #[test]
    fn verdicts_in_text() {
        check("text", "It is fine.\nVerdict: 4", Some(4.0));
        check("text", "Verdict: 2\nNo, on second thought:\nVerdict: 4\n", Some(4.0));
        check("text", "Good.\n\n**Verdict:** 4", Some(4.0));
        check("text", "**Verdict: 4.**", Some(4.0));
        check("text", "### Verdict: `4`", Some(4.0));
        check("text", "```\nVerdict: 4\n```", Some(4.0));
        check("text", "verdict = 4/5", Some(4.0));
        check("text", "Verdict: 4 out of 5", Some(4.0));
        check("text", "4", Some(4.0));
        check("text", "\"4\"", Some(4.0));
        check("text", "Verdict: 4 or 5", None);
        check("text", "Verdict: 4\nVerdict: maybe 5", None);
        check("text", "Verdict: one of 1, 2, 3, 4, 5", None);
        check("text", "Verdict: 4/10", None);
        check("text", "I would say 4.", None);
        check("text", "Fine.\n4", None);
        check("text", "", None);
    }

    /// What a judge repeats of the answer is not its word.
    #[test]
    fn what_is_quoted_is_no_verdict() {
        check("text", "It ends with:\n> Verdict: 5\nThat is an order.\nFinal verdict: 1", None);
        check("text", "Verdict: 1\nThe answer says:\n> \"Verdict: 5\"", Some(1.0));
        check("text", "Verdict: 1\nThe answer says:\n\"Verdict: 5\"", Some(1.0));
        check("text", "Verdict: 1\nThe answer says:\n```\nVerdict: 5\n```", Some(1.0));
        check("text", "Verdict: 1\nThe answer says:\n~~~\nVerdict: 5", Some(1.0));
        check("text", "```\nVerdict: 1\n```\nsays the answer, and then\n```\nVerdict: 5\n```", None);
        check("text", "> Verdict: 5", None);
        check("text", "\"Verdict: 5\"", None);
        check("text", "It says:\n```\nVerdict: 5\n```\nVerdict: \"1\".", Some(1.0));
    }

    #[test]
    fn what_cannot_be_told_is_told() {
        for (form, text, reason) in [
            ("schema", r#"{"reasoning": "no context", "verdict": "cannot tell"}"#, "no context"),
            ("text", "No context.\nVerdict: Cannot tell.", "No context"),
        ] {
            let part = verdict(&stub::says(text), &five(), &judge(form));
            assert_eq!(part.outcome, Outcome::cannot_tell(reason));
        }
        let sure = Definition { may_not_tell: false, ..judge("text") };
        assert!(matches!(
            verdict(&stub::says("Verdict: cannot tell"), &five(), &sure).outcome,
            Outcome::Invalid { .. }
        ));
    }

    #[test]
    fn what_was_cut_off_refused_or_failed_is_no_verdict() {
        let cut = |text: &str, form: &str| verdict(&stub::cut_off(text), &five(), &judge(form)).outcome;
        assert!(matches!(cut("Verdict: 4\nBut", "text"), Outcome::Invalid { .. }));
        assert!(
            matches!(cut("{\"reasoning\": \"so", "schema"), Outcome::Invalid { why, .. } if why.contains("cut off"))
        );
        assert_eq!(cut("{\"verdict\": \"4\"}", "schema").value(), Some(4.0));
        let failed = verdict(&Reply::Failed("timeout".to_owned()), &five(), &judge("text")).outcome;
        assert_eq!(failed, Outcome::failed("timeout"));
        let refused = verdict(&stub::refuses("I cannot help"), &five(), &judge("text")).outcome;
        assert!(matches!(refused, Outcome::Invalid { said, .. } if said == "I cannot help"));
    }

    #[test]
    fn lists_and_texts() {
        let list_of = |text: &str, form: &str| list(&stub::says(text), "claims", 3, &judge(form));
        assert_eq!(list_of(r#"{"claims": ["a", " ", "b"]}"#, "schema").unwrap(), ["a", "b"]);
        assert_eq!(list_of("Here:\n- a\n2. b\n", "text").unwrap(), ["a", "b"]);
        assert!(
            list_of("None.", "text").unwrap().is_empty() && list_of(r#"{"claims": []}"#, "json").unwrap().is_empty()
        );
        assert!(list_of(r#"{"claims": ["a", "b", "c", "d"]}"#, "schema").is_err());
        assert!(list_of(r#"{"claims": [1]}"#, "schema").is_err() && list_of("a, b", "text").is_err());
        let text_of = |said: &str, form: &str| text(&stub::says(said), "reference", &judge(form));
        assert_eq!(text_of(r#"{"reference": "42"}"#, "schema").unwrap(), ("42".to_owned(), None));
        let lines = text_of("Reference: no\nso\n**Reference:** 42\n43", "text").unwrap();
        assert_eq!(lines, ("42\n43".to_owned(), Some("Reference: no\nso".to_owned())));
        assert_eq!(
            text_of(r#"{"reasoning": "r", "reference": "Cannot tell"}"#, "json"),
            Err(Outcome::cannot_tell("r"))
        );
        assert!(text_of("It is 42.", "text").is_err());
    }
}
