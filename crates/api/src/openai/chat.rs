//! `POST /v1/chat/completions`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use qd_catalog::Scope;
use qd_gateway::Endpoint;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::JsonBytes;
use crate::json;
use crate::openai::call::{self, Calling};
use crate::openai::prompted;
use crate::openai::range;
use crate::openai::shape::{AnyObject, OneOrMany, Part, Parts, Text, Texts};
use crate::permission::Permission;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("Chat", "createChatCompletion", "Answer a conversation")
        .text("OpenAI's chat completions. Fields that are not listed are passed on to the model's provider. With `stream` the answer is server-sent events that end with `[DONE]`.")
        .takes::<ChatRequest>()
        .gives_also::<ChatResponse>(200, "The answer", &["text/event-stream"]);
    vec![Route::post("/v1/chat/completions", Permission::Scope(Scope::Infer), doc, create).of_inference()]
}

async fn create(State(surface): State<Shared>, mut calling: Calling, JsonBytes(body): JsonBytes) -> Result<Response> {
    let body = calling.complete(&surface, Endpoint::Chat, body).await?;
    let streams = {
        let request: ChatRequest = json::read(&body, surface.app.config.limits.json_depth)?;
        request.check()?;
        request.stream.unwrap_or(false)
    };
    call::answer(&surface, calling.context, Endpoint::Chat, body, streams).await
}

/// A conversation to be answered.
///
/// <https://platform.openai.com/docs/api-reference/chat/create>
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateChatCompletionRequest)]
pub struct ChatRequest<'a> {
    /// A route, `provider/model`, or an installed model.
    #[serde(borrow)]
    #[schema(value_type = String)]
    pub model: Text<'a>,
    /// The conversation so far.
    #[serde(borrow)]
    #[schema(value_type = Vec<Message>, min_items = 1)]
    pub messages: Vec<Message<'a>>,
    /// Sampling temperature.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    /// How many answers.
    #[schema(minimum = 1, maximum = 128)]
    pub n: Option<i64>,
    /// The most tokens of an answer (the older name).
    #[schema(minimum = 1)]
    pub max_tokens: Option<i64>,
    /// The most tokens of an answer.
    #[schema(minimum = 1)]
    pub max_completion_tokens: Option<i64>,
    /// Against tokens that have occurred.
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f64>,
    /// Against tokens by how often they have occurred.
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f64>,
    /// Texts that end the answer, at most 4.
    #[serde(borrow)]
    #[schema(value_type = Option<Texts>)]
    pub stop: Option<OneOrMany<Text<'a>>>,
    /// For repeatable sampling.
    pub seed: Option<i64>,
    /// Added to the logits of tokens, from -100 to 100.
    #[serde(borrow)]
    #[schema(value_type = Option<BTreeMap<String, f64>>)]
    pub logit_bias: Option<BTreeMap<Text<'a>, f64>>,
    /// Whether to tell the log-probabilities of the answer's tokens.
    pub logprobs: Option<bool>,
    /// How many alternatives of each token to tell.
    #[schema(minimum = 0, maximum = 20)]
    pub top_logprobs: Option<i64>,
    /// Whether to answer as server-sent events.
    pub stream: Option<bool>,
    /// How to stream.
    pub stream_options: Option<StreamOptions>,
    /// The form of the answer.
    #[serde(borrow)]
    #[schema(value_type = Option<ResponseFormat>)]
    pub response_format: Option<ResponseFormat<'a>>,
    /// Functions that the model may call.
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<Tool>>)]
    pub tools: Option<Vec<Tool<'a>>>,
    /// `none`, `auto`, `required`, or one function.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether several calls at once are allowed.
    pub parallel_tool_calls: Option<bool>,
    /// The end user.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub user: Option<Text<'a>>,
    /// Values of a prompt's variables, with the header `x-quarterdeck-prompt`; never sent on.
    #[schema(ignore)]
    pub prompt_variables: Option<IgnoredAny>,
}

