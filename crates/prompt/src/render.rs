//! What does a prompt say with these values?

use std::sync::Arc;

use qd_base::chat::{Message, Role};
use serde_json::{Map, Value};

use crate::definition::{EXAMPLES, Kind, MessageTemplate, Prompt};
use crate::example::{Example, ExampleTemplate, MAX_COUNT, Slot, Strategy};
use crate::template::{self, Given, Meter, Ready};
use crate::variable;
use crate::{Error, Result};

/// Characters that a token is taken for where nobody counts them.
const CHARS_PER_TOKEN: usize = 4;
/// What stands between two examples that are text.
const USUAL_SEPARATOR: &str = "\n\n";

/// What is said.
#[derive(Debug, Clone, PartialEq)]
pub enum Rendered {
    /// A conversation.
    Chat(Vec<Message>),
    /// One text.
    Text(String),
}

impl Rendered {
    /// Characters of all that is said.
    pub fn chars(&self) -> usize {
        match self {
            Self::Text(text) => text.chars().count(),
            Self::Chat(messages) => {
                messages.iter().filter_map(|message| Some(message.content.as_ref()?.as_text()?.chars().count())).sum()
            }
        }
    }

    /// About how many tokens that is, at four characters each.
    pub fn estimated_tokens(&self) -> usize {
        self.chars().div_ceil(CHARS_PER_TOKEN)
    }
}

impl Prompt {
    /// The prompt with these values and examples. Everything is bounded: values, steps, work and the text itself.
    ///
    /// # Errors
    /// As the variables are checked; [`Error::Render`] with the template and its line, [`Error::Exhausted`],
    /// [`Error::Example`].
    ///
    /// ```
    /// use qd_base::chat::Role;
    /// use qd_prompt::{MessageTemplate, Prompt, Rendered, Variable, VariableKind};
    ///
    /// let message = MessageTemplate::new(Role::User, "Greet {{ name }}.");
    /// let prompt = Prompt::chat(vec![message], vec![Variable::new("name", VariableKind::String)]);
    /// let values = serde_json::json!({"name": "Ada"});
    /// let Rendered::Chat(messages) = prompt.render(values.as_object().unwrap(), &[])? else { unreachable!() };
    /// assert_eq!(messages[0].content.as_ref().unwrap().as_text().unwrap(), "Greet Ada.");
    /// # Ok::<(), qd_prompt::Error>(())
    /// ```
    pub fn render(&self, given: &Map<String, Value>, examples: &[Example]) -> Result<Rendered> {
        let mut values = variable::resolve(&self.variables, given)?;
        let meter = Meter::full();
        let mut shown = Vec::new();
        if let Some(slot) = &self.examples {
            match &slot.template {
                ExampleTemplate::Text(text) => {
                    let written = as_text(slot, text, examples, &meter)?;
                    values.insert(EXAMPLES.to_owned(), written.into());
                }
                ExampleTemplate::Messages(messages) => shown = as_messages(messages, examples, &meter)?,
            }
        }
        match self.kind {
            Kind::Text => {
                let text = self.text.as_deref().unwrap_or_default();
                let ready = template::ready(text, "text")?;
                ready.render("text", &Given::new(&values, &meter)).map(Rendered::Text)
            }
            Kind::Chat => self.conversation(&values, shown, &meter).map(Rendered::Chat),
        }
    }

    /// The values that this prompt would be rendered with: those given, checked, and the defaults, in the order of its
    /// declarations.
    ///
    /// # Errors
    /// As the variables are checked.
    pub fn resolve(&self, given: &Map<String, Value>) -> Result<Map<String, Value>> {
        variable::resolve(&self.variables, given)
    }

    /// The examples of the version itself, as far as no similarity has to be measured for them.
    pub fn own_examples(&self) -> Vec<Example> {
        self.examples.as_ref().map(|slot| slot.pick(&slot.items)).unwrap_or_default()
    }

