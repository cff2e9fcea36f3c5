//! What is in a version of a prompt?

use std::collections::BTreeSet;

use qd_base::chat::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::example::{ExampleTemplate, Slot};
use crate::variable::{self, Variable, VariableKind};
use crate::{Error, Result, template};

/// Messages of one prompt at most.
pub const MAX_MESSAGES: usize = 100;
/// All of a version, as JSON.
pub const MAX_PROMPT_BYTES: usize = 1 << 20;
/// Parameters of one prompt at most.
const MAX_PARAMETERS: usize = 64;
/// Tools of one prompt at most, as OpenAI has it.
const MAX_TOOLS: usize = 128;
/// The placeholder, and the variable, that examples take.
pub(crate) const EXAMPLES: &str = "examples";

/// Fields of a request that are no parameters: they have their own place in a prompt, or are the caller's.
const NO_PARAMETERS: &[&str] = &[
    "messages",
    "prompt",
    "model",
    "tools",
    "tool_choice",
    "response_format",
    "stream",
    "stream_options",
    "prompt_variables",
    "user",
];

/// A prompt: what is said, of which values, to which model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// A conversation or one text.
    #[serde(default)]
    pub kind: Kind,
    /// Of a conversation: its messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageTemplate>,
    /// Of a text: its template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The values that it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// Few-shot examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<Slot>,
    /// The model that is asked when a request names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `temperature`, `max_tokens` and what else a request may say, where it does not.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Functions that the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// Which of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// The form of the answer, as a request has it: `{"type": "json_schema", "json_schema": …}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
}

/// What a prompt becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Messages, for chat completions.
    #[default]
    Chat,
    /// One text, for completions.
    Text,
}

/// One message of a prompt, or the place of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageTemplate {
    /// Who speaks: `system`, `developer`, `user` or `assistant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What is said: a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// In place of both: the variable whose messages stand here, or `examples`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
}

impl MessageTemplate {
    /// A message that is said.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role: Some(role), content: Some(content.into()), placeholder: None }
    }
}

impl Prompt {
    /// A conversation of these messages that takes these values.
    pub fn chat(messages: Vec<MessageTemplate>, variables: Vec<Variable>) -> Self {
        Self { messages, variables, ..Self::empty(Kind::Chat) }
    }

    /// One text that takes these values.
    pub fn text(text: impl Into<String>, variables: Vec<Variable>) -> Self {
        Self { text: Some(text.into()), variables, ..Self::empty(Kind::Text) }
    }

    fn empty(kind: Kind) -> Self {
        Self {
            kind,
            messages: Vec::new(),
            text: None,
            variables: Vec::new(),
            examples: None,
            model: None,
            parameters: Map::new(),
            tools: Vec::new(),
            tool_choice: None,
            response_format: None,
        }
    }

    /// Whether it can be kept: every part has its form, every template can be read, and reads what is declared only.
    ///
    /// # Errors
    /// [`Error::Definition`] with the field, [`Error::Template`] with the template and its line.
    pub fn check(&self) -> Result<()> {
        variable::check(&self.variables)?;
        if let Some(slot) = &self.examples {
            slot.check()?;
            slot.check_by(&self.variables)?;
        }
        let (read, placeholders) = self.check_said()?;
        self.check_placeholders(&placeholders)?;
        self.check_examples_stand(&read, &placeholders)?;
        let known = |name: &String| self.is_value(name) || (name == EXAMPLES && self.has_examples_as_text());
        if let Some((place, name)) = read.iter().find(|(_, name)| !known(name)) {
            let reason = format!("'{name}' is read and not declared in 'variables'");
            return Err(Error::definition(place, reason));
        }
        self.check_call()?;
        let size = serde_json::to_vec(self).map_or(usize::MAX, |bytes| bytes.len());
        match size > MAX_PROMPT_BYTES {
            true => Err(Error::definition("prompt", format!("it has {size} bytes, {MAX_PROMPT_BYTES} are allowed"))),
            false => Ok(()),
        }
    }

    /// The content of a version: the same prompt is always the same bytes.
    pub fn to_content(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a prompt has string keys only")
    }

