//! The engine with the real default models.

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use futures::StreamExt;
use futures::future::join_all;
use qd_base::chat::{ChatResponse, FinishReason, TokenLogProb};
use qd_base::completion::{CompletionChoice, CompletionResponse, Measured};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::*;
use crate::event::{Event, Timings};
use crate::test_model;

fn model() -> ModelName {
    "smollm2".parse().unwrap()
}

fn gguf() -> ModelFiles {
    ModelFiles::Gguf { path: test_model::path("smollm2-135m-instruct-q4_1.gguf"), chat_template: None }
}

/// One thread for each engine: tests run beside each other, and threads that wait for each other lose most
/// when they have to share their cores.
fn empty() -> Engine {
    Engine::new(EngineConfig { threads: NonZeroUsize::MIN, ..EngineConfig::default() })
}

/// An engine of its own, for tests that fill or break it.
async fn engine(options: ModelOptions) -> Engine {
    let engine = empty();
    engine.load(model(), gguf(), options).await.unwrap();
    engine
}

/// The engine that most tests share, as many requests would.
async fn shared() -> &'static Engine {
    static ENGINE: LazyLock<OnceCell<Engine>> = LazyLock::new(OnceCell::new);
    ENGINE.get_or_init(|| engine(ModelOptions::default())).await
}