    /// Where examples have to be fetched or compared before rendering.
    pub fn needs_examples(&self) -> Option<&Slot> {
        self.examples
            .as_ref()
            .filter(|slot| slot.count() > 0 && (slot.dataset.is_some() || slot.strategy == Strategy::Similar))
    }

    fn conversation(
        &self,
        values: &Map<String, Value>,
        shown: Vec<Message>,
        meter: &Arc<Meter>,
    ) -> Result<Vec<Message>> {
        let mut said = Vec::with_capacity(self.messages.len() + shown.len());
        let mut shown = Some(shown);
        let given = Given::new(values, meter);
        for (place, message) in self.messages.iter().enumerate() {
            match &message.placeholder {
                Some(name) if name == EXAMPLES => said.extend(shown.take().unwrap_or_default()),
                Some(name) => said.extend(messages_of(values, name)?),
                None => {
                    let place = format!("messages[{place}].content");
                    said.push(write(message, &read(message, &place)?, &place, &given)?);
                }
            }
        }
        Ok(said)
    }
}

fn read<'m>(message: &'m MessageTemplate, place: &str) -> Result<Ready<'m>> {
    template::ready(message.content.as_deref().unwrap_or_default(), place)
}

fn write(message: &MessageTemplate, ready: &Ready<'_>, place: &str, given: &Given) -> Result<Message> {
    let text = ready.render(place, given)?;
    Ok(Message::text(message.role.clone().unwrap_or(Role::User), text))
}

/// The messages that a variable holds.
fn messages_of(values: &Map<String, Value>, name: &str) -> Result<Vec<Message>> {
    let value = values.get(name).cloned().unwrap_or_default();
    if value.is_null() {
        return Ok(Vec::new());
    }
    serde_json::from_value(value).map_err(|_| Error::WrongType {
        name: name.to_owned(),
        expected: "a list of messages, each with a role and a content",
        found: "another list",
    })
}

fn as_messages(templates: &[MessageTemplate], examples: &[Example], meter: &Arc<Meter>) -> Result<Vec<Message>> {
    let place = |at: usize| format!("examples.template[{at}]");
    let read = templates.iter().enumerate().map(|(at, message)| Ok((message, read(message, &place(at))?)));
    let read: Vec<_> = read.collect::<Result<_>>()?;
    let mut said = Vec::new();
    for (number, example) in bounded(examples)?.iter().enumerate() {
        let given = Given::new(&values_of(example, number)?, meter);
        for (at, (message, ready)) in read.iter().enumerate() {
            said.push(write(message, ready, &format!("{} of example {number}", place(at)), &given)?);
        }
    }
    Ok(said)
}

fn as_text(slot: &Slot, text: &str, examples: &[Example], meter: &Arc<Meter>) -> Result<String> {
    const PLACE: &str = "examples.template";
    let ready = template::ready(text, PLACE)?;
    let written = bounded(examples)?.iter().enumerate().map(|(number, example)| {
        ready.render(&format!("{PLACE} of example {number}"), &Given::new(&values_of(example, number)?, meter))
    });
    let written: Vec<String> = written.collect::<Result<_>>()?;
    Ok(written.join(slot.separator.as_deref().unwrap_or(USUAL_SEPARATOR)))
}

fn bounded(examples: &[Example]) -> Result<&[Example]> {
    match examples.len() > MAX_COUNT {
        true => Err(Error::Example { place: MAX_COUNT, reason: format!("at most {MAX_COUNT} go into a prompt") }),
        false => Ok(examples),
    }
}

