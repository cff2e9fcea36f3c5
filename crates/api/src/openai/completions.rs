//! `POST /v1/completions`.

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
use crate::openai::chat::{StreamOptions, UsageBody, check_bias, check_stop};
use crate::openai::prompted;
use crate::openai::range;
use crate::openai::shape::{Input, OneOrMany, Text, Texts};
use crate::permission::Permission;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("Completions", "createCompletion", "Continue a text")
        .text("OpenAI's older completions. Fields that are not listed are passed on to the model's provider.")
        .takes::<CompletionRequest>()
        .gives_also::<CompletionResponse>(200, "The continuation", &["text/event-stream"]);
    vec![Route::post("/v1/completions", Permission::Scope(Scope::Infer), doc, create).of_inference()]
}

async fn create(State(surface): State<Shared>, mut calling: Calling, JsonBytes(body): JsonBytes) -> Result<Response> {
    let body = calling.complete(&surface, Endpoint::Completions, body).await?;
    let streams = {
        let request: CompletionRequest = json::read(&body, surface.app.config.limits.json_depth)?;
        request.check()?;
        request.stream.unwrap_or(false)
    };
    call::answer(&surface, calling.context, Endpoint::Completions, body, streams).await
}

/// The most prompts of one request.
const MOST_PROMPTS: usize = 2048;

/// A text to be continued.
///
/// <https://platform.openai.com/docs/api-reference/completions/create>
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateCompletionRequest)]
pub struct CompletionRequest<'a> {
    /// A route, `provider/model`, or an installed model.
    #[serde(borrow)]
    #[schema(value_type = String)]
    pub model: Text<'a>,
    /// One or several prompts, as text or tokens.
    pub prompt: Option<Input>,
    /// What comes after the continuation.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub suffix: Option<Text<'a>>,
    /// The most tokens of a continuation.
    #[schema(minimum = 0)]
    pub max_tokens: Option<i64>,
    /// Sampling temperature.
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    #[schema(minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    /// How many continuations of each prompt.
    #[schema(minimum = 1, maximum = 128)]
    pub n: Option<i64>,
    /// How many candidates to choose them from.
    #[schema(minimum = 0, maximum = 20)]
    pub best_of: Option<i64>,
    /// How many alternatives of each token to tell.
    #[schema(minimum = 0, maximum = 5)]
    pub logprobs: Option<i64>,
    /// Whether to repeat the prompt.
    pub echo: Option<bool>,
    /// Texts that end the continuation, at most 4.
    #[serde(borrow)]
    #[schema(value_type = Option<Texts>)]
    pub stop: Option<OneOrMany<Text<'a>>>,
    /// Against tokens that have occurred.
    #[schema(minimum = -2, maximum = 2)]
    pub presence_penalty: Option<f64>,
    /// Against tokens by how often they have occurred.
    #[schema(minimum = -2, maximum = 2)]
    pub frequency_penalty: Option<f64>,
    /// Added to the logits of tokens, from -100 to 100.
    #[serde(borrow)]
    #[schema(value_type = Option<BTreeMap<String, f64>>)]
    pub logit_bias: Option<BTreeMap<Text<'a>, f64>>,
    /// For repeatable sampling.
    pub seed: Option<i64>,
    /// Whether to answer as server-sent events.
    pub stream: Option<bool>,
    /// How to stream.
    pub stream_options: Option<StreamOptions>,
    /// The end user.
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    pub user: Option<Text<'a>>,
    /// How likely the end of each prompt is, instead of a continuation: of models that run here. Ours, not OpenAI's.
    pub measure: Option<MeasureBody>,
    /// Values of a prompt's variables, with the header `x-quarterdeck-prompt`; never sent on.
    #[schema(ignore)]
    pub prompt_variables: Option<IgnoredAny>,
}

/// Which end of each prompt is measured; each choice of the answer then has `measured`, with `sum`, `tokens` and `is_greedy`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CompletionMeasure)]
#[serde(deny_unknown_fields)]
pub struct MeasureBody {
    /// For each prompt, how many of its characters stand before what is measured.
    pub from: Vec<u64>,
    /// What becomes of a prompt beyond the context: `refuse`, which is taken when absent, `cut` its beginning, or measure it in `windows`.
    pub long: Option<String>,
}