fn request(prompt: &str, more: Value) -> ChatRequest {
    let mut request = json!({"model": "smollm2", "temperature": 0, "max_tokens": 16, "messages": [{"role": "user", "content": prompt}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(request).unwrap()
}

async fn answer(engine: &Engine, prompt: &str, more: Value) -> (ChatResponse, Timings) {
    engine.chat(&model(), request(prompt, more)).await.unwrap().collect_answer().await.unwrap()
}

async fn refusal(engine: &Engine, prompt: &str, more: Value) -> Error {
    match engine.chat(&model(), request(prompt, more)).await {
        Err(error) => error,
        Ok(_) => panic!("the request should be refused"),
    }
}

fn text(response: &ChatResponse) -> String {
    let content = response.choices[0].message.content.as_ref().unwrap();
    content.as_text().unwrap().into_owned()
}

fn finish(response: &ChatResponse) -> &FinishReason {
    response.choices[0].finish_reason.as_ref().unwrap()
}

fn logprobs(response: &ChatResponse) -> &[TokenLogProb] {
    response.choices[0].logprobs.as_ref().unwrap().content.as_deref().unwrap()
}

async fn completion(engine: &Engine, request: Value) -> (Vec<CompletionResponse>, Timings) {
    let request = serde_json::from_value(request).unwrap();
    let mut events = engine.complete(&model(), request).await.unwrap();
    let mut chunks = Vec::new();
    while let Some(event) = events.next().await {
        match event.unwrap() {
            Event::Chunk(chunk) => chunks.push(chunk),
            Event::Done(timings) => return (chunks, timings),
        }
    }
    panic!("the stream ended without its timings");
}

/// Waits until the model is idle, by looking and not by the clock.
async fn until_idle(engine: &Engine) -> ModelStats {
    loop {
        let stats = engine.loaded()[0].stats;
        if stats.slots_busy == 0 && stats.queue_length == 0 {
            return stats;
        }
        tokio::task::yield_now().await;
    }
}

/// Tokens in the cells of the key-value cache.
fn cells(engine: &Engine) -> usize {
    engine.chat_handle(&model()).unwrap().cells()
}

const STORY: &str = "Tell me a long story about a dragon who learns to swim in the sea.";

#[tokio::test]
async fn a_greedy_answer_is_always_the_same() {
    let first = answer(shared().await, "What is the capital of France?", json!({})).await;
    // What llama-cpp-python 0.3.36 says on the same file.
    assert!(text(&first.0).starts_with("L'Étoile, la Marseillaise"), "{}", text(&first.0));
    let second = answer(shared().await, "What is the capital of France?", json!({})).await;
    assert_eq!(text(&first.0), text(&second.0));
}

#[tokio::test]
async fn answers_do_not_depend_on_the_company() {
    let engine = engine(ModelOptions::default()).await;
    let prompts = ["Name a colour.", STORY, "What is 2 + 2?", "Who wrote Hamlet? Answer with the name of the author."];
    // Quantised numerics differ between batch sizes and decide near-ties differently ("The colour is", "The colour I'm"),
    // so only the first token is compared; rows of another's prompt would change that one too.
    let first_token = json!({"max_tokens": 1});
    let together = join_all(prompts.map(|prompt| answer(&engine, prompt, first_token.clone()))).await;
    for (prompt, (in_company, _)) in prompts.iter().zip(&together) {
        let (alone, _) = answer(&engine, prompt, first_token.clone()).await;
        assert_eq!(text(&alone), text(in_company));
    }
}

#[tokio::test]
async fn a_token_limit_ends_the_answer() {
    let (response, timings) = answer(shared().await, STORY, json!({"max_tokens": 5})).await;
    assert_eq!((finish(&response), timings.completion_tokens), (&FinishReason::Length, 5));
    let (response, timings) = answer(shared().await, "Say only: yes", json!({"max_tokens": 60})).await;
    assert_eq!(finish(&response), &FinishReason::Stop);
    assert!(timings.completion_tokens < 60);
    assert!(timings.ttft_ms >= timings.queue_ms && timings.total_ms >= timings.ttft_ms, "{timings:?}");
}

#[tokio::test]
async fn a_stop_string_is_cut_off() {
    let (whole, _) = answer(shared().await, STORY, json!({"max_tokens": 30})).await;
    let whole = text(&whole);
    // Ends inside a word, so that it starts and ends within tokens.
    let stop = &whole[20..29];
    let before = &whole[..whole.find(stop).unwrap()];
    let (cut, _) = answer(shared().await, STORY, json!({"max_tokens": 30, "stop": [stop, "never said"]})).await;
    assert_eq!((text(&cut).as_str(), finish(&cut)), (before, &FinishReason::Stop));
}

#[tokio::test]
async fn a_seed_repeats_a_draw() {
    let engine = engine(ModelOptions::default()).await;
    let draw =
        async |seed| text(&answer(&engine, STORY, json!({"temperature": 1.5, "seed": seed, "max_tokens": 8})).await.0);
    assert_eq!(draw(1).await, draw(1).await);
    assert_ne!(draw(1).await, draw(2).await);
}

#[tokio::test]
async fn several_choices_share_their_prompt() {
    let engine = engine(ModelOptions::default()).await;
    let more = json!({"n": 3, "temperature": 1.2, "seed": 5, "max_tokens": 8});
    let (response, timings) = answer(&engine, STORY, more).await;
    let indexes: Vec<_> = response.choices.iter().map(|choice| choice.index).collect();
    assert_eq!(indexes, [0, 1, 2]);
    let texts: std::collections::HashSet<_> =
        response.choices.iter().map(|choice| format!("{:?}", choice.message.content)).collect();
    assert!(texts.len() > 1, "{texts:?}");
    // The prompt counts once; the other two choices found it computed.
    let stats = until_idle(&engine).await;
    assert_eq!(stats.prompt_tokens, 3 * timings.prompt_tokens);
    assert!(stats.cached_tokens >= 2 * (timings.prompt_tokens - 1), "{stats:?}");
}

#[tokio::test]
async fn a_shared_prefix_is_computed_once() {
    let engine = engine(ModelOptions::default()).await;
    let rules: String = (0..40).map(|rule| format!("Rule {rule}: be kind to everyone. ")).collect();
    let (_, cold) = answer(&engine, &format!("{rules} Name a colour."), json!({})).await;
    assert_eq!(cold.cached_tokens, 0);
    let (_, warm) = answer(&engine, &format!("{rules} Name an animal."), json!({})).await;
    assert!(warm.cached_tokens + 20 > warm.prompt_tokens, "{warm:?}");
    let (first, again) = (answer(&engine, STORY, json!({})).await, answer(&engine, STORY, json!({})).await);
    assert_eq!(again.1.cached_tokens, again.1.prompt_tokens - 1);
    assert_eq!(text(&first.0)[..8], text(&again.0)[..8]);
}

#[tokio::test]
async fn what_ended_requests_computed_leaves_the_cells_and_comes_back() {
    let engine = engine(ModelOptions { slots: 2, ..ModelOptions::default() }).await;
    let rules: String = (0..40).map(|rule| format!("Rule {rule}: be kind to everyone. ")).collect();
    let scored = json!({"logprobs": true, "top_logprobs": 5, "max_tokens": 4});
    let (cold, timings) = answer(&engine, &rules, scored.clone()).await;
    assert_eq!(timings.cached_tokens, 0);
    let kept = until_idle(&engine).await.prefix_bytes;
    assert!(kept > 0 && cells(&engine) == 0, "{kept} bytes");
    // Restoring leaves the copy for others, also for two at once and for one that asks something else.
    for _ in 0..2 {
        let other = format!("{rules} Name a colour.");
        let ((restored, same), (_, other)) =
            tokio::join!(answer(&engine, &rules, scored.clone()), answer(&engine, &other, json!({})));
        assert_eq!(same.cached_tokens, same.prompt_tokens - 1);
        assert!(other.cached_tokens + 20 > other.prompt_tokens, "{other:?}");
        // Batches of other sizes round differently, which decides near-ties; a cache of other tokens is far off.
        let (cold, restored) = (&logprobs(&cold)[0], &logprobs(&restored)[0].top_logprobs);
        let again = restored.iter().find(|top| top.token == cold.token).unwrap();
        assert!((cold.logprob - again.logprob).abs() < 0.2, "{cold:?} {restored:?}");
        until_idle(&engine).await;
        assert_eq!(cells(&engine), 0);
    }
}

#[tokio::test]
async fn what_ended_requests_computed_stays_within_its_budget() {
    let rules = |word: &str| (0..20).map(|rule| format!("Rule {rule}: {word}. ")).collect::<String>();
    let (first, second) = (rules("be kind"), rules("be brave"));
    let one = json!({"max_tokens": 1});
    let roomy = engine(ModelOptions::default()).await;
    answer(&roomy, &first, one.clone()).await;
    let bytes = until_idle(&roomy).await.prefix_bytes as usize;
    let tight = engine(ModelOptions { prefix_bytes: bytes * 3 / 2, ..ModelOptions::default() }).await;
    for prompt in [&first, &second, &first] {
        // Only what the chat template and "Rule 0: be" have in common is there.
        let (_, timings) = answer(&tight, prompt, one.clone()).await;
        assert!(timings.cached_tokens * 2 < timings.prompt_tokens, "{timings:?}");
        let stats = until_idle(&tight).await;
        assert!((1..=bytes * 3 / 2).contains(&(stats.prefix_bytes as usize)), "{stats:?}");
    }
    let none = engine(ModelOptions { prefix_bytes: 0, ..ModelOptions::default() }).await;
    for _ in 0..2 {
        let (_, timings) = answer(&none, &first, one.clone()).await;
        assert_eq!((timings.cached_tokens, until_idle(&none).await.prefix_bytes, cells(&none)), (0, 0, 0));
    }
}

#[tokio::test]
async fn requests_that_start_alike_wait_for_the_first() {
    let engine = engine(ModelOptions::default()).await;
    let rules: String = (0..60).map(|rule| format!("Rule {rule}: be kind to everyone. ")).collect();
    let questions: Vec<String> = (0..6).map(|question| format!("{rules} Question {question}?")).collect();
    let answers = join_all(questions.iter().map(|question| answer(&engine, question, json!({"max_tokens": 2})))).await;
    let computed: u64 = answers.iter().map(|(_, timings)| timings.prompt_tokens - timings.cached_tokens).sum();
    let longest = answers.iter().map(|(_, timings)| timings.prompt_tokens).max().unwrap();
    assert!(computed < longest + 6 * 40, "{computed} of prompts of {longest}");
}

#[tokio::test]
async fn log_probabilities_are_those_of_the_tokens() {
    let more = json!({"logprobs": true, "top_logprobs": 5, "max_tokens": 6});
    let (response, timings) = answer(shared().await, "What is the capital of France?", more).await;
    let tokens = logprobs(&response);
    assert_eq!(tokens.len() as u64, timings.completion_tokens);
    for token in tokens {
        let mass: f32 = token.top_logprobs.iter().map(|top| top.logprob.exp()).sum();
        assert!(mass <= 1.0001 && token.top_logprobs.len() == 5, "{token:?}");
        // A greedy answer takes the likeliest token.
        assert_eq!((&token.token, token.logprob), (&token.top_logprobs[0].token, token.top_logprobs[0].logprob));
    }
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.bytes.clone().unwrap()).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), text(&response));
}