/// One message of a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChatMessage)]
pub struct Message<'a> {
    /// `system`, `developer`, `user`, `assistant`, `tool` or `function`.
    #[serde(borrow)]
    #[schema(value_type = String)]
    pub role: Text<'a>,
    /// What was said.
    #[serde(borrow)]
    #[schema(value_type = Option<Parts>)]
    pub content: Option<OneOrMany<Part<'a>>>,
    /// The speaker's name.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub name: Option<Text<'a>>,
    /// The calls that the assistant made.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tool_calls: Option<Vec<AnyObject>>,
    /// The call that a tool's message answers.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub tool_call_id: Option<Text<'a>>,
}

/// How to stream.
#[derive(Debug, Deserialize, ToSchema)]
pub struct StreamOptions {
    /// Whether a last chunk tells the usage.
    pub include_usage: Option<bool>,
}

/// The form of the answer.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ResponseFormat<'a> {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String)]
    pub kind: Text<'a>,
    /// The schema, for `json_schema`.
    #[serde(borrow)]
    #[schema(value_type = Option<JsonSchema>)]
    pub json_schema: Option<JsonSchema<'a>>,
}

/// A named JSON schema.
#[derive(Debug, Deserialize, ToSchema)]
pub struct JsonSchema<'a> {
    /// Its name.
    #[serde(borrow)]
    #[schema(value_type = String)]
    pub name: Text<'a>,
    /// The schema itself.
    #[schema(value_type = Option<Object>)]
    pub schema: Option<AnyObject>,
    /// Whether the answer must follow it exactly.
    pub strict: Option<bool>,
}

/// Something that the model may call.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Tool<'a> {
    /// `function`, or what the provider knows besides.
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String)]
    pub kind: Text<'a>,
    /// The function.
    #[serde(borrow)]
    #[schema(value_type = Option<Function>)]
    pub function: Option<Function<'a>>,
}

/// A function that the model may call.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Function<'a> {
    /// Its name.
    #[serde(borrow)]
    #[schema(value_type = String)]
    pub name: Text<'a>,
    /// The JSON schema of its arguments.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<AnyObject>,
}

/// Which tool to call.
#[derive(Debug)]
pub enum ToolChoice<'a> {
    /// `none`, `auto` or `required`.
    Mode(Text<'a>),
    /// One tool.
    One(Chosen<'a>),
}

/// The tool that must be called.
#[derive(Debug, Deserialize)]
pub struct Chosen<'a> {
    /// The function, for tools that are functions.
    #[serde(borrow)]
    pub function: Option<Named<'a>>,
}

/// A function by its name.
#[derive(Debug, Deserialize)]
pub struct Named<'a> {
    /// The name.
    #[serde(borrow)]
    pub name: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for ToolChoice<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> serde::de::Visitor<'de> for Reader<'a> {
            type Value = ToolChoice<'a>;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a string or an object")
            }
            fn visit_borrowed_str<E>(self, mode: &'de str) -> Result<ToolChoice<'a>, E> {
                Ok(ToolChoice::Mode(Text(mode.into())))
            }
            fn visit_str<E>(self, mode: &str) -> Result<ToolChoice<'a>, E> {
                Ok(ToolChoice::Mode(Text(mode.to_owned().into())))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<ToolChoice<'a>, A::Error> {
                Chosen::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(ToolChoice::One)
            }
        }
        deserializer.deserialize_any(Reader(std::marker::PhantomData))
    }
}

/// OpenAI's roles of a message.
const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

