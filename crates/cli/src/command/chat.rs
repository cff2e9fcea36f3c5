//! `quarterdeck chat`: one question, answered as it is thought of.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use http::Method;
use serde_json::{Value, json};

use crate::args::Chat;
use crate::command::{input, with_door};
use crate::context::Context;
use crate::door::Door;
use crate::{Error, output};

/// Asks and prints the answer: as it comes for people, as one object for programs.
pub async fn run(context: &Context, chat: Chat) -> Result<(), Error> {
    let request = request(chat)?;
    match context.printer.is_for_people() {
        true => with_door(context, async |door| stream(door, "/v1/chat/completions", request).await).await,
        false => with_door(context, async |door| whole(context, door, request).await).await,
    }
}

fn request(chat: Chat) -> Result<Value, Error> {
    let message = match chat.message {
        Some(message) => message,
        None if std::io::stdin().is_terminal() => {
            return Err(Error::Usage {
                problem: "there is nothing to ask".to_owned(),
                help: "write `quarterdeck chat \"…\"`, or pipe a text into it".to_owned(),
            });
        }
        None => input()?,
    };
    let mut messages = Vec::new();
    messages.extend(chat.system.map(|text| json!({"role": "system", "content": text})));
    messages.push(json!({"role": "user", "content": message}));
    let mut request = json!({"model": chat.model, "messages": messages, "max_tokens": chat.max_tokens});
    if let Some(temperature) = chat.temperature {
        request["temperature"] = temperature.into();
    }
    Ok(request)
}

/// Prints the answer of a chat or a completion as it comes, and the calls of tools that it asks for at its end.
pub(super) async fn stream(door: &Door, path: &str, mut request: Value) -> Result<(), Error> {
    request["stream"] = true.into();
    let mut events = door.events(Method::POST, path, Some(&request)).await?;
    let mut calls: BTreeMap<u64, ToolCall> = BTreeMap::new();
    while let Some(event) = events.next().await? {
        if event.data == "[DONE]" {
            break;
        }
        let chunk: Value = serde_json::from_str(&event.data)
            .map_err(|cause| Error::Answer { request: format!("POST {path}"), cause: cause.into() })?;
        if let Some(message) = chunk["error"]["message"].as_str() {
            return Err(Error::Failed { message: message.to_owned() });
        }
        for choice in chunk["choices"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0)
        {
            output::piece(choice["delta"]["content"].as_str().or(choice["text"].as_str()).unwrap_or_default())?;
            choice["delta"]["tool_calls"].as_array().into_iter().flatten().for_each(|part| add(&mut calls, part));
        }
    }
    calls.values().try_for_each(|call| output::line(&call.words()))?;
    output::line("")
}

/// A call of a tool, as far as it came.
#[derive(Default)]
struct ToolCall {
    name: String,
    arguments: String,
}

impl ToolCall {
    fn words(&self) -> String {
        format!("{}({})", self.name, self.arguments)
    }
}

/// Adds what a chunk tells of a call to what came before.
fn add(calls: &mut BTreeMap<u64, ToolCall>, part: &Value) {
    let call = calls.entry(part["index"].as_u64().unwrap_or(0)).or_default();
    let function = &part["function"];
    call.name.push_str(function["name"].as_str().unwrap_or_default());
    call.arguments.push_str(function["arguments"].as_str().unwrap_or_default());
}

async fn whole(context: &Context, door: &Door, request: Value) -> Result<(), Error> {
    let answer = door.post("/v1/chat/completions", &request).await?;
    context.printer.object(&answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_a_tool_is_put_together_by_its_index() {
        let mut calls = BTreeMap::new();
        for part in [
            json!({"index": 1, "function": {"name": "g", "arguments": ""}}),
            json!({"index": 0, "function": {"name": "f", "arguments": "{\"a\""}}),
            json!({"index": 0, "function": {"arguments": ": 1}"}}),
        ] {
            add(&mut calls, &part);
        }
        assert_eq!(calls.values().map(ToolCall::words).collect::<Vec<_>>(), ["f({\"a\": 1})", "g()"]);
    }
}
