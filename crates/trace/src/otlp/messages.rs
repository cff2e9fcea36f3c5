//! Messages of a chat, however a dialect writes them, in the one form of this house: OpenAI's.

use qd_base::Extra;
use serde_json::{Map, Value, json};

use crate::otlp::value::unfold;

/// Parts of a path in one attribute's name at most; what goes deeper is kept as an attribute.
const MOST_DEPTH: usize = 12;
/// Who speaks where a message does not say.
const USER: &str = "user";
const ASSISTANT: &str = "assistant";

/// Which way a payload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

impl Side {
    /// Who speaks on this side where a message does not say.
    fn speaker(self) -> &'static str {
        match self {
            Self::Input => USER,
            Self::Output => ASSISTANT,
        }
    }
}

/// A payload with its messages, if it holds any, in OpenAI's form, and what stood beside them.
pub(crate) fn normal(value: Value, side: Side) -> (Value, Extra) {
    let value = unfold(value);
    match value {
        Value::Array(list) if is_chat(&list) => {
            (Value::Array(list.into_iter().flat_map(|one| message(one, side)).collect()), Extra::new())
        }
        Value::Object(fields) => of_object(fields, side),
        other => (other, Extra::new()),
    }
}

/// Requests and answers of providers hold messages among other things.
fn of_object(mut fields: Map<String, Value>, side: Side) -> (Value, Extra) {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).is_some_and(|list| is_chat(list));
    match side {
        Side::Input if list(fields.get("messages")) => {
            let (messages, _) = normal(fields.remove("messages").unwrap_or_default(), side);
            let mut all = fields.remove("system").map(system).unwrap_or_default();
            all.extend(messages.as_array().cloned().unwrap_or_default());
            (Value::Array(all), fields)
        }
        // Vercel: a prompt and the system's words.
        Side::Input if fields.get("prompt").is_some_and(Value::is_string) && fields.len() <= 2 => {
            let mut all = fields.remove("system").map(system).unwrap_or_default();
            all.push(json!({"role": USER, "content": fields.remove("prompt").unwrap_or_default()}));
            (Value::Array(all), fields)
        }
        Side::Output if fields.get("choices").and_then(Value::as_array).is_some_and(|list| is_choices(list)) => {
            let choices = fields.remove("choices").unwrap_or_default();
            let choices = choices.as_array().cloned().unwrap_or_default().into_iter();
            (Value::Array(choices.flat_map(|choice| message(choice, side)).collect()), fields)
        }
        _ if is_message(&Value::Object(fields.clone())) => {
            (Value::Array(message(Value::Object(fields), side)), Extra::new())
        }
        _ => (Value::Object(fields), Extra::new()),
    }
}

/// Whether these are messages.
pub(crate) fn is_chat(list: &[Value]) -> bool {
    !list.is_empty() && list.iter().all(is_message)
}

fn is_choices(list: &[Value]) -> bool {
    !list.is_empty() && list.iter().all(|choice| choice.get("message").is_some_and(Value::is_object))
}

fn is_message(value: &Value) -> bool {
    let Some(fields) = value.as_object() else { return false };
    let says = ["content", "parts", "tool_calls", "refusal"].iter().any(|key| fields.contains_key(*key));
    let inner = fields.get("message").is_some_and(|inner| inner.get("role").is_some());
    inner || (says && fields.get("role").is_some_and(Value::is_string))
}

/// The system's words as messages before all others.
pub(crate) fn system(value: Value) -> Vec<Value> {
    match unfold(value) {
        Value::Null => Vec::new(),
        // OpenTelemetry: a list of parts.
        Value::Array(parts) => {
            let (content, _) = content(parts);
            vec![json!({"role": "system", "content": content})]
        }
        words => vec![json!({"role": "system", "content": words})],
    }
}

/// One message, or several: OpenTelemetry and Vercel put the answers of several tools into one.
fn message(value: Value, side: Side) -> Vec<Value> {
    let Value::Object(mut fields) = value else { return vec![value] };
    if let Some(Value::Object(inner)) = fields.get("message") {
        // A choice, or OpenInference's wrapper.
        let mut inner = inner.clone();
        if let Some(reason) = fields.remove("finish_reason") {
            inner.entry("finish_reason").or_insert(reason);
        }
        fields = inner;
    }
    let role = fields.get("role").and_then(Value::as_str).unwrap_or(side.speaker()).to_owned();
    let parts = match (fields.remove("parts"), fields.get("content")) {
        (Some(Value::Array(parts)), _) => Some(parts),
        (_, Some(Value::Array(parts))) => Some(parts.clone()),
        _ => None,
    };
    let mut made = Map::new();
    made.insert("role".into(), role.clone().into());
    let mut results = Vec::new();
    if let Some(parts) = parts {
        fields.remove("content");
        let (content, others) = content(parts);
        results = others.results;
        made.insert("content".into(), content);
        if !others.calls.is_empty() {
            made.insert("tool_calls".into(), Value::Array(others.calls));
        }
        if !others.reasoning.is_empty() {
            made.insert("reasoning_content".into(), others.reasoning.join("\n").into());
        }
    }
    fields.remove("role");
    if fields.get("finish_reason").is_some_and(|reason| reason.is_null() || reason == "stop" || reason == "") {
        fields.remove("finish_reason");
    }
    for (key, value) in fields {
        made.entry(key).or_insert(value);
    }
    let is_empty = made.get("content").is_none_or(Value::is_null) && !made.contains_key("tool_calls");
    if !results.is_empty() && is_empty {
        return results;
    }
    [vec![Value::Object(made)], results].concat()
}