impl ChatRequest<'_> {
    /// Checks what OpenAI's reference documents.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the field's path.
    pub fn check(&self) -> Result<()> {
        prompted::refuse_variables(self.prompt_variables.is_some())?;
        range::model(&self.model.0)?;
        range::items("messages", self.messages.len(), usize::MAX)?;
        self.messages.iter().enumerate().try_for_each(|(place, message)| message.check(place))?;
        self.check_sampling()?;
        self.check_lengths()?;
        range::only_with(
            "top_logprobs",
            self.top_logprobs.is_some_and(|count| count > 0),
            "logprobs",
            self.logprobs == Some(true),
        )?;
        range::only_with("stream_options", self.stream_options.is_some(), "stream", self.stream == Some(true))?;
        self.response_format.as_ref().map_or(Ok(()), ResponseFormat::check)?;
        self.check_tools()
    }

    fn check_sampling(&self) -> Result<()> {
        range::decimal("temperature", self.temperature, 0.0, 2.0)?;
        range::decimal("top_p", self.top_p, 0.0, 1.0)?;
        range::integer("n", self.n, 1, 128)?;
        range::decimal("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        range::decimal("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        range::integer("top_logprobs", self.top_logprobs, 0, 20)?;
        check_bias(self.logit_bias.as_ref())
    }

    fn check_lengths(&self) -> Result<()> {
        range::integer("max_tokens", self.max_tokens, 1, i64::MAX)?;
        range::integer("max_completion_tokens", self.max_completion_tokens, 1, i64::MAX)?;
        if self.max_tokens.is_some() && self.max_completion_tokens.is_some() {
            let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
            return Err(Error::parameter("max_tokens", "invalid_parameter_combination", message));
        }
        check_stop(self.stop.as_ref())
    }

    fn check_tools(&self) -> Result<()> {
        let tools = self.tools.as_deref().unwrap_or_default();
        if self.tools.is_some() {
            range::items("tools", tools.len(), 128)?;
        }
        for (place, function) in
            tools.iter().enumerate().filter_map(|(place, tool)| Some((place, tool.function.as_ref()?)))
        {
            range::identifier(&format!("tools[{place}].function.name"), &function.name.0)?;
        }
        match &self.tool_choice {
            None => Ok(()),
            Some(ToolChoice::Mode(mode)) => {
                range::one_of("tool_choice", &mode.0, &["none", "auto", "required"])?;
                range::only_with("tool_choice", mode.0 == "required", "tools", self.tools.is_some())
            }
            Some(ToolChoice::One(chosen)) => check_chosen(chosen, tools),
        }
    }
}

impl Message<'_> {
    fn check(&self, place: usize) -> Result<()> {
        // The path is written only when there is something to say about it.
        if !ROLES.contains(&&*self.role.0) {
            range::one_of(&format!("messages[{place}].role"), &self.role.0, &ROLES)?;
        }
        if self.content.is_none() && matches!(&*self.role.0, "user" | "system" | "developer" | "tool") {
            let path = format!("messages[{place}].content");
            let message = format!("Invalid type for '{path}': expected a string or an array, but got null instead.");
            return Err(Error::parameter(path, "invalid_type", message));
        }
        if self.role.0 == "tool" && self.tool_call_id.is_none() {
            let path = format!("messages[{place}].tool_call_id");
            return Err(Error::parameter(
                path.clone(),
                "missing_required_parameter",
                format!("Missing required parameter: '{path}'."),
            ));
        }
        Ok(())
    }
}

impl ResponseFormat<'_> {
    fn check(&self) -> Result<()> {
        range::one_of("response_format.type", &self.kind.0, &["text", "json_object", "json_schema"])?;
        match (&*self.kind.0, &self.json_schema) {
            ("json_schema", None) => {
                let path = "response_format.json_schema";
                Err(Error::parameter(
                    path,
                    "missing_required_parameter",
                    format!("Missing required parameter: '{path}'."),
                ))
            }
            (_, Some(schema)) => range::identifier("response_format.json_schema.name", &schema.name.0),
            _ => Ok(()),
        }
    }
}

fn check_chosen(chosen: &Chosen, tools: &[Tool]) -> Result<()> {
    let Some(function) = &chosen.function else { return Ok(()) };
    let known = tools.iter().filter_map(|tool| tool.function.as_ref()).any(|tool| tool.name == function.name);
    match known {
        true => Ok(()),
        false => {
            let name: String = function.name.0.chars().take(64).collect();
            let message = format!(
                "Invalid value for 'tool_choice': no function named '{name}' was specified in the 'tools' parameter."
            );
            Err(Error::parameter("tool_choice", "invalid_value", message))
        }
    }
}

