//! Server-sent events, as far as a Quarterdeck sends them: `event`, `id` and `data` lines, comments, blank lines.
//!
//! WHATWG HTML, section 9.2.

use futures::StreamExt as _;
use serde_json::Value;

use crate::Error;
use crate::door::Pieces;

/// Largest event that is waited for.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Empty when the event has no name.
    pub name: String,
    pub data: String,
}

/// A feed of events, read as it comes.
pub struct Events {
    request: String,
    pieces: Pieces,
    read: Vec<u8>,
}

impl Events {
    /// The events in the answer to `request`.
    pub fn new(request: String, pieces: Pieces) -> Self {
        Self { request, pieces, read: Vec::new() }
    }

    /// The next event with data; `None` at the end of the feed.
    ///
    /// # Errors
    /// [`Error::Answer`] when the connection breaks or an event is too large.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.take() {
                return Ok(Some(event));
            }
            match self.pieces.next().await {
                None => return Ok(None),
                Some(Ok(_)) if self.read.len() > EVENT_BYTES_MAX => {
                    return Err(self.broken(format!("an event is larger than {EVENT_BYTES_MAX} bytes").into()));
                }
                Some(Ok(piece)) => self.read.extend_from_slice(&piece),
                Some(Err(cause)) => return Err(self.broken(cause)),
            }
        }
    }

    /// The next event's data as JSON.
    ///
    /// # Errors
    /// As [`Events::next`], and for data that is not JSON.
    pub async fn next_json(&mut self) -> Result<Option<(String, Value)>, Error> {
        let Some(event) = self.next().await? else { return Ok(None) };
        match serde_json::from_str(&event.data) {
            Ok(value) => Ok(Some((event.name, value))),
            Err(cause) => Err(self.broken(cause.into())),
        }
    }

    /// The first whole event among the bytes read so far; comments and events without data are skipped.
    fn take(&mut self) -> Option<Event> {
        while let Some(end) = self.read.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.read.drain(..end + 2).collect();
            let event = parse(&String::from_utf8_lossy(&block));
            if !event.data.is_empty() {
                return Some(event);
            }
        }
        None
    }

    fn broken(&self, cause: crate::error::Cause) -> Error {
        Error::Answer { request: self.request.clone(), cause }
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    let mut data = Vec::new();
    for line in block.lines() {
        match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
            Some(("event", name)) => event.name = name.to_owned(),
            Some(("data", text)) => data.push(text),
            _ => {}
        }
    }
    event.data = data.join("\n");
    event
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    /// Feeds `text` in pieces of `size` bytes and reads the events back.
    async fn check(text: &str, size: usize, expected: &[(&str, &str)]) {
        let pieces: Vec<_> = text.as_bytes().chunks(size).map(|piece| Ok(piece.to_vec())).collect();
        let mut events = Events::new("GET /".to_owned(), stream::iter(pieces).boxed());
        let mut found = Vec::new();
        while let Some(event) = events.next().await.expect("the feed is sound") {
            found.push((event.name, event.data));
        }
        let found: Vec<_> = found.iter().map(|(name, data)| (name.as_str(), data.as_str())).collect();
        assert_eq!(found, expected, "pieces of {size}");
    }

    #[tokio::test]
    async fn events_survive_any_cut() {
        // The second example of WHATWG HTML, section 9.2.6, with a named event added.
        let text = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\nevent: end\ndata: a\ndata: b\n\n";
        let expected = [("", "first event"), ("", "second event"), ("", " third event"), ("end", "a\nb")];
        for size in [1, 2, 3, 7, 1000] {
            check(text, size, &expected).await;
        }
    }
}
