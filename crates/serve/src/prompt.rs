//! From messages to the prompt text that the model was trained on.

use qd_base::Extra;
use qd_base::chat::{ChatRequest, Content, Message, Role, Tool, ToolCall};
use qd_model::template::{ChatTemplate, TemplateError};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::tools::{CLOSE, OPEN};

/// More messages than a conversation has.
const MAX_MESSAGES: usize = 4096;

/// A model's chat template, and whether it shows tools in the dialect that we read.
pub(crate) struct Prompter {
    template: ChatTemplate,
    shows_tools: bool,
}

impl Prompter {
    pub fn new(source: &str, bos: &str, eos: &str) -> std::result::Result<Self, TemplateError> {
        let shows_tools = source.contains("tools") && source.contains(OPEN);
        Ok(Self { template: ChatTemplate::parse(source, bos, eos)?, shows_tools })
    }

    /// The prompt of a chat, ending where the assistant begins to speak.
    pub fn render(&self, request: &ChatRequest, tools: &[Tool]) -> Result<std::result::Result<String, TemplateError>> {
        check(&request.messages)?;
        let extra = template_variables(&request.extra);
        if self.shows_tools {
            return Ok(self.template.render(&request.messages, tools, true, &extra));
        }
        let messages = told_in_words(&request.messages, tools);
        Ok(self.template.render(&messages, &[], true, &extra))
    }
}

fn check(messages: &[Message]) -> Result<()> {
    if messages.is_empty() || messages.len() > MAX_MESSAGES {
        return Err(Error::invalid("messages", format!("there must be between 1 and {MAX_MESSAGES} messages")));
    }
    let other = messages.iter().position(|message| message.content.as_ref().is_some_and(|it| it.as_text().is_none()));
    match other {
        Some(place) => Err(Error::invalid(format!("messages[{place}].content"), "this model reads only text parts")),
        None => Ok(()),
    }
}

/// Variables for the template from the field that vLLM and SGLang use for them.
fn template_variables(extra: &Extra) -> Extra {
    extra.get("chat_template_kwargs").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The messages for a template that knows nothing of tools: the tools described in the system message, calls
/// and their results as text in the same dialect.
fn told_in_words(messages: &[Message], tools: &[Tool]) -> Vec<Message> {
    let mut told: Vec<Message> = messages.iter().map(in_words).collect();
    if tools.is_empty() {
        return told;
    }
    let instruction = instruction(tools);
    match told.first_mut() {
        Some(first) if matches!(first.role, Role::System | Role::Developer) => {
            let before = text_of(first);
            first.content = Some(Content::Text(format!("{before}\n\n{instruction}")));
        }
        _ => told.insert(0, Message::text(Role::System, instruction)),
    }
    told
}

fn in_words(message: &Message) -> Message {
    match (&message.role, &message.tool_calls) {
        (Role::Tool | Role::Function, _) => {
            let result = format!("<tool_response>\n{}\n</tool_response>", text_of(message));
            Message::text(Role::User, result)
        }
        (_, Some(calls)) if !calls.is_empty() => {
            let calls: Vec<String> = calls.iter().map(call_in_words).collect();
            let text = format!("{}{}", text_of(message), calls.join("\n"));
            Message::text(message.role.clone(), text)
        }
        // Most templates know only these four roles.
        (Role::Developer, _) => Message { role: Role::System, ..message.clone() },
        _ => message.clone(),
    }
}

fn call_in_words(call: &ToolCall) -> String {
    let arguments: Value = serde_json::from_str(&call.function.arguments).unwrap_or_else(|_| json!({}));
    format!("{OPEN}\n{}\n{CLOSE}", json!({"name": call.function.name, "arguments": arguments}))
}

fn text_of(message: &Message) -> String {
    message.content.as_ref().and_then(Content::as_text).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

fn instruction(tools: &[Tool]) -> String {
    let described: Vec<String> = tools.iter().map(|tool| serde_json::to_string(tool).unwrap_or_default()).collect();
    format!(
        "You can call these functions, described by JSON schemas:\n<tools>\n{}\n</tools>\n\
         To call one, answer with its name and arguments in this form and nothing else:\n\
         {OPEN}\n{{\"name\": \"…\", \"arguments\": {{…}}}}\n{CLOSE}",
        described.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
                          {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    fn render(template: &str, request: Value) -> Result<String> {
        let request: ChatRequest = serde_json::from_value(request).unwrap();
        let tools = request.tools.clone().unwrap_or_default();
        Prompter::new(template, "", "").unwrap().render(&request, &tools).map(|rendered| rendered.unwrap())
    }

    #[test]
    fn messages_are_rendered_by_the_models_template() {
        let prompt = render(CHATML, json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})).unwrap();
        assert_eq!(prompt, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    }

    #[test]
    fn tools_are_told_in_words_to_a_template_that_does_not_know_them() {
        let prompt = render(
            CHATML,
            json!({"model": "m",
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
                    {"role": "tool", "content": "42", "tool_call_id": "1"}],
                "tools": [{"type": "function", "function": {"name": "f"}}]}),
        )
        .unwrap();
        let system = prompt.split("<|im_end|>").next().unwrap();
        assert!(system.contains("Be kind.") && system.contains(r#"{"type":"function","function":{"name":"f"}}"#));
        assert!(prompt.contains("<tool_call>\n{\"name\":\"f\",\"arguments\":{\"a\":1}}\n</tool_call>"), "{prompt}");
        assert!(prompt.contains("user\n<tool_response>\n42\n</tool_response>"), "{prompt}");
    }

    #[test]
    fn tools_go_to_a_template_that_knows_them() {
        let template = "{% for t in tools %}<tool_call> {{ t.function.name }}{% endfor %}";
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools});
        assert_eq!(render(template, request).unwrap(), "<tool_call> f");
    }

    #[test]
    fn images_are_refused_with_their_place() {
        let content = json!([{"type": "image_url", "image_url": {"url": "data:,"}}]);
        let refused = render(CHATML, json!({"model": "m", "messages": [{"role": "user", "content": content}]}));
        assert!(matches!(refused, Err(Error::Invalid { param: Some(param), .. }) if param == "messages[0].content"));
    }
}
