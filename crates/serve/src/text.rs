//! From the bytes of tokens to text that may be shown: whole characters, and nothing of a stop string.

use std::sync::Arc;

/// Turns token pieces into text as they come, holding back what may still become a stop string or the rest
/// of a character.
#[derive(Debug, Clone)]
pub(crate) struct TextStream {
    stops: Arc<[String]>,
    held: Vec<u8>,
    /// Bytes released so far, so that other streams (log-probabilities) can keep step.
    released: usize,
}

/// What a push set free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Released {
    /// Text that may be shown now.
    pub text: String,
    /// A stop string is complete; it and all that follows is not part of the answer.
    pub stopped: bool,
}

impl TextStream {
    pub fn new(stops: Arc<[String]>) -> Self {
        Self { stops, held: Vec::new(), released: 0 }
    }

    /// Bytes of the answer that were released, in the encoding of the pieces.
    pub fn released_bytes(&self) -> usize {
        self.released
    }

    /// Takes the bytes of one more token.
    pub fn push(&mut self, piece: &[u8]) -> Released {
        self.held.extend_from_slice(piece);
        if let Some(start) = self.stop_start() {
            self.held.truncate(start);
            return Released { text: self.release(start), stopped: true };
        }
        let end = self.safe_end();
        Released { text: self.release(end), stopped: false }
    }

    /// What is still held when no more tokens come. The start of a stop string that never ended is text.
    pub fn finish(&mut self) -> String {
        self.release(self.held.len())
    }

    fn release(&mut self, end: usize) -> String {
        self.released += end;
        let rest = self.held.split_off(end);
        let bytes = std::mem::replace(&mut self.held, rest);
        String::from_utf8(bytes).unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned())
    }

    /// Where the first complete stop string starts.
    fn stop_start(&self) -> Option<usize> {
        self.stops.iter().filter_map(|stop| find(&self.held, stop.as_bytes())).min()
    }

    /// Up to where the held bytes are whole characters that cannot belong to a stop string.
    fn safe_end(&self) -> usize {
        let before_stop = (0..self.held.len()).find(|&start| self.may_become_stop(start)).unwrap_or(self.held.len());
        before_stop.min(whole_characters(&self.held))
    }

    fn may_become_stop(&self, start: usize) -> bool {
        let tail = &self.held[start..];
        self.stops.iter().any(|stop| stop.len() > tail.len() && stop.as_bytes().starts_with(tail))
    }
}

/// Where `needle` starts in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

/// The length of the longest prefix that does not end inside a character. Bytes that can never become a
/// character count as whole: they will be shown as U+FFFD.
fn whole_characters(bytes: &[u8]) -> usize {
    let mut start = 0;
    loop {
        match std::str::from_utf8(&bytes[start..]) {
            Ok(_) => return bytes.len(),
            Err(error) => match error.error_len() {
                None => return start + error.valid_up_to(),
                Some(broken) => start += error.valid_up_to() + broken,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pushes the pieces and returns what each push showed, then the rest.
    fn shown(stops: &[&str], pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let stops = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let mut stream = TextStream::new(stops);
        let mut texts = Vec::new();
        for piece in pieces {
            let released = stream.push(piece);
            texts.push(released.text);
            if released.stopped {
                return (texts, true);
            }
        }
        texts.push(stream.finish());
        (texts, false)
    }

    #[test]
    fn a_character_is_shown_when_its_last_byte_is_there() {
        // U+1F600 is F0 9F 98 80 in UTF-8.
        let (texts, _) = shown(&[], &[b"a\xF0\x9F", b"\x98", b"\x80b"]);
        assert_eq!(texts, ["a", "", "\u{1F600}b", ""]);
    }

    #[test]
    fn bytes_that_are_no_text_become_replacement_characters() {
        let (texts, _) = shown(&[], &[b"a\xFFb", b"\xF0\x9F"]);
        assert_eq!(texts.concat(), "a\u{FFFD}b\u{FFFD}");
    }

    #[test]
    fn a_stop_string_across_tokens_is_never_shown() {
        assert_eq!(shown(&["END"], &[b"xE", b"N", b"Dy"]), (vec!["x".into(), String::new(), String::new()], true));
    }

    #[test]
    fn the_start_of_a_stop_string_is_text_when_it_goes_on_otherwise() {
        let (texts, stopped) = shown(&["END"], &[b"xE", b"Nx", b"EN"]);
        assert_eq!((texts, stopped), (vec!["x".into(), "ENx".into(), String::new(), "EN".into()], false));
    }

    #[test]
    fn the_earliest_of_several_stops_wins() {
        assert_eq!(shown(&["bc", "b"], &[b"abc"]), (vec!["a".into()], true));
    }

    proptest! {
        /// However the text is cut, what is shown is the text before the first stop string.
        #[test]
        fn cuts_do_not_matter(text in "[abé]{0,24}", cuts in prop::collection::vec(0usize..24, 0..6), stop in "[abé]{1,3}") {
            let bytes = text.as_bytes();
            let mut edges: Vec<usize> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
            edges.extend([0, bytes.len()]);
            edges.sort_unstable();
            let pieces: Vec<&[u8]> = edges.windows(2).map(|edge| &bytes[edge[0]..edge[1]]).collect();
            let (texts, stopped) = shown(&[&stop], &pieces);
            // With one-byte cuts the first stop to be completed is the leftmost one.
            let expected = text.split(&stop).next().unwrap_or_default();
            prop_assert_eq!(texts.concat(), expected);
            prop_assert_eq!(stopped, text.contains(&stop));
        }
    }
}