/// What parts of a message are that OpenAI's form has another place for.
#[derive(Default)]
struct Others {
    calls: Vec<Value>,
    results: Vec<Value>,
    reasoning: Vec<String>,
}

/// The content that parts come to: a text if they are one, and what belongs elsewhere.
fn content(parts: Vec<Value>) -> (Value, Others) {
    let mut others = Others::default();
    let mut kept: Vec<Value> = parts.into_iter().filter_map(|part| sort_part(part, &mut others)).collect();
    let only_text = |part: &Value| {
        part.get("type").is_some_and(|kind| kind == "text") && part.as_object().is_some_and(|fields| fields.len() == 2)
    };
    let content = match kept.as_slice() {
        [] => Value::Null,
        [one] if only_text(one) => kept.remove(0).get("text").cloned().unwrap_or_default(),
        _ => Value::Array(kept),
    };
    (content, others)
}

/// A part as it stays in the content; none when it belongs elsewhere.
fn sort_part(part: Value, others: &mut Others) -> Option<Value> {
    let Value::Object(fields) = part else { return Some(json!({"type": "text", "text": part})) };
    let of = |keys: &[&str]| keys.iter().find_map(|key| fields.get(*key)).cloned().unwrap_or_default();
    match fields.get("type").and_then(Value::as_str).unwrap_or_default() {
        "text" if !fields.contains_key("text") => Some(json!({"type": "text", "text": of(&["content"])})),
        "tool_call" | "tool-call" => {
            others.calls.push(call(
                of(&["id", "toolCallId"]),
                of(&["name", "toolName"]),
                of(&["arguments", "input", "args"]),
            ));
            None
        }
        "tool_call_response" | "tool-result" => {
            let id = of(&["id", "toolCallId"]);
            let content = of(&["response", "result", "output"]);
            others.results.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
            None
        }
        "reasoning" | "thinking" => {
            let words = of(&["content", "text", "thinking"]);
            others.reasoning.push(words.as_str().map_or_else(|| words.to_string(), str::to_owned));
            None
        }
        _ => Some(Value::Object(fields)),
    }
}

