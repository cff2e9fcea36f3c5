//! From a request to the sequences it asks for, with everything checked that can be checked before computing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use qd_base::Extra;
use qd_base::chat::{ChatRequest, ResponseFormat, Stop};
use qd_base::completion::{CompletionRequest, Prompt};
use serde_json::{Value, json};

use crate::constraint::Constraint;
use crate::error::{Error, Result};
use crate::measure::Sequence;
use crate::sampler::Sampling;
use crate::schema;
use crate::task::Form;
use crate::tools::{Calls, OPEN, begun_grammar, calls_or, required_grammar};

/// OpenAI's limits.
const MAX_CHOICES: u32 = 128;
const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 1024;
pub(crate) const MAX_TOP_LOGPROBS: u32 = 20;
const MAX_BIASES: usize = 1024;
/// Prompts of one completion request.
pub(crate) const MAX_PROMPTS: usize = 1024;
/// What a completion generates when the request does not say, as OpenAI does it.
const DEFAULT_COMPLETION_TOKENS: usize = 16;

/// What all choices of a request have in common, ready to be made into work.
#[derive(Debug)]
pub(crate) struct Plan {
    pub prompts: Vec<Arc<[LlamaToken]>>,
    /// Choices for each prompt.
    pub choices: u32,
    pub sampling: Sampling,
    pub shape: Shape,
    pub stops: Arc<[String]>,
    /// Tokens to generate, by prompt.
    pub max_tokens: Vec<usize>,
    pub top_logprobs: Option<usize>,
    /// From which token on a prompt's own tokens are scored, by prompt; the first token has nothing before it.
    pub scored_from: Vec<Option<usize>>,
    pub ignore_end: bool,
}

/// The grammar of an answer, as text that every choice compiles for itself.
#[derive(Debug)]
pub(crate) enum Shape {
    Free,
    Whole(String),
    AfterCall(String),
}

impl Shape {
    pub fn form(&self, model: &LlamaModel) -> Result<Form> {
        Ok(match self {
            Self::Free => Form::Free,
            Self::Whole(gbnf) => Form::Whole(Constraint::new(model, gbnf)?),
            Self::AfterCall(gbnf) => Form::After { trigger: OPEN, constraint: Constraint::new(model, gbnf)? },
        })
    }
}

/// The sizes that a request is checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub context: usize,
    pub vocabulary: usize,
}

/// Plans a chat whose prompt is rendered and tokenized.
pub(crate) fn chat(request: &ChatRequest, calls: &Calls, prompt: Vec<LlamaToken>, room: Room) -> Result<Plan> {
    let shape = chat_shape(request, calls)?;
    let logprobs = request.logprobs.unwrap_or(false);
    if request.top_logprobs.is_some() && !logprobs {
        return Err(Error::invalid("top_logprobs", "needs `logprobs` to be true"));
    }
    let top = at_most("top_logprobs", request.top_logprobs.unwrap_or(0), MAX_TOP_LOGPROBS)?;
    let max_tokens = limit(prompt.len(), request.token_limit().map(|tokens| tokens as usize), room)?;
    Ok(Plan {
        prompts: vec![prompt.into()],
        choices: choices(request.n)?,
        sampling: Sampling {
            bias: biases(request.logit_bias.as_ref(), room)?,
            ..sampling(&Asked {
                temperature: request.temperature,
                top_p: request.top_p,
                presence: request.presence_penalty,
                frequency: request.frequency_penalty,
                seed: request.seed,
                extra: &request.extra,
            })?
        },
        shape,
        stops: stops(request.stop.as_ref())?,
        max_tokens: vec![max_tokens],
        top_logprobs: logprobs.then_some(top as usize),
        scored_from: vec![None],
        ignore_end: flag(&request.extra, "ignore_eos")?,
    })
}

/// Plans a completion whose prompts are tokenized.
pub(crate) fn completion(request: &CompletionRequest, prompts: Vec<Vec<LlamaToken>>, room: Room) -> Result<Plan> {
    if request.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        return Err(Error::invalid("suffix", "filling in before a suffix is not supported by models that run here"));
    }
    if request.best_of.is_some_and(|best_of| best_of != request.n.unwrap_or(1)) {
        return Err(Error::invalid("best_of", "is supported only when it equals `n`"));
    }
    let top = request.logprobs.map(|top| at_most("logprobs", top, MAX_TOP_LOGPROBS)).transpose()?;
    let wanted = request.max_tokens.map_or(DEFAULT_COMPLETION_TOKENS, |tokens| tokens as usize);
    let echo = request.echo.unwrap_or(false);
    let max_tokens: Result<_> =
        prompts.iter().map(|prompt| completion_limit(prompt.len(), wanted, echo, room)).collect();
    let scored_from = vec![(echo && top.is_some()).then_some(0); prompts.len()];
    Ok(Plan {
        prompts: prompts.into_iter().map(Into::into).collect(),
        choices: choices(request.n)?,
        sampling: Sampling {
            bias: biases(request.logit_bias.as_ref(), room)?,
            ..sampling(&Asked {
                temperature: request.temperature,
                top_p: request.top_p,
                presence: request.presence_penalty,
                frequency: request.frequency_penalty,
                seed: request.seed,
                extra: &request.extra,
            })?
        },
        shape: Shape::Free,
        stops: stops(request.stop.as_ref())?,
        max_tokens: max_tokens?,
        top_logprobs: top.map(|top| top as usize),
        scored_from,
        ignore_end: flag(&request.extra, "ignore_eos")?,
    })
}