pub(crate) fn check_stop(stop: Option<&OneOrMany<Text>>) -> Result<()> {
    match stop {
        Some(OneOrMany::Many(texts)) => range::at_most("stop", texts.len(), 4),
        _ => Ok(()),
    }
}

pub(crate) fn check_bias(bias: Option<&BTreeMap<Text, f64>>) -> Result<()> {
    for (token, value) in bias.into_iter().flatten() {
        let path = format!("logit_bias.{}", token.0.chars().take(20).collect::<String>());
        if token.0.parse::<u32>().is_err() {
            let message = "Invalid key in 'logit_bias': keys are token ids, written as integers.";
            return Err(Error::parameter(path, "invalid_value", message));
        }
        range::decimal(&path, Some(*value), -100.0, 100.0)?;
    }
    Ok(())
}

/// The answer to a conversation. A provider's own fields come beside these.
#[derive(Serialize, ToSchema)]
#[schema(as = CreateChatCompletionResponse)]
pub struct ChatResponse {
    /// The answer's id.
    pub id: String,
    /// `chat.completion`, or `chat.completion.chunk` in a stream.
    pub object: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The model that answered.
    pub model: String,
    /// The answers.
    pub choices: Vec<ChatChoice>,
    /// What it took.
    pub usage: Option<UsageBody>,
}

/// One answer.
#[derive(Serialize, ToSchema)]
pub struct ChatChoice {
    /// Its number.
    pub index: i64,
    /// The assistant's message; in a stream, `delta` stands in its place.
    #[schema(value_type = Object)]
    pub message: serde_json::Value,
    /// The log-probabilities, when asked for.
    #[schema(value_type = Option<Object>)]
    pub logprobs: Option<serde_json::Value>,
    /// `stop`, `length`, `tool_calls` or `content_filter`.
    pub finish_reason: Option<String>,
}