/// A tool call as OpenAI writes it, with its arguments as JSON in a text.
fn call(id: Value, name: Value, arguments: Value) -> Value {
    let arguments = match arguments {
        Value::String(text) => text,
        Value::Null => "{}".to_owned(),
        other => other.to_string(),
    };
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// The message of an answer that came as a text and a list of calls, each in an attribute of its own.
pub(crate) fn answer(text: Option<Value>, calls: Option<Value>) -> Value {
    let mut message = json!({"role": ASSISTANT, "content": text.unwrap_or_default()});
    if let Some(Value::Array(calls)) = calls.map(unfold) {
        let of = |call: &Value, keys: &[&str]| keys.iter().find_map(|key| call.get(*key)).cloned().unwrap_or_default();
        let calls = calls.iter().map(|one| {
            call(
                of(one, &["toolCallId", "id"]),
                of(one, &["toolName", "name"]),
                of(one, &["args", "input", "arguments"]),
            )
        });
        message["tool_calls"] = calls.collect();
    }
    json!([message])
}

/// The message that an event of a chat is: `gen_ai.user.message`, `gen_ai.choice` and the like; none for other events.
pub(crate) fn of_event(name: &str, body: Value) -> Option<(Side, Value)> {
    let (side, role) = match name {
        "gen_ai.system.message" => (Side::Input, "system"),
        "gen_ai.user.message" => (Side::Input, USER),
        "gen_ai.assistant.message" => (Side::Input, ASSISTANT),
        "gen_ai.tool.message" => (Side::Input, "tool"),
        "gen_ai.choice" | "gen_ai.assistant.choice" => (Side::Output, ASSISTANT),
        _ => return None,
    };
    let mut fields = match unfold(body) {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        words => Map::from_iter([("content".to_owned(), words)]),
    };
    fields.remove("index");
    fields.remove("gen_ai.system");
    fields.remove("gen_ai.provider.name");
    if let Some(inner) = fields.remove("message") {
        match unfold(inner) {
            Value::Object(inner) => fields.extend(inner),
            words => drop(fields.insert("content".into(), words)),
        }
    }
    if let Some(calls) = fields.remove("tool_calls") {
        fields.insert("tool_calls".into(), unfold(calls));
    }
    if let Some(id) = fields.remove("id").filter(|_| role == "tool") {
        fields.insert("tool_call_id".into(), id);
    }
    let mut whole = Map::from_iter([("role".to_owned(), Value::from(role))]);
    // An event's own word for who speaks holds only where it is one of a chat.
    whole.extend(fields);
    whole.entry("content").or_insert(Value::Null);
    message(Value::Object(whole), side).into_iter().next().map(|one| (side, one))
}

/// Attributes of a family, put together: `0.message.role` and its like become a tree.
#[derive(Debug, Default)]
pub(crate) struct Tree(Map<String, Value>);

impl Tree {
    /// Adds the value at a path; gives it back where there is no place for it.
    pub fn insert(&mut self, path: &str, value: Value) -> Result<(), Value> {
        let steps: Vec<&str> = path.split('.').collect();
        let Some((last, before)) = steps.split_last() else { return Err(value) };
        if steps.len() > MOST_DEPTH {
            return Err(value);
        }
        let mut place = &mut self.0;
        for step in before {
            match place.entry(*step).or_insert_with(|| Value::Object(Map::new())) {
                Value::Object(inner) => place = inner,
                _ => return Err(value),
            }
        }
        if place.contains_key(*last) {
            return Err(value);
        }
        place.insert((*last).to_owned(), value);
        Ok(())
    }

    /// Its members in the order of their numbers, with numbered members within as lists too.
    pub fn into_list(self) -> Vec<Value> {
        match listed(Value::Object(self.0)) {
            Value::Array(list) => list,
            other => vec![other],
        }
    }
}

/// Objects whose keys are all numbers, as lists.
fn listed(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let numbered =
        !fields.is_empty() && fields.keys().all(|key| key.len() < 10 && key.bytes().all(|byte| byte.is_ascii_digit()));
    if !numbered {
        return Value::Object(fields.into_iter().map(|(key, value)| (key, listed(value))).collect());
    }
    let mut members: Vec<(u32, Value)> =
        fields.into_iter().map(|(key, value)| (key.parse().unwrap_or(u32::MAX), listed(value))).collect();
    members.sort_by_key(|(place, _)| *place);
    Value::Array(members.into_iter().map(|(_, value)| value).collect())
}

/// What a family comes to: messages, texts, documents or tools in their own order.
pub(crate) fn of_family(tree: Tree, side: Side) -> Value {
    let members = tree.into_list().into_iter().map(|member| unwrapped(member, side));
    Value::Array(members.collect())
}

/// A member without OpenInference's wrappers (`message`, `document`, `embedding`, `tool`), messages in OpenAI's form.
fn unwrapped(member: Value, side: Side) -> Value {
    let Value::Object(mut fields) = member else { return member };
    if fields.len() == 1 {
        for wrapper in ["document", "tool", "embedding"] {
            match fields.remove(wrapper) {
                Some(Value::Object(mut inner)) if wrapper == "embedding" && inner.len() == 1 => {
                    return inner.remove("text").unwrap_or(Value::Object(inner));
                }
                Some(Value::Object(mut inner)) => {
                    if let Some(schema) = inner.remove("json_schema") {
                        return unfold(schema);
                    }
                    return Value::Object(
                        inner.into_iter().map(|(key, value)| (key, unfold_metadata(value))).collect(),
                    );
                }
                Some(other) => drop(fields.insert(wrapper.to_owned(), other)),
                None => {}
            }
        }
    }
    let inner = match fields.remove("message") {
        Some(Value::Object(inner)) => inner,
        Some(other) => return json!({"role": side.speaker(), "content": other}),
        None => fields,
    };
    if !["role", "content", "contents", "tool_calls", "finish_reason"].iter().any(|key| inner.contains_key(*key)) {
        return Value::Object(inner);
    }
    family_message(inner, side)
}

fn unfold_metadata(value: Value) -> Value {
    match &value {
        Value::String(text) if text.starts_with('{') => unfold(value),
        _ => value,
    }
}

fn family_message(mut fields: Map<String, Value>, side: Side) -> Value {
    if let Some(Value::Array(contents)) = fields.remove("contents") {
        let parts = contents.into_iter().map(content_part);
        fields.insert("content".into(), Value::Array(parts.collect()));
    }
    if let Some(Value::String(text)) = fields.get("content")
        && text.starts_with('[')
        && let Value::Array(parts) = unfold(Value::String(text.clone()))
        && parts.iter().all(|part| part.get("type").is_some())
    {
        fields.insert("content".into(), Value::Array(parts));
    }
    if let Some(Value::Array(calls)) = fields.remove("tool_calls") {
        let calls: Vec<Value> = calls.into_iter().map(family_call).collect();
        fields.insert("tool_calls".into(), Value::Array(calls));
    }
    fields.entry("role").or_insert_with(|| side.speaker().into());
    fields.entry("content").or_insert(Value::Null);
    message(Value::Object(fields), side).into_iter().next().unwrap_or_default()
}

/// `message_content.{type,text,image.image.url}` as OpenAI's part.
fn content_part(part: Value) -> Value {
    let inner = part.get("message_content").cloned().unwrap_or(part);
    let text = |key: &str| inner.get(key).and_then(Value::as_str).map(str::to_owned);
    if let Some(url) = inner.pointer("/image/image/url").and_then(Value::as_str) {
        return json!({"type": "image_url", "image_url": {"url": url}});
    }
    match text("text") {
        Some(text) => json!({"type": "text", "text": text}),
        None => inner,
    }
}

/// `tool_call.function.{name,arguments}` of OpenInference, `{id,name,arguments}` of Traceloop.
fn family_call(one: Value) -> Value {
    let inner = one.get("tool_call").cloned().unwrap_or(one);
    let of = |path: &str| inner.pointer(path).cloned();
    let name = of("/function/name").or_else(|| of("/name")).unwrap_or_default();
    let arguments = of("/function/arguments").or_else(|| of("/arguments")).unwrap_or_default();
    call(of("/id").unwrap_or_default(), name, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value, side: Side, expected: Value) {
        assert_eq!(normal(value, side).0, expected);
    }

    #[test]
    fn the_parts_of_opentelemetry_become_openai_s_form() {
        let told = json!([
            {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]},
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rainy"}]},
        ]);
        let expected = json!([
            {"role": "user", "content": "Weather in Paris?"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Paris\"}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "rainy"},
        ]);
        check(told.clone(), Side::Input, expected.clone());
        check(Value::String(told.to_string()), Side::Input, expected);
        check(
            json!([{"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Hi"}], "finish_reason": "stop"}]),
            Side::Output,
            json!([{"role": "assistant", "content": "Hi", "reasoning_content": "hm"}]),
        );
    }

    #[test]
    fn requests_and_answers_hold_messages_among_other_things() {
        let (input, beside) =
            normal(json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}), Side::Input);
        assert_eq!((input, Value::Object(beside)), (json!([{"role": "user", "content": "hi"}]), json!({"model": "m"})));
        check(
            json!({"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yo"}}]}),
            Side::Output,
            json!([{"role": "assistant", "content": "yo"}]),
        );
        check(
            json!({"prompt": "hi", "system": "be brief"}),
            Side::Input,
            json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]),
        );
        check(json!({"question": "why"}), Side::Input, json!({"question": "why"}));
        check(json!("plain words"), Side::Input, json!("plain words"));
    }

    #[test]
    fn families_are_put_together() {
        let mut tree = Tree::default();
        for (path, value) in [
            ("1.message.role", json!("assistant")),
            ("1.message.tool_calls.0.tool_call.function.name", json!("weather")),
            ("1.message.tool_calls.0.tool_call.function.arguments", json!("{}")),
            ("0.message.role", json!("user")),
            ("0.message.contents.0.message_content.type", json!("text")),
            ("0.message.contents.0.message_content.text", json!("hi")),
            ("10.message.content", json!("last")),
        ] {
            tree.insert(path, value).unwrap();
        }
        assert_eq!(tree.insert("0.message.role", json!("again")), Err(json!("again")), "a place is taken once");
        assert_eq!(tree.insert("0.message.role.deeper", json!(1)), Err(json!(1)), "a text has no members");
        let expected = json!([
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": null, "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
            {"role": "user", "content": "last"},
        ]);
        assert_eq!(of_family(tree, Side::Input), expected);
    }

    #[test]
    fn events_are_messages() {
        let (side, message) = of_event(
            "gen_ai.choice",
            json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yo"}}),
        )
        .unwrap();
        assert_eq!((side, message), (Side::Output, json!({"role": "assistant", "content": "yo"})));
        let (side, message) = of_event("gen_ai.tool.message", json!({"content": "rainy", "id": "c1"})).unwrap();
        assert_eq!((side, message), (Side::Input, json!({"role": "tool", "content": "rainy", "tool_call_id": "c1"})));
        assert!(of_event("exception", json!({})).is_none());
    }
}