    /// The variables that templates read with the place of each, and the placeholders.
    #[expect(clippy::type_complexity, reason = "two lists that are made in one pass")]
    fn check_said(&self) -> Result<(Vec<(String, String)>, Vec<(String, String)>)> {
        match (self.kind, &self.text) {
            (Kind::Chat, Some(_)) => {
                Err(Error::definition("text", "a prompt of kind 'chat' has 'messages'; or say kind 'text'"))
            }
            (Kind::Chat, None) if self.messages.is_empty() => Err(Error::definition("messages", "there is none")),
            (Kind::Chat, None) => check_messages(&self.messages, "messages", true),
            (Kind::Text, None) => Err(Error::definition("text", "a prompt of kind 'text' has a 'text'")),
            (Kind::Text, Some(_)) if !self.messages.is_empty() => {
                Err(Error::definition("messages", "a prompt of kind 'text' has a 'text' and no messages"))
            }
            (Kind::Text, Some(text)) => {
                let read = template::check(text, "text")?;
                Ok((read.into_iter().map(|name| ("text".to_owned(), name)).collect(), Vec::new()))
            }
        }
    }

    fn is_value(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable.name == name)
    }

    fn has_examples_as_text(&self) -> bool {
        self.examples.as_ref().is_some_and(|slot| matches!(slot.template, ExampleTemplate::Text(_)))
    }

    fn check_placeholders(&self, placeholders: &[(String, String)]) -> Result<()> {
        for (place, name) in placeholders.iter().filter(|(_, name)| name != EXAMPLES) {
            let kind = self.variables.iter().find(|variable| variable.name == *name).map(|variable| variable.kind);
            if kind != Some(VariableKind::Messages) {
                let reason = format!("'{name}' must be declared in 'variables' with the type 'messages'");
                return Err(Error::definition(format!("{place}.placeholder"), reason));
            }
        }
        Ok(())
    }

    /// Examples that stand nowhere would be forgotten silently.
    fn check_examples_stand(&self, read: &[(String, String)], placeholders: &[(String, String)]) -> Result<()> {
        let placed = placeholders.iter().any(|(_, name)| name == EXAMPLES);
        let written = read.iter().any(|(_, name)| name == EXAMPLES);
        match self.examples.as_ref().map(|slot| &slot.template) {
            None if placed => Err(Error::definition("examples", "there is a placeholder for them, and no 'examples'")),
            Some(ExampleTemplate::Messages(_)) if self.kind == Kind::Text => {
                Err(Error::definition("examples.template", "in a text, an example is written as text"))
            }
            Some(ExampleTemplate::Messages(_)) if !placed => {
                Err(Error::definition("messages", r#"say where the examples go: {"placeholder": "examples"}"#))
            }
            Some(ExampleTemplate::Text(_)) if placed => Err(Error::definition(
                "examples.template",
                "examples that are text go where a template says {{ examples }}",
            )),
            Some(ExampleTemplate::Text(_)) if !written => {
                Err(Error::definition("examples", "no template says {{ examples }}, so they would stand nowhere"))
            }
            _ => Ok(()),
        }
    }

    /// What goes with a call: the request's own check says whether it suits a model.
    fn check_call(&self) -> Result<()> {
        if self.parameters.len() > MAX_PARAMETERS {
            return Err(Error::definition("parameters", format!("there are at most {MAX_PARAMETERS}")));
        }
        if let Some(name) = self.parameters.keys().find(|name| NO_PARAMETERS.contains(&name.as_str())) {
            let reason = "it is no parameter: it has its own place in a prompt, or comes with each request";
            return Err(Error::definition(format!("parameters.{name}"), reason));
        }
        if self.tools.len() > MAX_TOOLS {
            return Err(Error::definition("tools", format!("there are at most {MAX_TOOLS}")));
        }
        let model = self.model.as_deref();
        if model.is_some_and(|model| model.is_empty() || model.len() > 256 || model.chars().any(char::is_control)) {
            return Err(Error::definition("model", "use 1 to 256 printable bytes, or leave it to each request"));
        }
        if self.kind == Kind::Text && (!self.tools.is_empty() || self.response_format.is_some()) {
            return Err(Error::definition(
                "tools",
                "completions of a text have neither tools nor a form of the answer",
            ));
        }
        Ok(())
    }
}

/// The variables that messages read, each with its place, and the placeholders among them.
#[expect(clippy::type_complexity, reason = "two lists that are made in one pass")]
pub(crate) fn check_messages(
    messages: &[MessageTemplate],
    field: &str,
    placeholders_allowed: bool,
) -> Result<(Vec<(String, String)>, Vec<(String, String)>)> {
    if messages.len() > MAX_MESSAGES {
        return Err(Error::definition(field, format!("there are at most {MAX_MESSAGES}")));
    }
    let (mut read, mut placeholders) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (place, message) in messages.iter().enumerate() {
        let at = format!("{field}[{place}]");
        match (&message.role, &message.content, &message.placeholder) {
            (None, None, Some(name)) if placeholders_allowed => {
                if !seen.insert(name) {
                    return Err(Error::definition(at, format!("there is a placeholder '{name}' already")));
                }
                placeholders.push((at, name.clone()));
            }
            (Some(role), Some(content), None) => {
                check_role(role, &at)?;
                let place = format!("{at}.content");
                read.extend(template::check(content, &place)?.into_iter().map(|name| (place.clone(), name)));
            }
            _ => return Err(Error::definition(at, "a message has a 'role' and a 'content', or a 'placeholder' alone")),
        }
    }
    Ok((read, placeholders))
}

fn check_role(role: &Role, at: &str) -> Result<()> {
    match role {
        Role::System | Role::Developer | Role::User | Role::Assistant => Ok(()),
        other => {
            let reason = format!("'{}' is none of system, developer, user and assistant", other.as_str());
            Err(Error::definition(format!("{at}.role"), reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prompt(value: Value) -> Prompt {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn fails(value: Value, words: &str) {
        let error = prompt(value).check().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    fn user(content: &str) -> Value {
        json!([{"role": "user", "content": content}])
    }

    #[test]
    fn a_whole_prompt_is_kept_as_it_is() {
        let whole = json!({
            "kind": "chat",
            "messages": [
                {"role": "system", "content": "Be {{ tone }}."},
                {"placeholder": "examples"},
                {"placeholder": "history"},
                {"role": "user", "content": "{{ question }}"},
            ],
            "variables": [
                {"name": "question", "type": "string", "description": "What is asked."},
                {"name": "tone", "type": "string", "default": "brief"},
                {"name": "history", "type": "messages", "required": false},
            ],
            "examples": {
                "template": [{"role": "user", "content": "{{ question }}"}, {"role": "assistant", "content": "{{ output }}"}],
                "strategy": "fixed",
                "items": [{"variables": {"question": "1+1"}, "output": "2"}],
            },
            "model": "gpt-4o-mini",
            "parameters": {"temperature": 0.2, "max_tokens": 300},
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "response_format": {"type": "json_object"},
        });
        let read = prompt(whole.clone());
        read.check().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&read.to_content()).unwrap(), whole);
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        fails(json!({}), "messages: there is none");
        fails(json!({"kind": "text"}), "text: a prompt of kind 'text' has a 'text'");
        fails(json!({"text": "x"}), "or say kind 'text'");
        fails(json!({"messages": user("{{ q }}")}), "messages[0].content: 'q' is read and not declared");
        fails(json!({"messages": user("a\n{{ q")}), "messages[0].content, line 2");
        fails(json!({"messages": [{"role": "wizard", "content": "x"}]}), "messages[0].role: 'wizard'");
        fails(json!({"messages": [{"role": "user"}]}), "messages[0]: a message has");
        fails(json!({"messages": [{"placeholder": "h"}]}), "messages[0].placeholder: 'h' must be declared");
        fails(json!({"messages": [{"placeholder": "h"}], "variables": [{"name": "h"}]}), "with the type 'messages'");
        fails(json!({"messages": user("x"), "parameters": {"model": "m"}}), "parameters.model: it is no parameter");
        fails(json!({"messages": user("x"), "model": ""}), "model: use 1 to 256");
        fails(json!({"kind": "text", "text": "x", "tools": [{}]}), "neither tools");
        let items = json!([{"output": "x"}]);
        fails(
            json!({"messages": user("x"), "examples": {"template": "{{ output }}", "items": items}}),
            "stand nowhere",
        );
        let messages = user("{{ output }}");
        fails(
            json!({"messages": user("x"), "examples": {"template": messages, "items": items}}),
            "say where the examples go",
        );
        fails(json!({"messages": [{"placeholder": "examples"}]}), "examples: there is a placeholder");
        fails(json!({"kind": "text", "text": "x", "examples": {"template": messages}}), "written as text");
        assert!(
            serde_json::from_value::<Prompt>(json!({"mesages": []})).is_err(),
            "a misspelt field is no silent loss"
        );
    }

    #[test]
    fn a_large_prompt_belongs_elsewhere() {
        let text = "x".repeat(200_000);
        let messages: Vec<Value> = (0..6).map(|_| json!({"role": "user", "content": text})).collect();
        fails(json!({"messages": messages}), "bytes, 1048576 are allowed");
    }
}
