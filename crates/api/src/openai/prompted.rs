//! Calls that name a prompt: the header, the values in the body, and the request that is made of them.
//!
//! The version is found once for a call, before anything is sent; so each call says the words of one version, and its row
//! names that one.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use qd_gateway::{CallContext, Endpoint, PromptVersion};
use qd_prompt::{Asked, Form, Kind, Prompt, Reference, Rendered, VARIABLES_FIELD};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::examples;
use crate::json;
use crate::openai::chat::ChatRequest;
use crate::openai::completions::CompletionRequest;
use crate::state::{Shared, Surface};

/// Names a prompt and a version: `greeting`, `greeting@staging`, `greeting@3`.
pub(crate) const PROMPT: &str = "x-quarterdeck-prompt";

/// The prompt that a call names, if it names one.
pub(crate) fn named(headers: &HeaderMap) -> Result<Option<Reference>> {
    let Some(value) = headers.get(PROMPT) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Error::parameter(PROMPT, "invalid_value", "Invalid prompt: not a text."))?;
    Ok(Some(text.parse()?))
}

/// The request that says everything, out of one that leaves it to the prompt; the context then names the version.
pub(crate) async fn complete(
    surface: &Shared,
    context: &mut CallContext,
    reference: &Reference,
    endpoint: Endpoint,
    body: Bytes,
) -> Result<Bytes> {
    let form = match endpoint {
        Endpoint::Chat => Form::Chat,
        Endpoint::Completions | Endpoint::Embeddings => Form::Text,
    };
    json::check_depth(&body, surface.app.config.limits.json_depth)?;
    let stored = surface.prompts.get(context.project, reference).await?;
    let mut asked = Asked::read(form, &body)?;
    let values = asked.variables(&stored.prompt)?;
    // Choosing examples is part of the call: its time counts, and embeddings made for it are below its span.
    context.begin();
    context.prompt = Some(PromptVersion { name: stored.info.name.clone(), number: stored.info.number });
    let rendered = render(surface, context, &stored.prompt, values, VARIABLES_FIELD).await?;
    Ok(asked.complete(&stored.prompt, &rendered)?.into())
}

/// The prompt with these values, which came in the field `field`, and with its examples.
pub(crate) async fn render(
    surface: &Shared,
    context: &CallContext,
    prompt: &Prompt,
    values: Map<String, Value>,
    field: &'static str,
) -> Result<Rendered> {
    // Before examples are compared: what is refused for its values costs nothing.
    let resolved = prompt.resolve(&values).map_err(|error| about_values(error, field))?;
    let examples = examples::of(surface, context, prompt, resolved).await?;
    let prompt = prompt.clone();
    let rendered = aside(surface, move || prompt.render(&values, &examples)).await?;
    rendered.map_err(|error| about_values(error, field))
}

/// Does what takes a while on a thread of its own, so that it holds up no other calls, and few such things at once.
pub(crate) async fn aside<T: Send + 'static>(
    surface: &Surface,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    apart(surface.rendering.clone(), work).await
}

async fn apart<T: Send + 'static>(places: Arc<Semaphore>, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    // It is never closed, so there always comes a place. The work holds it, since it goes on when its caller goes away.
    let place = places.acquire_owned().await;
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        work()
    });
    done.await.map_err(|cause| Error::Panic { message: cause.to_string() })
}

/// An error about a variable names the field of the request in which it belongs.
fn about_values(error: qd_prompt::Error, field: &str) -> Error {
    use qd_prompt::Error as Wrong;
    let code = match &error {
        Wrong::MissingVariable { .. } => "missing_variable",
        Wrong::UnknownVariable { .. } => "unknown_variable",
        Wrong::WrongType { .. } => "invalid_type",
        Wrong::TooLarge { .. } => return Error::parameter(field, "too_large", error.to_string()),
        _ => return error.into(),
    };
    let param = error.variable().map_or_else(|| field.to_owned(), |name| format!("{field}.{name}"));
    Error::parameter(param, code, error.to_string())
}

/// Refuses values that no prompt has taken: there is none that they could be of.
pub(crate) fn refuse_variables(there: bool) -> Result<()> {
    let message = "Invalid 'prompt_variables': name the prompt that they are of in the header 'x-quarterdeck-prompt'.";
    match there {
        true => Err(Error::parameter(VARIABLES_FIELD, "invalid_value", message)),
        false => Ok(()),
    }
}

/// Refuses a version with parameters or tools that no call could be made with.
pub(crate) fn check_call(prompt: &Prompt, depth: usize) -> Result<()> {
    let mut call = prompt.parameters.clone();
    call.insert("model".to_owned(), "m".into());
    let checked = match prompt.kind {
        Kind::Chat => {
            call.insert("messages".to_owned(), json!([{"role": "user", "content": ""}]));
            let others = [("tool_choice", &prompt.tool_choice), ("response_format", &prompt.response_format)];
            call.extend(others.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
            if !prompt.tools.is_empty() {
                call.insert("tools".to_owned(), prompt.tools.clone().into());
            }
            let body = Value::Object(call).to_string();
            json::read::<ChatRequest>(body.as_bytes(), depth).and_then(|request| request.check())
        }
        Kind::Text => {
            let body = Value::Object(call).to_string();
            json::read::<CompletionRequest>(body.as_bytes(), depth).and_then(|request| request.check())
        }
    };
    checked.map_err(|error| within_content(error, prompt))
}

fn within_content(error: Error, prompt: &Prompt) -> Error {
    match error {
        Error::Parameter { message, param: Some(param), code } => {
            let own = prompt.parameters.keys().any(|name| param.starts_with(name.as_str()));
            let param = if own { format!("content.parameters.{param}") } else { format!("content.{param}") };
            Error::Parameter { message, param: Some(param), code }
        }
        other => other,
    }
}

/// `greeting@3`, for the answer's header.
pub(crate) fn told(prompt: &PromptVersion) -> String {
    format!("{}@{}", prompt.name, prompt.number)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_whose_caller_goes_away_keeps_its_place() {
        let places = Arc::new(Semaphore::new(1));
        let ((begin, begun), (end, ended)) = (mpsc::channel(), mpsc::channel::<()>());
        let work = move || {
            begin.send(()).unwrap();
            ended.recv().unwrap();
        };
        let caller = tokio::spawn(apart(places.clone(), work));
        tokio::task::spawn_blocking(move || begun.recv().unwrap()).await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(places.available_permits(), 0, "it goes on");
        end.send(()).unwrap();
        drop(places.acquire().await.unwrap());
    }
}