#[tokio::test]
async fn a_bias_forces_a_token() {
    let token = shared().await.tokenize(&model(), " blue".to_owned()).await.unwrap();
    assert_eq!(token.len(), 1);
    let bias = json!({"logit_bias": {token[0].to_string(): 100}, "max_tokens": 3});
    let (response, _) = answer(shared().await, "Name a colour.", bias).await;
    assert_eq!(text(&response), " blue blue blue");
}

#[tokio::test]
async fn an_answer_in_a_schema_is_valid() {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["name", "age", "tags", "mood", "born"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 12},
            "age": {"type": "integer", "minimum": 18, "maximum": 99},
            "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{1,6}$"}, "minItems": 1, "maxItems": 3},
            "mood": {"enum": ["good", "bad", null]},
            "born": {"type": "string", "format": "date"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "person", "schema": schema}});
    let engine = shared().await;
    let requests = (0..12).map(|seed| {
        let more = json!({"response_format": format, "seed": seed, "temperature": 1.0, "max_tokens": 400});
        answer(engine, "Invent a person.", more)
    });
    for (response, _) in join_all(requests).await {
        assert_eq!(finish(&response), &FinishReason::Stop, "{}", text(&response));
        check_person(&text(&response));
    }
}

/// Checks by hand what the schema of the test says.
fn check_person(text: &str) {
    let person: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let keys: Vec<_> = person.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["name", "age", "tags", "mood", "born"], "{text}");
    assert!((1..=12).contains(&person["name"].as_str().unwrap().chars().count()), "{text}");
    assert!((18..=99).contains(&person["age"].as_i64().unwrap()), "{text}");
    let tags = person["tags"].as_array().unwrap();
    let lower = |tag: &Value| {
        tag.as_str().is_some_and(|tag| (1..=6).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_lowercase()))
    };
    assert!((1..=3).contains(&tags.len()) && tags.iter().all(lower), "{text}");
    assert!(person["mood"].is_null() || ["good", "bad"].contains(&person["mood"].as_str().unwrap()), "{text}");
    let born: Vec<u32> = person["born"].as_str().unwrap().split('-').map(|part| part.parse().unwrap()).collect();
    assert!((1000..3000).contains(&born[0]) && (1..=12).contains(&born[1]) && (1..=31).contains(&born[2]), "{text}");
}

