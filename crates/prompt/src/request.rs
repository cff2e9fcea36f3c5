//! From a request that leaves things to a prompt to one that says them all.
//!
//! What the request says wins: its model, its parameters, its tools. Its messages follow those of the prompt, or stand at
//! the prompt's placeholder `messages`. Fields that we do not know stay as they came, byte for byte.

use std::borrow::Cow;
use std::collections::BTreeSet;

use qd_base::chat::Message;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::definition::{Kind, Prompt};
use crate::render::Rendered;
use crate::{Error, Result};

/// The field of a request that holds the values; it is not sent on.
pub const VARIABLES_FIELD: &str = "prompt_variables";
/// The variable of a prompt that takes the request's own messages.
const MESSAGES: &str = "messages";
/// Two names of one limit: whoever says one means the other too.
const TOKEN_LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// What kind of request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Chat completions.
    Chat,
    /// Completions of a text.
    Text,
}

/// A request as it came: its fields in their order, unread but for those that the prompt is about.
#[derive(Debug)]
pub struct Asked<'a> {
    form: Form,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
    variables: Map<String, Value>,
    messages: Vec<&'a RawValue>,
}

impl<'a> Asked<'a> {
    /// Reads a request's body.
    ///
    /// # Errors
    /// [`Error::Request`] with the field.
    pub fn read(form: Form, body: &'a [u8]) -> Result<Self> {
        let Fields(mut fields) = serde_json::from_slice(body)
            .map_err(|cause| wrong(None, format!("the body is no valid request: {cause}")))?;
        let mut names = BTreeSet::new();
        if let Some((twice, _)) = fields.iter().find(|(name, _)| !names.insert(name.clone())) {
            return Err(wrong(None, format!("the field '{}' is there twice", shown(twice))));
        }
        let mut take = |name: &str| {
            let place = fields.iter().position(|(field, _)| field == name)?;
            Some(fields.remove(place).1).filter(|raw| raw.get() != "null")
        };
        let variables = take(VARIABLES_FIELD).map_or(Ok(Map::new()), |raw| {
            serde_json::from_str(raw.get())
                .map_err(|_| wrong(Some(VARIABLES_FIELD), "it must be an object: a value for each variable".to_owned()))
        })?;
        let messages = match form {
            Form::Chat => take(MESSAGES).map_or(Ok(Vec::new()), |raw| {
                serde_json::from_str(raw.get()).map_err(|_| wrong(Some(MESSAGES), "it must be an array".to_owned()))
            })?,
            Form::Text => Vec::new(),
        };
        let leave = |(name, raw): &(Cow<str>, &RawValue)| {
            // Clients that cannot leave a field out send it empty.
            let empty = raw.get() == "null" || raw.get() == "\"\"";
            !(empty && (name == "model" || (form == Form::Text && name == "prompt")))
        };
        fields.retain(leave);
        Ok(Self { form, fields, variables, messages })
    }

    /// The values that the request gives, with its messages when the prompt has a variable for them.
    pub fn variables(&mut self, prompt: &Prompt) -> Result<Map<String, Value>> {
        let mut given = self.variables.clone();
        let placed = prompt.messages.iter().any(|message| message.placeholder.as_deref() == Some(MESSAGES));
        if placed && !given.contains_key(MESSAGES) && !self.messages.is_empty() {
            let own = std::mem::take(&mut self.messages);
            let own = own.into_iter().map(|raw| serde_json::from_str(raw.get()));
            let own: Vec<Value> =
                own.collect::<Result<_, _>>().map_err(|cause| wrong(Some(MESSAGES), cause.to_string()))?;
            given.insert(MESSAGES.to_owned(), own.into());
        }
        Ok(given)
    }

    /// The request that says everything.
    ///
    /// # Errors
    /// [`Error::Request`] when the prompt is of the other kind, no model is named, or the request has a text of its own.
    pub fn complete(self, prompt: &Prompt, rendered: &Rendered) -> Result<Vec<u8>> {
        let said = self.said(prompt, rendered)?;
        if self.says("model") {
            return Ok(self.write(prompt, &[said]));
        }
        let reason = "you must provide a model: neither the request nor the prompt's version names one";
        let model = prompt.model.as_ref().ok_or_else(|| wrong(Some("model"), reason.to_owned()))?;
        Ok(self.write(prompt, &[("model", json!(model).to_string()), said]))
    }

