//! `quarterdeck chat`: one question, answered as it is thought of.

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
        true => with_door(context, async |door| stream(door, request).await).await,
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

async fn stream(door: &Door, mut request: Value) -> Result<(), Error> {
    request["stream"] = true.into();
    let mut events = door.events(Method::POST, "/v1/chat/completions", Some(&request)).await?;
    while let Some(event) = events.next().await? {
        if event.data == "[DONE]" {
            break;
        }
        let chunk: Value = serde_json::from_str(&event.data)
            .map_err(|cause| Error::Answer { request: "POST /v1/chat/completions".to_owned(), cause: cause.into() })?;
        if let Some(message) = chunk["error"]["message"].as_str() {
            return Err(Error::Failed { message: message.to_owned() });
        }
        output::piece(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default())?;
    }
    output::line("")
}

async fn whole(context: &Context, door: &Door, request: Value) -> Result<(), Error> {
    let answer = door.post("/v1/chat/completions", &request).await?;
    context.printer.object(&answer)
}
