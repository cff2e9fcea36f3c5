//! Messages in the form that templates expect, which differs from OpenAI's in three places.

use qd_base::chat::Message;
use serde_json::{Map, Value};

/// The messages as plain JSON:
///
/// - text given in parts is joined, since most templates only know text;
/// - the arguments of a tool call are an object, as Hugging Face documents for templates, not its text;
/// - an absent content is an empty text, so that a message that only calls tools does not end in an error.
pub(super) fn as_templates_read_them(messages: &[Message]) -> Vec<Value> {
    messages.iter().map(message).collect()
}

fn message(message: &Message) -> Value {
    // A message serialises to an object whatever it holds.
    let Ok(Value::Object(mut object)) = serde_json::to_value(message) else { return Value::Null };
    let text = match &message.content {
        None => Some("".into()),
        Some(content) => content.as_text(),
    };
    if let Some(text) = text {
        object.insert("content".into(), Value::String(text.into_owned()));
    }
    for call in object.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        open_arguments(call);
    }
    Value::Object(object)
}

/// Arguments that are no JSON object, which a weak model may have written, stay text.
fn open_arguments(call: &mut Value) {
    let Some(arguments) = call.pointer_mut("/function/arguments") else { return };
    if let Some(object) = arguments.as_str().and_then(|text| serde_json::from_str::<Map<_, _>>(text).ok()) {
        *arguments = Value::Object(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_differences() {
        let messages: Vec<Message> = serde_json::from_value(serde_json::json!([
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"z\": 1, \"a\": 2}"}},
                {"id": "2", "type": "function", "function": {"name": "f", "arguments": "not json"}},
            ]},
        ]))
        .unwrap();
        let read = as_templates_read_them(&messages);
        assert_eq!(read[0]["content"], "ab");
        assert_eq!(read[1]["content"], "");
        let arguments = |call: usize| &read[1]["tool_calls"][call]["function"]["arguments"];
        assert_eq!(arguments(0).as_object().unwrap().keys().collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!(arguments(1), "not json");
    }
}