/// How many tokens a call took.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageBody {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#""model":"m","messages":[{"role":"user","content":"hi"}]"#;

    /// Checks a request with `fields` beside a model and a message.
    fn check(fields: &str, param: Option<&str>, code: Option<&str>) {
        check_whole(&format!("{{{MESSAGES}{}{fields}}}", if fields.is_empty() { "" } else { "," }), param, code);
    }

    fn check_whole(body: &str, param: Option<&str>, code: Option<&str>) {
        let outcome = json::read::<ChatRequest>(body.as_bytes(), 64).and_then(|request| request.check());
        match (outcome, code) {
            (Ok(()), None) => {}
            (Err(Error::Parameter { param: found, code: found_code, message }), Some(_)) => {
                assert_eq!((found.as_deref(), found_code), (param, code), "{body}: {message}");
            }
            (outcome, _) => panic!("{body} gave {outcome:?}"),
        }
    }

    fn check_good(fields: &str) {
        check(fields, None, None);
    }

    #[test]
    fn documented_ranges_are_closed() {
        check_good(r#""temperature":0,"top_p":1,"n":128,"presence_penalty":-2,"frequency_penalty":2.0"#);
        check_good(r#""logprobs":true,"top_logprobs":20,"stop":["a","b","c","d"],"seed":-7,"logit_bias":{"15":-100}"#);
        check_good(r#""temperature":null,"stop":null,"tools":null,"user":"u","unknown":{"x":[1]}"#);
        check(r#""temperature":2.1"#, Some("temperature"), Some("decimal_above_max_value"));
        check(r#""temperature":-0.1"#, Some("temperature"), Some("decimal_below_min_value"));
        check(r#""top_p":1.01"#, Some("top_p"), Some("decimal_above_max_value"));
        check(r#""n":0"#, Some("n"), Some("integer_below_min_value"));
        check(r#""n":129"#, Some("n"), Some("integer_above_max_value"));
        check(r#""max_tokens":0"#, Some("max_tokens"), Some("integer_below_min_value"));
        check(r#""logprobs":true,"top_logprobs":21"#, Some("top_logprobs"), Some("integer_above_max_value"));
        check(r#""stop":["a","b","c","d","e"]"#, Some("stop"), Some("array_above_max_length"));
        check(r#""logit_bias":{"15":101}"#, Some("logit_bias.15"), Some("decimal_above_max_value"));
        check(r#""logit_bias":{"x":1}"#, Some("logit_bias.x"), Some("invalid_value"));
    }

    #[test]
    fn types_are_told_by_path() {
        check(r#""temperature":"warm""#, Some("temperature"), Some("invalid_type"));
        check(r#""n":1.5"#, Some("n"), Some("invalid_type"));
        check(r#""stop":7"#, Some("stop"), Some("invalid_type"));
        check(r#""stop":["a",7]"#, Some("stop[1]"), Some("invalid_type"));
        check(
            r#""tools":[{"type":"function","function":{"name":7}}]"#,
            Some("tools[0].function.name"),
            Some("invalid_type"),
        );
        check(r#""response_format":"json""#, Some("response_format"), Some("invalid_type"));
        check_whole(r#"{"model":"m"}"#, Some("messages"), Some("missing_required_parameter"));
        check_whole(r#"{"messages":[]}"#, Some("model"), Some("missing_required_parameter"));
        check_whole(
            r#"{"model":"m","messages":[{"content":"x"}]}"#,
            Some("messages[0].role"),
            Some("missing_required_parameter"),
        );
        check_whole(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":7}]}]}"#,
            Some("messages[0].content[0].type"),
            Some("invalid_type"),
        );
    }

    #[test]
    fn messages() {
        check_whole(r#"{"model":"m","messages":[]}"#, Some("messages"), Some("empty_array"));
        check_whole(r#"{"model":"","messages":[]}"#, Some("model"), Some("missing_required_parameter"));
        check_whole(
            r#"{"model":"m","messages":[{"role":"wizard","content":"x"}]}"#,
            Some("messages[0].role"),
            Some("invalid_value"),
        );
        check_whole(r#"{"model":"m","messages":[{"role":"user"}]}"#, Some("messages[0].content"), Some("invalid_type"));
        check_whole(
            r#"{"model":"m","messages":[{"role":"tool","content":"x"}]}"#,
            Some("messages[0].tool_call_id"),
            Some("missing_required_parameter"),
        );
        check_whole(
            r#"{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]}]}"#,
            None,
            None,
        );
        check_whole(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#,
            None,
            None,
        );
    }

    #[test]
    fn parameters_that_need_another() {
        check(r#""top_logprobs":3"#, Some("top_logprobs"), Some("invalid_parameter_combination"));
        check(
            r#""stream_options":{"include_usage":true}"#,
            Some("stream_options"),
            Some("invalid_parameter_combination"),
        );
        check_good(r#""stream":true,"stream_options":{"include_usage":true}"#);
        check(r#""max_tokens":5,"max_completion_tokens":5"#, Some("max_tokens"), Some("invalid_parameter_combination"));
    }

    #[test]
    fn tools_and_formats() {
        let tools = r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#;
        check_good(&format!(r#"{tools},"tool_choice":"auto""#));
        check_good(&format!(r#"{tools},"tool_choice":{{"type":"function","function":{{"name":"f"}}}}"#));
        check(
            &format!(r#"{tools},"tool_choice":{{"type":"function","function":{{"name":"g"}}}}"#),
            Some("tool_choice"),
            Some("invalid_value"),
        );
        check(&format!(r#"{tools},"tool_choice":"maybe""#), Some("tool_choice"), Some("invalid_value"));
        check(r#""tools":[]"#, Some("tools"), Some("empty_array"));
        check(
            r#""tools":[{"type":"function","function":{"name":"f g"}}]"#,
            Some("tools[0].function.name"),
            Some("invalid_value"),
        );
        check(r#""response_format":{"type":"yaml"}"#, Some("response_format.type"), Some("invalid_value"));
        check(
            r#""response_format":{"type":"json_schema"}"#,
            Some("response_format.json_schema"),
            Some("missing_required_parameter"),
        );
        check_good(
            r#""response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"},"strict":true}}"#,
        );
    }
}
