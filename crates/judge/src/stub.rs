//! Replies without a model.

use qd_base::chat::ChatResponse;
use serde_json::{Value, json};

use crate::judgement::Judgement;
use crate::reply::Reply;
use crate::step::Step;

fn reply(message: Value, finish: &str, logprobs: Value) -> Reply {
    let response: ChatResponse = serde_json::from_value(json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }))
    .unwrap();
    Reply::Answered(Box::new(response))
}

/// A reply that is this text.
pub fn says(text: &str) -> Reply {
    reply(json!({"role": "assistant", "content": text}), "stop", Value::Null)
}

/// A reply that ends at its limit of tokens.
pub fn cut_off(text: &str) -> Reply {
    reply(json!({"role": "assistant", "content": text}), "length", Value::Null)
}

/// A reply that is a refusal.
pub fn refuses(text: &str) -> Reply {
    reply(json!({"role": "assistant", "content": null, "refusal": text}), "stop", Value::Null)
}

/// A reply with tokens: each with what else could have stood there, as token and probability.
pub fn says_tokens(tokens: &[(&str, &[(&str, f64)])]) -> Reply {
    says_in_tokens(&tokens.iter().map(|(token, _)| *token).collect::<String>(), tokens)
}

/// The same with a text that need not be what the tokens say.
pub fn says_in_tokens(text: &str, tokens: &[(&str, &[(&str, f64)])]) -> Reply {
    let content: Vec<Value> = tokens
        .iter()
        .map(|(token, top)| {
            let of = |token: &str, p: f64| json!({"token": token, "logprob": p.ln(), "bytes": token.as_bytes()});
            let own = top.iter().find(|(other, _)| other == token).map_or(1.0, |(_, p)| *p);
            let mut entry = of(token, own);
            entry["top_logprobs"] = top.iter().map(|(token, p)| of(token, *p)).collect();
            entry
        })
        .collect();
    reply(json!({"role": "assistant", "content": text}), "stop", json!({"content": content}))
}

/// Goes through all steps; `answer` says what is replied to a request, told by its last message.
pub fn run(step: Step, mut answer: impl FnMut(&str) -> Reply) -> Judgement {
    let mut step = step;
    loop {
        match step {
            Step::Done(judgement) => return *judgement,
            Step::Ask(asking) => {
                let replies = asking.requests().iter().map(|request| answer(&last(request))).collect();
                step = asking.answer(replies);
            }
        }
    }
}

/// The text of a request's last message.
pub fn last(request: &qd_base::chat::ChatRequest) -> String {
    request.messages.last().unwrap().content.as_ref().unwrap().as_text().unwrap().into_owned()
}
