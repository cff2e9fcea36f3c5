//! Server-sent events, cut at their blank lines and otherwise untouched (WHATWG HTML, section 9.2).

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// One event as it came: its lines and the blank line that ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event(pub Bytes);

impl Event {
    /// An event that holds `json` as its data.
    pub fn of(json: &[u8]) -> Self {
        let mut out = BytesMut::with_capacity(json.len() + 8);
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(json);
        out.extend_from_slice(b"\n\n");
        Self(out.freeze())
    }

    /// The event that ends a stream.
    pub fn done() -> Self {
        Self(Bytes::from_static(b"data: [DONE]\n\n"))
    }

    /// The event's data: its `data` lines joined; `None` for comments, which keep a connection alive.
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        let mut data: Option<Cow<'_, [u8]>> = None;
        for line in self.0.split(|&byte| byte == b'\n' || byte == b'\r') {
            let Some(value) = line.strip_prefix(b"data:") else { continue };
            let value = value.strip_prefix(b" ").unwrap_or(value);
            data = Some(match data {
                None => Cow::Borrowed(value),
                Some(before) => Cow::Owned([&before[..], b"\n", value].concat()),
            });
        }
        data
    }

    /// Whether this event ends the stream.
    pub fn is_done(&self) -> bool {
        self.data().is_some_and(|data| data.trim_ascii() == b"[DONE]")
    }
}

/// An event that has grown past its limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventTooLarge;

/// Cuts a stream of bytes into events. An event that arrives in one piece is not copied.
pub(crate) struct Framer {
    /// The beginning of an event whose end has not come.
    begun: BytesMut,
    /// Bytes not yet looked at.
    fresh: Bytes,
    limit_bytes: usize,
}

impl Framer {
    pub fn new(limit_bytes: usize) -> Self {
        Self { begun: BytesMut::new(), fresh: Bytes::new(), limit_bytes }
    }

    /// Adds what has come; all events of what came before must have been taken.
    pub fn push(&mut self, bytes: Bytes) {
        debug_assert!(self.fresh.is_empty());
        self.fresh = bytes;
    }

    /// The next whole event.
    pub fn next(&mut self) -> Result<Option<Event>, EventTooLarge> {
        if self.begun.is_empty() {
            if let Some(end) = event_end(&self.fresh) {
                return self.checked(end).map(|end| Some(Event(self.fresh.split_to(end))));
            }
        } else {
            let searched = self.begun.len();
            if let Some(end) = self.end_across(searched) {
                return self.checked(searched + end).map(|_| Some(self.take_begun(end)));
            }
        }
        self.begun.extend_from_slice(&std::mem::take(&mut self.fresh));
        self.checked(self.begun.len()).map(|_| None)
    }

    /// What is left when the stream has ended: an event without its blank line, which some servers send last.
    pub fn rest(&mut self) -> Option<Event> {
        let mut rest = std::mem::take(&mut self.begun);
        if rest.trim_ascii().is_empty() {
            return None;
        }
        rest.extend_from_slice(b"\n\n");
        Some(Event(rest.freeze()))
    }

    /// How many fresh bytes complete the event that has begun.
    fn end_across(&self, searched: usize) -> Option<usize> {
        // A blank line is at most four bytes, so up to three of them may have come before.
        let overlap = searched.min(3);
        let mut window = self.begun[searched - overlap..].to_vec();
        window.extend_from_slice(&self.fresh);
        event_end(&window).map(|end| end.saturating_sub(overlap))
    }

    fn take_begun(&mut self, end: usize) -> Event {
        let tail = self.fresh.split_to(end);
        self.begun.extend_from_slice(&tail);
        Event(std::mem::take(&mut self.begun).freeze())
    }

    fn checked(&self, size_bytes: usize) -> Result<usize, EventTooLarge> {
        if size_bytes > self.limit_bytes { Err(EventTooLarge) } else { Ok(size_bytes) }
    }
}