/// Plans what is measured: sequences from which nothing is generated.
pub(crate) fn measuring(sequences: &[Sequence], top: usize) -> Plan {
    Plan {
        prompts: sequences.iter().map(|sequence| sequence.tokens.clone()).collect(),
        choices: 1,
        sampling: Sampling::default(),
        shape: Shape::Free,
        stops: Arc::default(),
        max_tokens: vec![0; sequences.len()],
        top_logprobs: Some(top.max(1)),
        scored_from: sequences.iter().map(|sequence| Some(sequence.from)).collect(),
        ignore_end: false,
    }
}

/// The prompts of a completion as tokens; `tokenize` is for those that are text.
pub(crate) fn prompts(
    prompt: &Prompt,
    room: Room,
    tokenize: impl Fn(&str) -> Vec<LlamaToken>,
) -> Result<Vec<Vec<LlamaToken>>> {
    let prompts: Vec<Vec<LlamaToken>> = match prompt {
        Prompt::Text(text) => vec![tokenize(text)],
        Prompt::Texts(texts) => texts.iter().map(|text| tokenize(text)).collect(),
        Prompt::Tokens(tokens) => vec![known_tokens(tokens, room)?],
        Prompt::TokenLists(lists) => lists.iter().map(|tokens| known_tokens(tokens, room)).collect::<Result<_>>()?,
    };
    if prompts.is_empty() || prompts.len() > MAX_PROMPTS {
        return Err(Error::invalid("prompt", format!("there must be between 1 and {MAX_PROMPTS} prompts")));
    }
    if prompts.iter().any(Vec::is_empty) {
        return Err(Error::invalid("prompt", "a prompt must have at least one token"));
    }
    Ok(prompts)
}

fn known_tokens(tokens: &[u32], room: Room) -> Result<Vec<LlamaToken>> {
    let known = |token: &u32| (*token as usize) < room.vocabulary;
    match tokens.iter().find(|token| !known(token)) {
        Some(token) => Err(Error::invalid("prompt", format!("the model has no token {token}"))),
        None => Ok(tokens.iter().map(|token| LlamaToken(*token as i32)).collect()),
    }
}

fn chat_shape(request: &ChatRequest, calls: &Calls) -> Result<Shape> {
    let several = request.parallel_tool_calls.unwrap_or(true);
    let format = format_schema(request.response_format.as_ref())?;
    match (calls, format) {
        (Calls::None, None) => Ok(Shape::Free),
        (Calls::None, Some(format)) => Ok(Shape::Whole(schema::compile(&format, FORMAT)?)),
        // The answer is calls, so a form for its text says nothing.
        (Calls::Required(tools), _) => Ok(Shape::Whole(required_grammar(tools, several)?)),
        (Calls::Allowed(tools), None) => Ok(Shape::AfterCall(begun_grammar(tools, several)?)),
        (Calls::Allowed(tools), Some(format)) => Ok(Shape::Whole(calls_or(tools, several, &format)?)),
    }
}

/// Where the schema of an answer stands in the request.
const FORMAT: &str = "response_format.json_schema.schema";

/// The schema that the text of an answer must match, if there is one.
fn format_schema(format: Option<&ResponseFormat>) -> Result<Option<Cow<'_, Value>>> {
    match format {
        None | Some(ResponseFormat::Text) => Ok(None),
        Some(ResponseFormat::JsonObject) => Ok(Some(Cow::Owned(json!({"type": "object"})))),
        Some(ResponseFormat::JsonSchema { json_schema }) => match &json_schema.schema {
            Some(schema) => Ok(Some(Cow::Borrowed(schema))),
            None => Err(Error::invalid(FORMAT, "is missing")),
        },
        Some(ResponseFormat::Other(_)) => {
            Err(Error::invalid("response_format.type", "must be `text`, `json_object` or `json_schema`"))
        }
    }
}