#[tokio::test]
async fn a_json_object_is_one() {
    let more = json!({"response_format": {"type": "json_object"}, "max_tokens": 300, "stop": ["}"]});
    let (response, _) = answer(shared().await, "Give me a JSON object with a name.", more).await;
    assert!(text(&response).starts_with('{'), "{}", text(&response));
}

fn weather() -> Value {
    json!([{"type": "function", "function": {"name": "get_weather", "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"], "additionalProperties": false}}}])
}

#[tokio::test]
async fn a_required_tool_is_called_with_arguments_that_fit() {
    for choice in [json!("required"), json!({"type": "function", "function": {"name": "get_weather"}})] {
        let more = json!({"tools": weather(), "tool_choice": choice, "parallel_tool_calls": false, "max_tokens": 200});
        let (response, _) = answer(shared().await, "What is the weather in Paris?", more).await;
        assert_eq!(finish(&response), &FinishReason::ToolCalls);
        let message = &response.choices[0].message;
        let calls = message.tool_calls.as_ref().unwrap();
        assert_eq!((calls.len(), calls[0].function.name.as_str(), &message.content), (1, "get_weather", &None));
        assert!(calls[0].id.starts_with("call_"));
        let arguments: Value = serde_json::from_str(&calls[0].function.arguments).unwrap();
        assert!(
            arguments["city"].is_string() && ["celsius", "fahrenheit"].contains(&arguments["unit"].as_str().unwrap())
        );
    }
}

#[tokio::test]
async fn tools_may_be_left_alone() {
    let more = json!({"tools": weather(), "tool_choice": "none"});
    let (response, timings) = answer(shared().await, "What is the capital of France?", more).await;
    assert!(text(&response).starts_with("L'Étoile"), "{}", text(&response));
    let (_, shown) = answer(shared().await, "What is the capital of France?", json!({"tools": weather()})).await;
    assert!(shown.prompt_tokens > timings.prompt_tokens + 50, "{shown:?} {timings:?}");
}

