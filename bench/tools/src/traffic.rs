//! Traces as an OpenTelemetry exporter sends them, made from a seed: the same number gives the same spans everywhere.
//!
//! A trace is four spans of an assistant that answers a customer: a chain, in it a search, a tool and the call of a model
//! with the attributes of the OpenTelemetry GenAI conventions. Text is drawn word by word by Zipf's law, and each question
//! names an order that no other question names, so that a search has both common and rare words to look for.

use crate::protobuf::{double, fixed64, int, nested, text};

/// Spans of one trace.
pub(crate) const TRACE_SPANS: u64 = 4;
/// Different words that are drawn from.
const WORDS: usize = 6_000;
/// End users and, with a tenth as many calls each, sessions.
const USERS: u64 = 20_000;
const SESSIONS: u64 = 200_000;
/// Models and their providers; the first is called most.
const MODELS: [(&str, &str); 5] = [
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4o"),
    ("anthropic", "claude-3-5-haiku-latest"),
    ("openai", "gpt-4.1-nano"),
    ("mistral_ai", "mistral-small-latest"),
];

/// Makes requests of an exporter.
pub(crate) struct Traffic {
    seed: u64,
    words: Vec<String>,
    /// Spans of one request.
    spans: u64,
}

impl Traffic {
    /// Requests of about `spans` spans, in whole traces.
    pub fn new(seed: u64, spans: u64) -> Self {
        let mut random = Random::of(seed, u64::MAX);
        Self { seed, words: (0..WORDS).map(|_| word(&mut random)).collect(), spans }
    }

    /// Spans of a request.
    pub fn spans(&self) -> u64 {
        self.spans.div_ceil(TRACE_SPANS) * TRACE_SPANS
    }

    /// The `ExportTraceServiceRequest` with this number, whose traces begin within a second before `at_ns`.
    pub fn write(&self, number: u64, at_ns: u64, body: &mut Vec<u8>) {
        body.clear();
        let mut random = Random::of(self.seed, number);
        nested(body, 1, |resource_spans| {
            nested(resource_spans, 1, |resource| {
                attribute(resource, 1, "service.name", "assistant");
                attribute(resource, 1, "deployment.environment.name", "production");
                attribute(resource, 1, "openinference.project.name", "bench");
            });
            nested(resource_spans, 2, |scope_spans| {
                nested(scope_spans, 1, |scope| text(scope, 1, "bench"));
                for _ in 0..self.spans().div_ceil(TRACE_SPANS) {
                    let begin = at_ns - random.below(1_000_000_000);
                    self.trace(number, begin, &mut random, scope_spans);
                }
            });
        });
    }

    fn trace(&self, number: u64, begin: u64, random: &mut Random, scope_spans: &mut Vec<u8>) {
        let story = Story::of(self, number, begin, random);
        story.chain(scope_spans);
        story.search(scope_spans);
        story.tool(scope_spans);
        story.call(scope_spans);
    }

    fn sentence(&self, words: u64, random: &mut Random) -> String {
        let mut sentence = String::with_capacity(8 * words as usize);
        for _ in 0..words {
            // Zipf's law with exponent one: the rank is the vocabulary's size to the power of a uniform number.
            let rank = (WORDS as f64).powf(random.unit()) as usize - 1;
            sentence.push_str(&self.words[rank]);
            sentence.push(' ');
        }
        sentence.pop();
        sentence
    }
}

/// What one trace tells.
struct Story {
    trace_id: [u8; 16],
    spans: [[u8; 8]; 4],
    begin: u64,
    model: (&'static str, &'static str),
    user: String,
    session: String,
    question: String,
    answer: String,
    /// From the start of the call to its end.
    call_ns: u64,
    output_tokens: u64,
    failed: bool,
}

