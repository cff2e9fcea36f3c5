//! A prompt as text that people read and compare.

use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;
use similar::TextDiff;

use crate::definition::Prompt;
use crate::example::ExampleTemplate;
use crate::variable::Variable;

/// Lines of text around a change.
const CONTEXT_LINES: usize = 3;
/// After so long the shortest way from one text to the other is no longer looked for, and a longer one is told.
const MAX_SEARCH: Duration = Duration::from_secs(1);

impl Prompt {
    /// The prompt as text: line breaks of templates are line breaks, so that versions compare line by line.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (place, message) in self.messages.iter().enumerate() {
            let line_break = if place > 0 { "\n" } else { "" };
            let said = match &message.placeholder {
                Some(name) => format!("{line_break}[placeholder: {name}]\n"),
                None => {
                    let role = message.role.as_ref().map_or("", |role| role.as_str());
                    format!("{line_break}[{role}]\n{}\n", message.content.as_deref().unwrap_or_default())
                }
            };
            text.push_str(&said);
        }
        if let Some(said) = &self.text {
            text.push_str(said);
            text.push('\n');
        }
        self.write_rest(&mut text);
        text
    }

    fn write_rest(&self, text: &mut String) {
        section(text, "variables", self.variables.iter().map(variable_line));
        if let Some(model) = &self.model {
            section(text, "model", [model.clone()]);
        }
        section(text, "parameters", self.parameters.iter().map(|(name, value)| format!("{name}: {value}")));
        if let Some(slot) = &self.examples {
            let mut rest = serde_json::to_value(slot).unwrap_or_default();
            if let (ExampleTemplate::Text(template), Some(fields)) = (&slot.template, rest.as_object_mut()) {
                fields.shift_remove("template");
                section(text, "example", [template.clone()]);
            }
            section(text, "examples", [pretty(&rest)]);
        }
        section(text, "tools", self.tools.iter().map(pretty));
        section(text, "tool choice", self.tool_choice.iter().map(pretty));
        section(text, "response format", self.response_format.iter().map(pretty));
    }
}

fn section(text: &mut String, name: &str, lines: impl IntoIterator<Item = String>) {
    let lines: Vec<String> = lines.into_iter().collect();
    if !lines.is_empty() {
        // Writing to a text does not fail.
        let _ = write!(text, "\n--- {name}\n{}\n", lines.join("\n"));
    }
}

fn variable_line(variable: &Variable) -> String {
    let kind = serde_json::to_value(variable.kind).unwrap_or_default();
    let mut line = format!("{}: {}", variable.name, kind.as_str().unwrap_or_default());
    match &variable.default {
        Some(default) => line.push_str(&format!(" = {default}")),
        None if !variable.required => line.push_str(", optional"),
        None => {}
    }
    if let Some(description) = &variable.description {
        line.push_str(&format!(" ({description})"));
    }
    line
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// How `new` differs from `old`, as `diff -u` writes it; empty when it does not.
///
/// It may take a second, so it does not belong on a thread that serves others.
pub fn unified_diff(old: &str, new: &str, old_name: &str, new_name: &str) -> String {
    let compared = TextDiff::configure().timeout(MAX_SEARCH).diff_lines(old, new);
    compared.unified_diff().context_radius(CONTEXT_LINES).header(old_name, new_name).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prompt(value: Value) -> Prompt {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_prompt_reads_as_text() {
        let text = prompt(json!({
            "messages": [{"role": "system", "content": "Be {{ tone }}.\nNever lie."}, {"placeholder": "history"}, {"role": "user", "content": "{{ q }}"}],
            "variables": [{"name": "q", "description": "asked"}, {"name": "tone", "default": "brief"}, {"name": "history", "type": "messages", "required": false}],
            "model": "gpt-4o-mini",
            "parameters": {"temperature": 0.2},
        }))
        .to_text();
        let expected = "[system]\nBe {{ tone }}.\nNever lie.\n\n[placeholder: history]\n\n[user]\n{{ q }}\n\n--- variables\nq: string (asked)\ntone: string = \"brief\"\nhistory: messages, optional\n\n--- model\ngpt-4o-mini\n\n--- parameters\ntemperature: 0.2\n";
        assert_eq!(text, expected);
    }

    /// What GNU `diff -u` says of the same two texts, but for the header's times.
    #[test]
    fn a_diff_is_that_of_diff() {
        let of = |content: &str, temperature: f64| {
            prompt(
                json!({"messages": [{"role": "user", "content": content}], "parameters": {"temperature": temperature}}),
            )
            .to_text()
        };
        let (old, new) = (of("a\nb\nc", 0.2), of("a\nB\nc", 0.2));
        let expected = "--- greeting@1\n+++ greeting@2\n@@ -1,6 +1,6 @@\n [user]\n a\n-b\n+B\n c\n \n --- parameters\n";
        assert_eq!(unified_diff(&old, &new, "greeting@1", "greeting@2"), expected);
        assert_eq!(unified_diff(&old, &old, "a", "b"), "");
    }

    /// Two versions of the largest size without a line in common: the shortest way between them would take minutes to find.
    #[test]
    fn texts_that_have_nothing_in_common_are_compared_in_time() {
        let lines = |letter: &str| (0..100_000).map(|n| format!("{letter}{n}\n")).collect::<String>();
        let began = std::time::Instant::now();
        let unified = unified_diff(&lines("a"), &lines("b"), "a", "b");
        assert!(unified.contains("\n-a99999\n") && unified.contains("\n+b99999\n"));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