#[tokio::test]
async fn an_overflow_is_refused_with_its_numbers() {
    let engine = engine(ModelOptions { context: Some(64), ..ModelOptions::default() }).await;
    match refusal(&engine, "hi", json!({"max_tokens": 60})).await {
        Error::ContextOverflow { prompt_tokens, requested: 60, limit: 64 } => {
            assert_eq!(prompt_tokens, engine.count(&model(), request("hi", json!({}))).await.unwrap());
        }
        other => panic!("{other}"),
    }
    // What just fits is served to its last token.
    let room = 64 - engine.count(&model(), request(STORY, json!({}))).await.unwrap();
    let (response, timings) = answer(&engine, STORY, json!({"max_tokens": room})).await;
    assert_eq!((finish(&response), timings.completion_tokens), (&FinishReason::Length, room as u64));
}

#[tokio::test]
async fn a_full_queue_is_told_at_once() {
    let engine = engine(ModelOptions { slots: 1, queue: 1, ..ModelOptions::default() }).await;
    let long =
        async || engine.chat(&model(), request(STORY, json!({"max_tokens": 2000, "ignore_eos": true}))).await.unwrap();
    let (running, waiting) = (long().await, long().await);
    match refusal(&engine, STORY, json!({})).await {
        Error::QueueFull { retry_after_ms } => assert!(retry_after_ms >= 100),
        other => panic!("{other}"),
    }
    drop((running, waiting));
    until_idle(&engine).await;
    answer(&engine, "hi", json!({"max_tokens": 1})).await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_slot() {
    let engine = engine(ModelOptions { slots: 1, ..ModelOptions::default() }).await;
    let more = json!({"max_tokens": 4000, "ignore_eos": true});
    let mut events = engine.chat(&model(), request(STORY, more)).await.unwrap();
    assert!(matches!(events.next().await, Some(Ok(Event::Chunk(_)))));
    drop(events);
    let stats = until_idle(&engine).await;
    assert_eq!((stats.cancelled, cells(&engine)), (1, 0));
    assert!(stats.completion_tokens < 4000, "{stats:?}");
}

#[tokio::test]
async fn a_full_cache_delays_and_loses_nothing() {
    // Four answers of 120 tokens and their prompts need over 600 cells and there are 512, so some must go back.
    let options = ModelOptions { context: Some(256), cache_tokens: 512, slots: 4, ..ModelOptions::default() };
    let engine = engine(options).await;
    let more = json!({"max_tokens": 120, "ignore_eos": true});
    let prompts = ["Tell me of a cat.", "Tell me of a dog.", "Tell me of a cow.", "Tell me of a bee."];
    for (_, timings) in join_all(prompts.map(|prompt| answer(&engine, prompt, more.clone()))).await {
        assert_eq!(timings.completion_tokens, 120);
    }
    until_idle(&engine).await;
    assert_eq!(cells(&engine), 0);
}

#[tokio::test]
async fn unloading_waits_for_what_runs() {
    let engine = engine(ModelOptions::default()).await;
    let running = engine.chat(&model(), request(STORY, json!({"max_tokens": 30, "ignore_eos": true}))).await.unwrap();
    let ((), answered) = tokio::join!(async { engine.unload(&model()).await.unwrap() }, running.collect_answer());
    assert_eq!(answered.unwrap().1.completion_tokens, 30);
    assert!(matches!(refusal(&engine, STORY, json!({})).await, Error::UnknownModel { .. }));
}

#[tokio::test]
async fn a_panic_fails_requests_and_hangs_none() {
    let engine = engine(ModelOptions { slots: 1, ..ModelOptions::default() }).await;
    let long = json!({"max_tokens": 4000, "ignore_eos": true});
    let running = engine.chat(&model(), request(STORY, long.clone())).await.unwrap();
    let waiting = engine.chat(&model(), request(STORY, long)).await.unwrap();
    engine.chat_handle(&model()).unwrap().panic();
    for events in [running, waiting] {
        let error = events.collect_answer().await.unwrap_err();
        assert!(matches!(&error, Error::Backend { .. }), "{error}");
    }
    // The thread may not have closed its door yet; until then requests are accepted and fail.
    while engine.kind(&model()).is_some() {
        if let Ok(events) = engine.chat(&model(), request(STORY, json!({}))).await {
            let error = events.collect_answer().await.unwrap_err();
            assert!(matches!(&error, Error::Backend { .. }), "{error}");
        }
        tokio::task::yield_now().await;
    }
    assert!(engine.loaded().is_empty());
    // It counts as not loaded, so who loads what is not loaded gets it again.
    engine.load(model(), gguf(), ModelOptions::default()).await.unwrap();
    answer(&engine, "hi", json!({"max_tokens": 1})).await;
}

#[tokio::test]
async fn a_completion_continues_each_prompt() {
    let request = json!({"model": "smollm2", "prompt": ["The capital of France is", "One, two, three,"], "n": 2, "max_tokens": 4, "temperature": 0});
    let (chunks, timings) = completion(shared().await, request).await;
    let mut texts = vec![String::new(); 4];
    for choice in chunks.iter().flat_map(|chunk| &chunk.choices) {
        texts[choice.index as usize].push_str(&choice.text);
    }
    assert_eq!((&texts[0], &texts[2]), (&texts[1], &texts[3]));
    assert!(texts[0].contains("Paris") && texts[2].contains("four"), "{texts:?}");
    assert_eq!(timings.completion_tokens, 16);
}

#[tokio::test]
async fn a_text_is_scored_by_echoing_it() {
    let request =
        json!({"model": "smollm2", "prompt": "The sky is blue", "max_tokens": 0, "echo": true, "logprobs": 1});
    let (chunks, timings) = completion(shared().await, request).await;
    let choice = &chunks[0].choices[0];
    assert_eq!((choice.text.as_str(), timings.completion_tokens), ("The sky is blue", 0));
    let logprobs = choice.logprobs.as_ref().unwrap();
    assert_eq!(logprobs.tokens.concat(), "The sky is blue");
    assert_eq!((logprobs.token_logprobs[0], logprobs.text_offset.as_slice()), (None, &[0, 3, 7, 10][..]));
    // "is" after "The sky" and "blue" after "is" are likely; the same words in another order are not.
    let shuffled =
        json!({"model": "smollm2", "prompt": "sky blue is The", "max_tokens": 0, "echo": true, "logprobs": 1});
    let (other, _) = completion(shared().await, shuffled).await;
    let total = |response: &CompletionResponse| -> f32 {
        response.choices[0].logprobs.as_ref().unwrap().token_logprobs.iter().flatten().sum()
    };
    assert!(total(&chunks[0]) > total(&other[0]));
}

/// What was measured of each prompt, in order.
async fn measured(engine: &Engine, prompts: &[&str], from: &[usize], long: &str) -> (Vec<Measured>, Timings) {
    let request = json!({"model": "smollm2", "prompt": prompts, "measure": {"from": from, "long": long}});
    let (chunks, timings) = completion(engine, request).await;
    let mut choices: Vec<_> = chunks.into_iter().flat_map(|chunk| chunk.choices).collect();
    choices.sort_by_key(|choice| choice.index);
    let read = |choice: &CompletionChoice| Some(serde_json::from_value(choice.extra.get("measured")?.clone()).unwrap());
    (choices.iter().filter_map(read).collect(), timings)
}

#[tokio::test]
async fn the_end_of_a_text_is_measured_as_its_echo_tells() {
    let engine = shared().await;
    let (context, ends) =
        ("Question: What colour is the sky?\nAnswer:", [" blue", " green and yellow", " I do not know"]);
    let prompts = ends.map(|end| format!("{context}{end}"));
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let (found, _) = measured(engine, &prompts, &[context.len(); 3], "refuse").await;
    for (prompt, found) in prompts.iter().zip(&found) {
        let request = json!({"model": "smollm2", "prompt": prompt, "max_tokens": 0, "echo": true, "logprobs": 1});
        let (chunks, _) = completion(engine, request).await;
        let echoed = chunks[0].choices[0].logprobs.as_ref().unwrap();
        let first = echoed.text_offset.iter().position(|&offset| offset >= context.len()).unwrap();
        let sum: f64 = echoed.token_logprobs[first..].iter().flatten().map(|number| f64::from(*number)).sum();
        assert_eq!(found.tokens, echoed.tokens.len() - first);
        // Other company in a batch rounds otherwise.
        assert!((found.sum - sum).abs() < 0.05 * sum.abs().max(1.0), "{prompt}: {} and {sum}", found.sum);
    }
    assert!(found[0].sum > found[1].sum);
    let (greedy, _) = measured(engine, &["The capital of France is Paris"], &[24], "refuse").await;
    assert!(greedy[0].is_greedy && greedy[0].tokens == 1, "{greedy:?}");
}

#[tokio::test]
async fn what_stands_before_several_ends_is_computed_once() {
    let engine = engine(ModelOptions::default()).await;
    let context = "One sentence after another, so that there is something to share.".repeat(20);
    let prompts: Vec<String> = (0..8).map(|n| format!("{context} Number {n} is odd")).collect();
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let (found, timings) = measured(&engine, &prompts, &[context.len(); 8], "refuse").await;
    assert_eq!((found.len(), timings.completion_tokens), (8, 0));
    let once = engine.tokenize(&model(), context.clone()).await.unwrap().len() as u64;
    // All but the token at the border, whose logits each of them needs.
    assert_eq!(timings.cached_tokens, 7 * (once - 1), "of {} tokens", timings.prompt_tokens);
    let again = measured(&engine, &prompts[..1], &[context.len()], "refuse").await.1;
    assert_eq!(again.cached_tokens, once - 1, "it is kept for later");
    assert_eq!(cells(&engine), 0);
}

#[tokio::test]
async fn a_text_that_is_too_long_is_measured_in_windows() {
    let engine = engine(ModelOptions { context: Some(64), cache_tokens: 512, ..ModelOptions::default() }).await;
    let text = "the quick brown fox jumps over the lazy dog and runs away. ".repeat(12);
    let tokens = engine.tokenize(&model(), text.clone()).await.unwrap().len();
    let (found, _) = measured(&engine, &[&text], &[0], "windows").await;
    assert_eq!((found.len(), found[0].tokens), (1, tokens));
    let (cut, _) = measured(&engine, &[&text], &[text.len() - 6], "cut").await;
    assert!(cut[0].tokens < 5, "{cut:?}");
    let refused = json!({"model": "smollm2", "prompt": text, "measure": {"from": [0]}});
    let refused = engine.complete(&model(), serde_json::from_value(refused).unwrap()).await;
    assert!(matches!(refused.err(), Some(Error::ContextOverflow { limit: 64, .. })));
}

#[tokio::test]
async fn loading_twice_is_loading_once() {
    let engine = empty();
    let load = || engine.load(model(), gguf(), ModelOptions::default());
    let (first, second) = tokio::join!(load(), load());
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(engine.loaded().len(), 1);
    let other = ModelFiles::Gguf { path: "/nowhere.gguf".into(), chat_template: None };
    let taken = engine.load(model(), other.clone(), ModelOptions::default()).await;
    assert!(matches!(taken, Err(Error::AlreadyLoaded { .. })));
    let missing = engine.load("other".parse().unwrap(), other, ModelOptions::default()).await;
    assert!(matches!(missing, Err(Error::Load { .. })));
}

#[tokio::test]
async fn texts_are_embedded_together_and_answered_apart() {
    let engine = empty();
    let name: ModelName = "minilm".parse().unwrap();
    let files = ModelFiles::Embedder { dir: test_model::path("all-minilm-l6-v2") };
    engine.load(name.clone(), files, ModelOptions::default()).await.unwrap();
    let texts = ["a cat on a mat", "a kitten on a rug", "the price of oil"].map(str::to_owned);
    let all = engine.embed(&name, texts.to_vec()).await.unwrap();
    let apart = join_all(texts.iter().map(|text| engine.embed(&name, vec![text.clone()]))).await;
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for (together, alone) in all.vectors.iter().zip(&apart) {
        assert!(dot(together, &alone.as_ref().unwrap().vectors[0]) > 0.9999);
    }
    assert!(dot(&all.vectors[0], &all.vectors[1]) > dot(&all.vectors[0], &all.vectors[2]));
    assert!(all.usage.input_tokens > 12);
    let too_long = engine.embed(&name, vec!["word ".repeat(5000)]).await;
    assert!(matches!(too_long, Err(Error::Invalid { .. })));
    assert!(matches!(engine.chat(&name, request("hi", json!({}))).await, Err(Error::WrongKind { .. })));
}