impl Story {
    fn of(traffic: &Traffic, number: u64, begin: u64, random: &mut Random) -> Self {
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&(number + 1).to_be_bytes());
        trace_id[8..].copy_from_slice(&random.next().to_be_bytes());
        let order = random.below(100_000_000);
        let words = 20 + random.below(40);
        let question = format!("order {order:08} {}", traffic.sentence(words, random));
        let answered = 20 + random.below(60);
        let output_tokens = answered * 4 / 3;
        let user = random.below(USERS);
        Self {
            trace_id,
            spans: std::array::from_fn(|_| random.next().max(1).to_be_bytes()),
            begin,
            model: MODELS[(random.unit() * random.unit() * MODELS.len() as f64) as usize],
            user: format!("user-{user:05}"),
            session: format!("session-{:06}", user * (SESSIONS / USERS) + random.below(SESSIONS / USERS)),
            question,
            answer: traffic.sentence(answered, random),
            call_ns: 200_000_000 + output_tokens * 8_000_000 + random.below(300_000_000),
            output_tokens,
            failed: random.below(50) == 0,
        }
    }

    fn span(&self, place: usize, name: &str, out: &mut Vec<u8>, attributes: impl FnOnce(&mut Vec<u8>)) {
        // Chain, search, tool and call: when each begins and how long it lasts.
        let (offset, lasts) = match place {
            0 => (0, 90_000_000 + self.call_ns),
            1 => (5_000_000, 30_000_000),
            2 => (40_000_000, 40_000_000),
            _ => (85_000_000, self.call_ns),
        };
        nested(out, 2, |span| {
            crate::protobuf::bytes(span, 1, &self.trace_id);
            crate::protobuf::bytes(span, 2, &self.spans[place]);
            if place > 0 {
                crate::protobuf::bytes(span, 4, &self.spans[0]);
            }
            text(span, 5, name);
            int(span, 6, if place == 3 { 3 } else { 1 });
            fixed64(span, 7, self.begin + offset);
            fixed64(span, 8, self.begin + offset + lasts);
            attribute(span, 9, "user.id", &self.user);
            attribute(span, 9, "session.id", &self.session);
            attributes(span);
            if self.failed && place == 3 {
                nested(span, 15, |status| {
                    text(status, 2, "the upstream answered 503");
                    int(status, 3, 2);
                });
            }
        });
    }

    fn chain(&self, out: &mut Vec<u8>) {
        self.span(0, "answer", out, |span| {
            attribute(span, 9, "openinference.span.kind", "CHAIN");
            attribute(span, 9, "input.value", &self.question);
        });
    }

    fn search(&self, out: &mut Vec<u8>) {
        self.span(1, "search", out, |span| {
            attribute(span, 9, "openinference.span.kind", "RETRIEVER");
            attribute(span, 9, "input.value", &self.question[..self.question.len().min(60)]);
        });
    }

    fn tool(&self, out: &mut Vec<u8>) {
        self.span(2, "execute_tool look_up_order", out, |span| {
            attribute(span, 9, "gen_ai.operation.name", "execute_tool");
            attribute(span, 9, "gen_ai.tool.name", "look_up_order");
            attribute(span, 9, "gen_ai.tool.call.id", "call_1");
        });
    }

    fn call(&self, out: &mut Vec<u8>) {
        let (provider, model) = self.model;
        self.span(3, &format!("chat {model}"), out, |span| {
            attribute(span, 9, "gen_ai.operation.name", "chat");
            attribute(span, 9, "gen_ai.provider.name", provider);
            attribute(span, 9, "gen_ai.request.model", model);
            attribute(span, 9, "gen_ai.response.model", model);
            number(span, 9, "gen_ai.usage.input_tokens", self.question.len() as u64 / 4);
            number(span, 9, "gen_ai.usage.output_tokens", self.output_tokens);
            nested(span, 9, |pair| {
                text(pair, 1, "gen_ai.request.temperature");
                nested(pair, 2, |value| double(value, 4, 0.2));
            });
            attribute(span, 9, "gen_ai.input.messages", &message("user", &self.question));
            attribute(span, 9, "gen_ai.output.messages", &message("assistant", &self.answer));
        });
    }
}

/// A message in the form of the GenAI conventions; the words need no escaping.
fn message(role: &str, content: &str) -> String {
    format!(r#"[{{"role":"{role}","parts":[{{"type":"text","content":"{content}"}}]}}]"#)
}

fn attribute(out: &mut Vec<u8>, field: u32, key: &str, value: &str) {
    nested(out, field, |pair| {
        text(pair, 1, key);
        nested(pair, 2, |any| text(any, 1, value));
    });
}

fn number(out: &mut Vec<u8>, field: u32, key: &str, value: u64) {
    nested(out, field, |pair| {
        text(pair, 1, key);
        nested(pair, 2, |any| int(any, 3, value));
    });
}

/// A made-up word of two to four syllables.
fn word(random: &mut Random) -> String {
    const CONSONANTS: &[u8] = b"bdfghklmnprstvz";
    const VOWELS: &[u8] = b"aeiou";
    let mut draw = |letters: &[u8]| char::from(letters[random.below(letters.len() as u64) as usize]);
    let syllables = 2 + (draw(VOWELS) as usize) % 3;
    (0..syllables).flat_map(|_| [draw(CONSONANTS), draw(VOWELS)]).collect()
}

/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
struct Random(u64);

impl Random {
    fn of(seed: u64, number: u64) -> Self {
        // Mixed, so that the sequences of two numbers are not the same one from different places on.
        Self(Self(Self(seed).next() ^ number).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In `[0, 1)`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In `[0, limit)`; the bias of a remainder does not matter here.
    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // The first outputs for the seed 1234567, as the reference implementation in C gives them.
        let mut random = Random(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn a_number_gives_the_same_request_whoever_asks() {
        let write = |number, at| {
            let mut body = Vec::new();
            Traffic::new(7, 8).write(number, at, &mut body);
            body
        };
        assert_eq!(write(3, 1 << 60), write(3, 1 << 60));
        let draws = |number| {
            let mut random = Random::of(7, number);
            std::array::from_fn::<u64, 50, _>(|_| random.next())
        };
        assert!(draws(3).iter().all(|draw| !draws(4).contains(draw)), "no sequence is a piece of another");
        assert_eq!(Traffic::new(7, 9).spans(), 12);
    }
}