    fn says(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    /// The field with what is said: the prompt's messages and then the request's, or the prompt's text.
    fn said(&self, prompt: &Prompt, rendered: &Rendered) -> Result<(&'static str, String)> {
        match (self.form, rendered) {
            (Form::Chat, Rendered::Chat(messages)) => {
                let own = self.messages.iter().map(|raw| raw.get().to_owned());
                let all: Vec<String> = messages.iter().map(as_json).chain(own).collect();
                Ok((MESSAGES, format!("[{}]", all.join(","))))
            }
            (Form::Text, Rendered::Text(_)) if self.says("prompt") => {
                let reason = "the text comes from the prompt's version; leave 'prompt' out";
                Err(wrong(Some("prompt"), reason.to_owned()))
            }
            (Form::Text, Rendered::Text(text)) => Ok(("prompt", json!(text).to_string())),
            (_, _) => Err(wrong(None, mismatch(prompt.kind))),
        }
    }

    fn write(&self, prompt: &Prompt, first: &[(&'static str, String)]) -> Vec<u8> {
        let mut fields: Vec<String> = first.iter().map(|(name, json)| format!("\"{name}\":{}", json)).collect();
        fields.extend(self.fields.iter().map(|(name, raw)| format!("{}:{}", json!(name), raw.get())));
        fields.extend(self.left_to(prompt).into_iter().map(|(name, value)| format!("{}:{value}", json!(name))));
        format!("{{{}}}", fields.join(",")).into_bytes()
    }

    /// What the version says and the request does not.
    fn left_to(&self, prompt: &Prompt) -> Vec<(String, Value)> {
        let limited = TOKEN_LIMITS.iter().any(|name| self.says(name));
        let mut left: Vec<(String, Value)> = prompt
            .parameters
            .iter()
            .filter(|(name, _)| !(self.says(name) || limited && TOKEN_LIMITS.contains(&name.as_str())))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let own_tools = self.says("tools");
        if !prompt.tools.is_empty() && !own_tools {
            left.push(("tools".to_owned(), prompt.tools.clone().into()));
        }
        // The choice is one among the version's tools.
        let tool_choice = if own_tools { &None } else { &prompt.tool_choice };
        let others = [("tool_choice", tool_choice), ("response_format", &prompt.response_format)];
        left.extend(others.into_iter().filter_map(|(name, value)| {
            let value = value.as_ref().filter(|_| !self.says(name))?;
            Some((name.to_owned(), value.clone()))
        }));
        left
    }
}

fn mismatch(kind: Kind) -> String {
    match kind {
        Kind::Chat => "this prompt is a conversation: it goes to /v1/chat/completions".to_owned(),
        Kind::Text => "this prompt is one text: it goes to /v1/completions".to_owned(),
    }
}

fn as_json(message: &Message) -> String {
    json!(message).to_string()
}

fn wrong(field: Option<&'static str>, reason: String) -> Error {
    Error::Request { field, reason }
}

/// So much of a field's name as an error repeats.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

/// The fields of an object in their order.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Reader<'a> {
            type Value = Fields<'a>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'a>, A::Error> {
                let mut fields = Vec::new();
                while let Some(Name(name)) = map.next_key::<Name>()? {
                    fields.push((name, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader(std::marker::PhantomData))
    }
}

/// A key, which borrows where no escape forbids it.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(value: Value) -> Prompt {
        let prompt: Prompt = serde_json::from_value(value).unwrap();
        prompt.check().unwrap();
        prompt
    }

    fn completed(form: Form, prompt: &Prompt, body: &str) -> Result<Value> {
        let mut asked = Asked::read(form, body.as_bytes())?;
        let values = asked.variables(prompt)?;
        let rendered = prompt.render(&values, &[])?;
        Ok(serde_json::from_slice(&asked.complete(prompt, &rendered)?).unwrap())
    }

    fn greeting() -> Prompt {
        prompt(json!({
            "messages": [{"role": "user", "content": "Greet {{ name }}."}],
            "variables": [{"name": "name"}],
            "model": "m1",
            "parameters": {"temperature": 0.2, "max_tokens": 50},
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "response_format": {"type": "json_object"},
        }))
    }

    #[test]
    fn the_version_says_what_the_request_does_not() {
        assert_eq!(
            completed(Form::Chat, &greeting(), r#"{"prompt_variables":{"name":"Ada"},"x_own":[1, 2]}"#).unwrap(),
            json!({
                "model": "m1",
                "messages": [{"role": "user", "content": "Greet Ada."}],
                "x_own": [1, 2],
                "temperature": 0.2,
                "max_tokens": 50,
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "response_format": {"type": "json_object"},
            })
        );
    }

    #[test]
    fn what_the_request_says_wins() {
        let body = r#"{"model":"m2","temperature":1,"max_completion_tokens":9,"tools":null,"response_format":{"type":"text"},
            "messages":[{"role":"user","content":"And now?","x":1}],"prompt_variables":{"name":"Ada"},"stream":true}"#;
        assert_eq!(
            completed(Form::Chat, &greeting(), body).unwrap(),
            json!({
                "messages": [{"role": "user", "content": "Greet Ada."}, {"role": "user", "content": "And now?", "x": 1}],
                "model": "m2",
                "temperature": 1,
                "max_completion_tokens": 9,
                "tools": null,
                "response_format": {"type": "text"},
                "stream": true,
            })
        );
    }

    /// The version's choice is one among its own tools.
    #[test]
    fn with_tools_of_the_request_the_version_s_choice_does_not_count() {
        let mut chosen = greeting();
        chosen.tool_choice = Some(json!({"type": "function", "function": {"name": "f"}}));
        let said = |tools: &str| {
            let body = format!(r#"{{"prompt_variables":{{"name":"Ada"}}{tools}}}"#);
            completed(Form::Chat, &chosen, &body).unwrap()["tool_choice"].clone()
        };
        assert_eq!(said("")["function"]["name"], "f");
        assert_eq!(said(r#","tools":[{"type":"function","function":{"name":"g"}}]"#), Value::Null);
        assert_eq!(said(r#","tool_choice":"none""#), "none");
    }

    #[test]
    fn a_model_that_is_left_empty_is_left_to_the_version() {
        let body = r#"{"model":"","messages":[],"prompt_variables":{"name":"Ada"}}"#;
        assert_eq!(completed(Form::Chat, &greeting(), body).unwrap()["model"], "m1");
        let without = prompt(json!({"messages": [{"role": "user", "content": "x"}]}));
        let error = completed(Form::Chat, &without, "{}").unwrap_err();
        assert!(matches!(error, Error::Request { field: Some("model"), .. }), "{error}");
    }

    #[test]
    fn the_request_s_messages_stand_where_the_prompt_has_a_place() {
        let prompt = prompt(json!({
            "messages": [{"role": "system", "content": "Be brief."}, {"placeholder": "messages"}, {"role": "user", "content": "Sum up."}],
            "variables": [{"name": "messages", "type": "messages", "required": false}],
            "model": "m",
        }));
        let body = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
        let said = completed(Form::Chat, &prompt, body).unwrap()["messages"].clone();
        let texts: Vec<_> =
            said.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
        assert_eq!(texts, ["Be brief.", "hi", "Sum up."]);
    }

    #[test]
    fn a_text_is_completed() {
        let prompt = prompt(json!({"kind": "text", "text": "Q: {{ q }}", "variables": [{"name": "q"}], "model": "m"}));
        let body = r#"{"prompt":"","prompt_variables":{"q":"\"why\"?"},"max_tokens":3}"#;
        assert_eq!(
            completed(Form::Text, &prompt, body).unwrap(),
            json!({"model": "m", "prompt": "Q: \"why\"?", "max_tokens": 3})
        );
        let error = completed(Form::Text, &prompt, r#"{"prompt":"mine","prompt_variables":{"q":"a"}}"#).unwrap_err();
        assert!(matches!(error, Error::Request { field: Some("prompt"), .. }), "{error}");
        let error = completed(Form::Chat, &prompt, r#"{"prompt_variables":{"q":"a"}}"#).unwrap_err().to_string();
        assert_eq!(error, "this prompt is one text: it goes to /v1/completions");
    }

    #[test]
    fn requests_of_no_form_are_refused() {
        for body in ["[]", "7", "{", r#"{"a":1,"a":2}"#, r#"{"prompt_variables":[1]}"#, r#"{"messages":"hi"}"#] {
            assert!(matches!(Asked::read(Form::Chat, body.as_bytes()), Err(Error::Request { .. })), "{body}");
        }
    }
}