fn values_of(example: &Example, place: usize) -> Result<Map<String, Value>> {
    let mut values = example.variables.clone();
    values.insert("output".to_owned(), example.output.clone());
    variable::check_values(&values).map_err(|error| Error::Example { place, reason: error.to_string() })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(prompt: Value, values: Value) -> Result<Value> {
        let prompt: Prompt = serde_json::from_value(prompt).unwrap();
        prompt.check()?;
        let rendered = prompt.render(values.as_object().unwrap(), &prompt.own_examples())?;
        Ok(match rendered {
            Rendered::Chat(messages) => json!(messages),
            Rendered::Text(text) => json!(text),
        })
    }

    #[test]
    fn a_conversation_with_examples_and_history() {
        let prompt = json!({
            "messages": [
                {"role": "system", "content": "Be {{ tone }}."},
                {"placeholder": "examples"},
                {"placeholder": "history"},
                {"role": "user", "content": "{{ q }}"},
            ],
            "variables": [{"name": "q"}, {"name": "tone", "default": "brief"}, {"name": "history", "type": "messages", "required": false}],
            "examples": {
                "template": [{"role": "user", "content": "{{ q }}"}, {"role": "assistant", "content": "{{ output }}"}],
                "count": 1,
                "items": [{"variables": {"q": "1+1"}, "output": 2}, {"variables": {"q": "2+2"}, "output": 4}],
            },
        });
        let tool = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
        assert_eq!(
            render(prompt.clone(), json!({"q": "3+3", "history": [{"role": "user", "content": "hi"}, tool]})).unwrap(),
            json!([
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "1+1"},
                {"role": "assistant", "content": "2"},
                {"role": "user", "content": "hi"},
                tool,
                {"role": "user", "content": "3+3"},
            ])
        );
        assert_eq!(render(prompt.clone(), json!({"q": "3+3"})).unwrap().as_array().unwrap().len(), 4);
        let error = render(prompt, json!({"q": "x", "history": [7]})).unwrap_err().to_string();
        assert_eq!(
            error,
            "the variable 'history' must be a list of messages, each with a role and a content, not another list"
        );
    }

    #[test]
    fn a_text_with_examples() {
        let prompt = json!({
            "kind": "text",
            "text": "{{ examples }}\n\nQ: {{ q }}\nA:",
            "variables": [{"name": "q"}],
            "examples": {
                "template": "Q: {{ q }}\nA: {{ output }}",
                "items": [{"variables": {"q": "1+1"}, "output": "2"}, {"variables": {"q": "2+2"}, "output": "4"}],
            },
        });
        assert_eq!(render(prompt, json!({"q": "3+3"})).unwrap(), "Q: 1+1\nA: 2\n\nQ: 2+2\nA: 4\n\nQ: 3+3\nA:");
    }

    #[test]
    fn an_example_that_lacks_a_variable_is_named() {
        let prompt = json!({
            "kind": "text",
            "text": "{{ examples }}",
            "examples": {"template": "{{ q }}", "items": [{"variables": {"q": "a"}, "output": ""}, {"output": "b"}]},
        });
        let error = render(prompt, json!({})).unwrap_err().to_string();
        assert!(error.starts_with("examples.template of example 1, line 1: undefined value"), "{error}");
    }

    #[test]
    fn a_value_is_never_read_as_a_template() {
        let prompt = json!({"kind": "text", "text": "{{ q }}", "variables": [{"name": "q"}]});
        assert_eq!(
            render(prompt, json!({"q": "{{ secret }}{% for x in y %}"})).unwrap(),
            "{{ secret }}{% for x in y %}"
        );
    }

    /// One meter for all: what one message may not, several together may not either.
    #[test]
    fn messages_share_their_limits() {
        let content = "{% for i in range(9000) %}{{ text }}{% endfor %}";
        let message = json!({"role": "user", "content": content});
        let prompt = |count: usize| json!({"messages": vec![message.clone(); count], "variables": [{"name": "text"}]});
        let text = "x".repeat(100);
        assert!(render(prompt(4), json!({"text": text})).is_ok());
        assert!(matches!(render(prompt(5), json!({"text": text})), Err(Error::Exhausted { .. })));
    }

    #[test]
    fn tokens_are_estimated() {
        assert_eq!(Rendered::Text("12345".to_owned()).estimated_tokens(), 2);
        let said = Rendered::Chat(vec![Message::text(Role::User, "abcd"), Message::text(Role::User, "é")]);
        assert_eq!((said.chars(), said.estimated_tokens()), (5, 2));
    }
}
