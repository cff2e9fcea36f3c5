//! An upstream that always gives the same answer after the same delay.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::{Error, message};

/// The answer of 325 bytes that every gateway passes on.
const ANSWER: &str = r#"{"id":"chatcmpl-0123456789abcd","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"The capital of France is Paris; two million people live there."},"finish_reason":"stop"}],"usage":{"prompt_tokens":21,"completion_tokens":14,"total_tokens":35}}"#;

const MODELS: &str =
    r#"{"object":"list","data":[{"id":"gpt-4o-mini","object":"model","created":1700000000,"owned_by":"stub"}]}"#;

/// Larger requests than any bench sends are not read.
const REQUEST_LIMIT_BYTES: usize = 16 << 20;

/// The stub's settings.
pub(crate) struct Stub {
    pub port: u16,
    /// Before the answer, or before the first event.
    pub delay: Duration,
    /// Content events in a stream.
    pub events: usize,
    /// Between events.
    pub event_gap: Duration,
}

/// Answers until the process is killed.
pub(crate) async fn serve(stub: Stub) -> Result<(), Error> {
    let failed = |doing: String| move |cause| Error::Network { doing, cause };
    let listener = TcpListener::bind(("127.0.0.1", stub.port))
        .await
        .map_err(failed(format!("listening on port {}", stub.port)))?;
    let address = listener.local_addr().map_err(failed("asking for the port".to_owned()))?;
    println!("listening on {address}");
    let replies: &'static Replies = Box::leak(Box::new(Replies::new(stub)));
    loop {
        let (socket, _) = listener.accept().await.map_err(failed("accepting a connection".to_owned()))?;
        // A client that goes away ends its own task; there is nothing to tell anyone.
        tokio::task::spawn_local(async move { drop(converse(socket, replies).await) });
    }
}

/// The delay before each answer. On a thread of its own, because an event loop's timers fire together once a millisecond:
/// the answers would come in bursts, as those of no real upstream do, and wait for each other in the gateway.
struct Delay {
    length: Duration,
    waiting: mpsc::Sender<(Instant, oneshot::Sender<()>)>,
}

impl Delay {
    fn of(length: Duration) -> Self {
        // All wait equally long, so who came first is due first.
        let (waiting, due) = mpsc::channel::<(Instant, oneshot::Sender<()>)>();
        std::thread::spawn(move || {
            for (at, ready) in due {
                let wait = at.saturating_duration_since(Instant::now());
                if !wait.is_zero() {
                    std::thread::sleep(wait);
                }
                // A client that has left waits no more.
                let _ = ready.send(());
            }
        });
        Self { length, waiting }
    }

    async fn pass(&self) {
        let (ready, due) = oneshot::channel();
        if self.waiting.send((Instant::now() + self.length, ready)).is_ok() {
            // The thread only ends with the process.
            let _ = due.await;
        }
    }
}

/// Everything that is ever sent, written once.
struct Replies {
    stub: Stub,
    delay: Delay,
    answer: Vec<u8>,
    models: Vec<u8>,
    stream: Vec<Vec<u8>>,
}

impl Replies {
    fn new(stub: Stub) -> Self {
        Self {
            answer: with_length(ANSWER),
            models: with_length(MODELS),
            stream: stream_parts(stub.events),
            delay: Delay::of(stub.delay),
            stub,
        }
    }
}

fn with_length(json: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{json}", json.len())
        .into_bytes()
}

/// The writes of a stream: head and first event, content events, and the end.
fn stream_parts(events: usize) -> Vec<Vec<u8>> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let event = |choices: &str, usage: &str| {
        format!(
            r#"data: {{"id":"chatcmpl-0123456789abcd","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini","choices":[{choices}]{usage}}}"#
        ) + "\n\n"
    };
    let delta =
        |delta: &str, reason: &str| event(&format!(r#"{{"index":0,"delta":{delta},"finish_reason":{reason}}}"#), "");
    let mut parts = vec![head.to_owned() + &chunk(&delta(r#"{"role":"assistant","content":""}"#, "null"))];
    parts.extend((0..events).map(|_| chunk(&delta(r#"{"content":" word"}"#, "null"))));
    let usage =
        format!(r#","usage":{{"prompt_tokens":21,"completion_tokens":{events},"total_tokens":{}}}"#, events + 21);
    parts.push(chunk(&delta("{}", "\"stop\"")) + &chunk(&event("", &usage)) + &chunk("data: [DONE]\n\n") + "0\r\n\r\n");
    parts.into_iter().map(String::into_bytes).collect()
}

async fn converse(mut socket: TcpStream, replies: &Replies) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let head = loop {
            if let Some(head) = message::head(&buffer)
                && message::end(&buffer, &head).is_some()
            {
                break head;
            }
            if buffer.len() > REQUEST_LIMIT_BYTES || socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        reply(&mut socket, &buffer, head.body_at, replies).await?;
        // Clients here wait for the answer before they ask again, so nothing follows in the buffer.
        buffer.clear();
    }
}

async fn reply(socket: &mut TcpStream, request: &[u8], body_at: usize, replies: &Replies) -> std::io::Result<()> {
    if request.starts_with(b"GET ") {
        return socket.write_all(&replies.models).await;
    }
    replies.delay.pass().await;
    if !wants_stream(&request[body_at..]) {
        return socket.write_all(&replies.answer).await;
    }
    for part in &replies.stream {
        socket.write_all(part).await?;
        // Even an empty sleep would last until the timer's next tick.
        if !replies.stub.event_gap.is_zero() {
            tokio::time::sleep(replies.stub.event_gap).await;
        }
    }
    Ok(())
}

fn wants_stream(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains(r#""stream":true"#) || text.contains(r#""stream": true"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_are_whole_messages() {
        let stream = stream_parts(3).concat();
        for reply in [&with_length(ANSWER), &with_length(MODELS), &stream] {
            let head = message::head(reply).unwrap();
            assert_eq!(message::end(reply, &head), Some(reply.len()));
        }
        assert!(serde_json::from_str::<serde_json::Value>(ANSWER).is_ok());
        let events = String::from_utf8(stream).unwrap();
        assert_eq!(events.matches("data: {").count(), 1 + 3 + 2);
    }
}