/// How many tokens may be generated: what the request asks for, or what the context leaves.
fn limit(prompt_tokens: usize, wanted: Option<usize>, room: Room) -> Result<usize> {
    if wanted == Some(0) {
        return Err(Error::invalid("max_tokens", "must be at least 1"));
    }
    let requested = wanted.unwrap_or(1);
    let overflow = Error::ContextOverflow { prompt_tokens, requested, limit: room.context };
    match room.context.checked_sub(prompt_tokens) {
        Some(left) if left >= requested => Ok(wanted.unwrap_or(left)),
        _ => Err(overflow),
    }
}

/// The same for a completion, which may generate nothing when its prompt is echoed: that is how a text is scored.
fn completion_limit(prompt_tokens: usize, wanted: usize, echo: bool, room: Room) -> Result<usize> {
    if wanted == 0 && echo && prompt_tokens <= room.context {
        return Ok(0);
    }
    limit(prompt_tokens, Some(wanted), room)
}

/// The sampling fields, which both kinds of request have.
struct Asked<'a> {
    temperature: Option<f32>,
    top_p: Option<f32>,
    presence: Option<f32>,
    frequency: Option<f32>,
    seed: Option<i64>,
    extra: &'a Extra,
}

fn sampling(asked: &Asked<'_>) -> Result<Sampling> {
    let top_k = number(asked.extra, "top_k", -1.0, 1e6)?.unwrap_or(0.0);
    Ok(Sampling {
        temperature: within("temperature", asked.temperature, 0.0, 2.0)?.unwrap_or(1.0),
        top_p: within("top_p", asked.top_p, 0.0, 1.0)?.unwrap_or(1.0),
        // Zero and -1 both mean all tokens, as in vLLM.
        top_k: top_k.max(0.0) as usize,
        min_p: number(asked.extra, "min_p", 0.0, 1.0)?.unwrap_or(0.0),
        presence: within("presence_penalty", asked.presence, -2.0, 2.0)?.unwrap_or(0.0),
        frequency: within("frequency_penalty", asked.frequency, -2.0, 2.0)?.unwrap_or(0.0),
        repetition: number(asked.extra, "repetition_penalty", 0.01, 10.0)?.unwrap_or(1.0),
        bias: Arc::default(),
        seed: asked.seed.map_or_else(rand::random, i64::cast_unsigned),
    })
}

fn within(param: &str, value: Option<f32>, min: f32, max: f32) -> Result<Option<f32>> {
    match value {
        Some(value) if !(min..=max).contains(&value) => {
            Err(Error::invalid(param, format!("{value} is not between {min} and {max}")))
        }
        value => Ok(value),
    }
}

/// A number among the fields that OpenAI does not have but other servers do.
fn number(extra: &Extra, param: &str, min: f32, max: f32) -> Result<Option<f32>> {
    match extra.get(param) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let value = value.as_f64().ok_or_else(|| Error::invalid(param, "must be a number"))?;
            within(param, Some(value as f32), min, max)
        }
    }
}

fn flag(extra: &Extra, param: &str) -> Result<bool> {
    match extra.get(param) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| Error::invalid(param, "must be true or false")),
    }
}

fn choices(n: Option<u32>) -> Result<u32> {
    match n.unwrap_or(1) {
        0 => Err(Error::invalid("n", "must be at least 1")),
        n => at_most("n", n, MAX_CHOICES),
    }
}

pub(crate) fn at_most(param: &str, value: u32, most: u32) -> Result<u32> {
    if value <= most { Ok(value) } else { Err(Error::invalid(param, format!("{value} is more than {most}"))) }
}

fn stops(stop: Option<&Stop>) -> Result<Arc<[String]>> {
    let stops = stop.map(Stop::texts).unwrap_or_default();
    if stops.len() > MAX_STOPS || stops.iter().any(|stop| stop.len() > MAX_STOP_BYTES) {
        let message = format!("at most {MAX_STOPS} texts of {MAX_STOP_BYTES} bytes are allowed");
        return Err(Error::invalid("stop", message));
    }
    Ok(stops.iter().filter(|stop| !stop.is_empty()).cloned().collect())
}