impl CompletionRequest<'_> {
    /// Checks what OpenAI's reference documents.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the field's path.
    pub fn check(&self) -> Result<()> {
        prompted::refuse_variables(self.prompt_variables.is_some())?;
        range::model(&self.model.0)?;
        if let Some(Input::Items(items)) = &self.prompt {
            range::items("prompt", items.len(), most_items(items))?;
        }
        range::integer("max_tokens", self.max_tokens, 0, i64::MAX)?;
        range::decimal("temperature", self.temperature, 0.0, 2.0)?;
        range::decimal("top_p", self.top_p, 0.0, 1.0)?;
        range::integer("n", self.n, 1, 128)?;
        range::integer("best_of", self.best_of, 0, 20)?;
        range::integer("logprobs", self.logprobs, 0, 5)?;
        range::decimal("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        range::decimal("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        check_stop(self.stop.as_ref())?;
        check_bias(self.logit_bias.as_ref())?;
        if let Some(MeasureBody { from, long }) = &self.measure {
            range::items("measure.from", from.len(), MOST_PROMPTS)?;
            if long.as_deref().is_some_and(|long| !matches!(long, "refuse" | "cut" | "windows")) {
                let message = "'measure.long' must be 'refuse', 'cut' or 'windows'.";
                return Err(Error::parameter("measure.long", "invalid_value", message));
            }
        }
        range::only_with("stream_options", self.stream_options.is_some(), "stream", self.stream == Some(true))?;
        self.check_candidates()
    }

    fn check_candidates(&self) -> Result<()> {
        let candidates = self.best_of.unwrap_or(1).max(1);
        if candidates > 1 && self.stream == Some(true) {
            return Err(Error::parameter(
                "best_of",
                "invalid_parameter_combination",
                "Results cannot be streamed when 'best_of' is greater than 1.",
            ));
        }
        match self.best_of.is_some() && candidates < self.n.unwrap_or(1) {
            true => Err(Error::parameter("best_of", "invalid_value", "'best_of' must be at least as large as 'n'.")),
            false => Ok(()),
        }
    }
}

/// A single prompt of tokens may be as long as the body allows; several prompts are bounded.
fn most_items(items: &[crate::openai::shape::Item]) -> usize {
    match items.first() {
        Some(crate::openai::shape::Item::Token) => usize::MAX,
        _ => MOST_PROMPTS,
    }
}

/// The continuation of a text.
#[derive(Serialize, ToSchema)]
#[schema(as = CreateCompletionResponse)]
pub struct CompletionResponse {
    /// The answer's id.
    pub id: String,
    /// `text_completion`
    pub object: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The model that answered.
    pub model: String,
    /// The continuations.
    pub choices: Vec<CompletionChoice>,
    /// What it took.
    pub usage: Option<UsageBody>,
}

/// One continuation.
#[derive(Serialize, ToSchema)]
pub struct CompletionChoice {
    /// Its number.
    pub index: i64,
    /// The text.
    pub text: String,
    /// The log-probabilities, when asked for.
    #[schema(value_type = Option<Object>)]
    pub logprobs: Option<serde_json::Value>,
    /// `stop`, `length` or `content_filter`.
    pub finish_reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &str, param: Option<&str>) {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        match (json::read::<CompletionRequest>(body.as_bytes(), 64).and_then(|request| request.check()), param) {
            (Ok(()), None) => {}
            (Err(Error::Parameter { param: Some(found), .. }), Some(param)) => assert_eq!(found, param, "{body}"),
            (outcome, _) => panic!("{body} gave {outcome:?}"),
        }
    }

    #[test]
    fn prompts_in_every_form() {
        for prompt in [r#""a""#, r#"["a","b"]"#, "[1,2]", "[[1],[2,3]]", "null"] {
            check(&format!(r#""prompt":{prompt}"#), None);
        }
        check(r#""prompt":[]"#, Some("prompt"));
        check(r#""prompt":{"a":1}"#, Some("prompt"));
        check(r#""prompt":["a",1]"#, Some("prompt"));
    }

    #[test]
    fn documented_ranges() {
        check(r#""prompt":"a","logprobs":5,"best_of":3,"n":3,"max_tokens":0,"echo":true"#, None);
        check(r#""prompt":"a","logprobs":6"#, Some("logprobs"));
        check(r#""prompt":"a","best_of":21"#, Some("best_of"));
        check(r#""prompt":"a","best_of":2,"n":3"#, Some("best_of"));
        check(r#""prompt":"a","best_of":2,"stream":true"#, Some("best_of"));
        check(r#""prompt":"a","temperature":3"#, Some("temperature"));
        check(r#""prompt":"a","max_tokens":-1"#, Some("max_tokens"));
        check(r#""prompt":["ab","ac"],"measure":{"from":[1,1],"long":"cut"}"#, None);
        check(r#""prompt":"a","measure":{"from":[]}"#, Some("measure.from"));
        check(r#""prompt":"a","measure":{"from":[0],"long":"fold"}"#, Some("measure.long"));
    }
}