/// Where the first event ends, its blank line included. Lines end in LF, CRLF or CR.
fn event_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == b'\n' || byte == b'\r') {
        let line_end = after_line_break(bytes, at + found);
        match bytes.get(line_end) {
            Some(b'\n' | b'\r') => return Some(after_line_break(bytes, line_end)),
            _ => at = line_end,
        }
    }
    None
}

fn after_line_break(bytes: &[u8], at: usize) -> usize {
    if bytes[at..].starts_with(b"\r\n") { at + 2 } else { at + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All events of `stream` when it arrives cut at `cuts`, and what is left.
    fn events(stream: &[u8], cuts: &[usize]) -> (Vec<Bytes>, Option<Event>) {
        let mut framer = Framer::new(1000);
        let mut found = Vec::new();
        let mut begin = 0;
        for end in cuts.iter().copied().chain([stream.len()]) {
            framer.push(Bytes::copy_from_slice(&stream[begin..end]));
            while let Some(Event(bytes)) = framer.next().unwrap() {
                found.push(bytes);
            }
            begin = end;
        }
        (found, framer.rest())
    }

    #[test]
    fn lines_may_end_in_any_way() {
        let (found, rest) = events(b"data: a\n\ndata: b\r\n\r\n: ping\n\nevent: x\rdata: c\r\rdata: d", &[]);
        assert_eq!(found, ["data: a\n\n", "data: b\r\n\r\n", ": ping\n\n", "event: x\rdata: c\r\r"]);
        assert_eq!(rest, Some(Event("data: d\n\n".into())));
    }

    #[test]
    fn data_is_read_as_the_standard_says() {
        // The examples of WHATWG HTML, section 9.2.6: several data lines, a comment, and one optional space.
        let data = |text: &'static str| Event(text.into()).data().map(|data| String::from_utf8(data.to_vec()).unwrap());
        assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n").as_deref(), Some("YHOO\n+2\n10"));
        assert_eq!(data(": test stream\n\n"), None);
        assert_eq!(data("data:  third event\n\n").as_deref(), Some(" third event"));
        assert_eq!(data("data:test\n\n").as_deref(), Some("test"));
        assert!(Event("data: [DONE]\r\n\r\n".into()).is_done() && Event::done().is_done());
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut framer = Framer::new(1000);
        framer.push(Bytes::from(vec![b'x'; 600]));
        assert_eq!(framer.next(), Ok(None));
        framer.push(Bytes::from(vec![b'x'; 600]));
        assert_eq!(framer.next(), Err(EventTooLarge));
    }

    proptest! {
        /// However the bytes are cut on the way, the same events come out and no byte is lost.
        #[test]
        fn cuts_do_not_matter(lines in prop::collection::vec("[a-z:]{0,5}", 0..12), ends in prop::collection::vec(0..2_usize, 12), cut in prop::collection::vec(0..80_usize, 0..6)) {
            let stream: String = lines.iter().zip(ends).flat_map(|(line, end)| [line.as_str(), ["\n", "\r\n"][end]]).collect();
            let mut cuts: Vec<usize> = cut.into_iter().map(|at| at.min(stream.len())).collect();
            cuts.sort_unstable();
            let (whole, whole_rest) = events(stream.as_bytes(), &[]);
            let (cut_up, cut_rest) = events(stream.as_bytes(), &cuts);
            let joined = |events: &[Bytes]| events.concat();
            prop_assert!(stream.as_bytes().starts_with(&joined(&cut_up)));
            // A CRLF cut in two may leave its LF to the next event, so data is compared, not bytes.
            let data = |events: &[Bytes], rest: &Option<Event>| -> Vec<Vec<u8>> {
                events.iter().map(|bytes| Event(bytes.clone())).chain(rest.clone()).filter_map(|event| event.data().map(|data| data.to_vec())).collect()
            };
            prop_assert_eq!(data(&whole, &whole_rest), data(&cut_up, &cut_rest));
        }
    }
}