fn biases(biases: Option<&BTreeMap<String, f32>>, room: Room) -> Result<Arc<[(LlamaToken, f32)]>> {
    let Some(biases) = biases else { return Ok(Arc::default()) };
    if biases.len() > MAX_BIASES {
        return Err(Error::invalid("logit_bias", format!("at most {MAX_BIASES} tokens are allowed")));
    }
    let read = |(token, bias): (&String, &f32)| match token.parse::<usize>() {
        Ok(id) if id < room.vocabulary && (-100.0..=100.0).contains(bias) => Ok((LlamaToken(id as i32), *bias)),
        _ => {
            let message = format!("`{token}` must be a token id of this model and its bias between -100 and 100");
            Err(Error::invalid("logit_bias", message))
        }
    };
    biases.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_model;

    const ROOM: Room = Room { context: 100, vocabulary: 1000 };

    fn plan(more: Value, prompt_tokens: usize) -> Result<Plan> {
        let mut request = json!({"model": "m", "messages": []});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request: ChatRequest = serde_json::from_value(request).unwrap();
        let calls = Calls::of(request.tools.as_deref(), request.tool_choice.as_ref())?;
        chat(&request, &calls, vec![LlamaToken(1); prompt_tokens], ROOM)
    }

    #[test]
    fn the_context_leaves_what_the_prompt_does_not_take() {
        assert_eq!(plan(json!({}), 60).unwrap().max_tokens, [40]);
        assert_eq!(plan(json!({"max_tokens": 40}), 60).unwrap().max_tokens, [40]);
        assert_eq!(plan(json!({"max_tokens": 40, "max_completion_tokens": 5}), 60).unwrap().max_tokens, [5]);
    }

    #[test]
    fn an_overflow_tells_the_numbers() {
        let check = |more: Value, prompt: usize, asked: usize| match plan(more, prompt).unwrap_err() {
            Error::ContextOverflow { prompt_tokens, requested, limit } => {
                assert_eq!((prompt_tokens, requested, limit), (prompt, asked, 100));
            }
            other => panic!("{other}"),
        };
        check(json!({"max_tokens": 41}), 60, 41);
        check(json!({}), 100, 1);
        check(json!({}), 500, 1);
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let check = |more: Value, name: &str| match plan(more, 1).unwrap_err() {
            Error::Invalid { param: Some(param), .. } => assert_eq!(param, name),
            other => panic!("{other}"),
        };
        check(json!({"temperature": 2.1}), "temperature");
        check(json!({"top_p": -0.1}), "top_p");
        check(json!({"presence_penalty": 3}), "presence_penalty");
        check(json!({"n": 0}), "n");
        check(json!({"n": 129}), "n");
        check(json!({"max_tokens": 0}), "max_tokens");
        check(json!({"top_logprobs": 3}), "top_logprobs");
        check(json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs");
        check(json!({"logit_bias": {"1000": 1}}), "logit_bias");
        check(json!({"logit_bias": {"x": 1}}), "logit_bias");
        check(json!({"top_k": "many"}), "top_k");
        check(json!({"min_p": 2}), "min_p");
        check(json!({"response_format": {"type": "grammar"}}), "response_format.type");
        check(
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"not": {}}}}}),
            "response_format.json_schema.schema",
        );
        check(json!({"stop": vec!["x"; 17]}), "stop");
    }

    #[test]
    fn beside_tools_an_answer_is_calls_or_has_its_form() {
        let check = |more: Value, valid: &[&str], invalid: &[&str]| {
            let tool = json!([{"type": "function", "function": {"name": "f"}}]);
            let mut request = json!({"tools": tool});
            request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let Shape::Whole(grammar) = plan(request, 1).unwrap().shape else { panic!("{more}") };
            let matches = |text: &&&str| test_model::matches(&grammar, text);
            assert_eq!(valid.iter().find(|text| !matches(text)), None, "{more}");
            assert_eq!(invalid.iter().find(matches), None, "{more}");
        };
        let call = "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>";
        let twice = format!("{call}\n{call}");
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
        let schema = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
        check(
            json!({"response_format": schema}),
            &[call, &twice, "{\"a\":1}"],
            &["hello", "{}", &format!("{{\"a\":1}}{call}")],
        );
        check(
            json!({"response_format": {"type": "json_object"}, "parallel_tool_calls": false}),
            &[call, "{}"],
            &[&twice, "[]"],
        );
    }

    #[test]
    fn a_seed_is_kept_and_otherwise_drawn() {
        assert_eq!(plan(json!({"seed": -1}), 1).unwrap().sampling.seed, u64::MAX);
        assert_ne!(plan(json!({}), 1).unwrap().sampling.seed, plan(json!({}), 1).unwrap().sampling.seed);
    }

    #[test]
    fn prompts_are_texts_or_tokens() {
        let tokenize = |text: &str| vec![LlamaToken(7); text.len()];
        let lengths = |prompt: Prompt| {
            prompts(&prompt, ROOM, tokenize).map(|prompts| prompts.iter().map(Vec::len).collect::<Vec<_>>())
        };
        assert_eq!(lengths(Prompt::Texts(vec!["ab".into(), "c".into()])).unwrap(), [2, 1]);
        assert_eq!(lengths(Prompt::Tokens(vec![1, 2, 3])).unwrap(), [3]);
        assert!(lengths(Prompt::Tokens(vec![1000])).is_err());
        assert!(lengths(Prompt::Text(String::new())).is_err());
    }
}
