//! The caller's place in its own trace: the `traceparent` header of W3C Trace Context.

use std::fmt;
use std::str::FromStr;

use qd_base::{SpanId, TraceId};

use crate::Error;

/// A `traceparent` header (W3C Trace Context, 23 November 2021, section 3.2).
///
/// ```
/// use qd_trace::TraceContext;
/// let caller: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
/// let ours = caller.child();
/// assert_eq!(ours.trace_id, caller.trace_id);
/// assert!(ours.to_string().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace that all spans of one request share.
    pub trace_id: TraceId,
    /// The span that the bearer of this header is in: the parent of what the receiver does.
    pub span_id: SpanId,
    /// The trace flags as they came; only [`TraceContext::SAMPLED`] has a meaning in version 00.
    pub flags: u8,
}

impl TraceContext {
    /// The flag that says that the caller records this trace.
    pub const SAMPLED: u8 = 0b0000_0001;
    /// Bytes of a version 00 header.
    const LENGTH: usize = 55;

    /// Begins a trace.
    pub fn root() -> Self {
        Self { trace_id: TraceId::random(), span_id: SpanId::random(), flags: Self::SAMPLED }
    }

    /// A new span in the same trace: what to pass on to whom we call.
    pub fn child(&self) -> Self {
        Self { span_id: SpanId::random(), ..*self }
    }

    /// Whether the caller records this trace.
    pub fn sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }
}

impl fmt::Display for TraceContext {
    /// Writes version 00, whatever the version read: "a vendor MUST set the version to its own" (section 3.2.4). Of the
    /// flags it writes only `sampled`, since section 3.2.2.5.2 says to set all others to zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags & Self::SAMPLED)
    }
}

impl FromStr for TraceContext {
    type Err = Error;

    /// # Errors
    /// [`Error::Traceparent`]; the specification says to ignore such a header and begin a trace.
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or(Error::Traceparent)
    }
}

fn parse(text: &str) -> Option<TraceContext> {
    let version = hex_byte(text.get(..2)?)?;
    if version == 0xff || !ends_as_its_version_may(text, version) {
        return None;
    }
    let (head, _) = text.split_at_checked(TraceContext::LENGTH)?;
    let mut fields = head[3..].split('-');
    let (trace_id, span_id, flags) = (fields.next()?, fields.next()?, fields.next()?);
    let dashes = head.as_bytes()[2] == b'-' && fields.next().is_none();
    dashes.then_some(())?;
    Some(TraceContext { trace_id: trace_id.parse().ok()?, span_id: span_id.parse().ok()?, flags: hex_byte(flags)? })
}

/// Version 00 has exactly 55 bytes; a later one may go on after a dash (section 3.2.4).
fn ends_as_its_version_may(text: &str, version: u8) -> bool {
    match text.as_bytes().get(TraceContext::LENGTH) {
        None => true,
        Some(&next) => version > 0 && next == b'-',
    }
}

/// Exactly two lower-case hexadecimal digits (`2HEXDIGLC` in the grammar).
fn hex_byte(text: &str) -> Option<u8> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() != 2 || !text.bytes().all(lower) {
        return None;
    }
    u8::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn check(header: &str, valid: bool) {
        assert_eq!(header.parse::<TraceContext>().is_ok(), valid, "{header:?}");
    }

    /// The headers of the specification's own examples and of its conformance suite (`test_traceparent_*`).
    #[test]
    fn headers_of_the_specification() {
        check(&format!("00-{TRACE}-{SPAN}-01"), true);
        check(&format!("00-{TRACE}-{SPAN}-00"), true);
        check(&format!("00-{TRACE}-{SPAN}-ff"), true);
        check(&format!("01-{TRACE}-{SPAN}-01"), true);
        check(&format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"), true);
        check(&format!("cc-{TRACE}-{SPAN}-01-"), true);
        check(&format!("cc-{TRACE}-{SPAN}-01.what-the-future-will-not-be-like"), false);
        check(&format!("00-{TRACE}-{SPAN}-01-"), false);
        check(&format!("00-{TRACE}-{SPAN}-01-what-the-future"), false);
        check(&format!("ff-{TRACE}-{SPAN}-01"), false);
        check(&format!(".0-{TRACE}-{SPAN}-01"), false);
        check(&format!("0-{TRACE}-{SPAN}-01"), false);
        check(&format!("00-{}-{SPAN}-01", "0".repeat(32)), false);
        check(&format!("00-{TRACE}-{}-01", "0".repeat(16)), false);
        check(&format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false);
        check(&format!("00-.{}-{SPAN}-01", &TRACE[1..]), false);
        check(&format!("00-{}-{SPAN}-01", &TRACE[1..]), false);
        check(&format!("00-{TRACE}-{}-01", &SPAN[1..]), false);
        check(&format!("00-{TRACE}-{SPAN}-.0"), false);
        check(&format!("00-{TRACE}-{SPAN}-1"), false);
        check(&format!("00-{TRACE}-{SPAN}-+1"), false);
        check(&format!("00-{TRACE}-{SPAN}"), false);
        check(&format!(" 00-{TRACE}-{SPAN}-01"), false);
        check(&format!("00_{TRACE}_{SPAN}_01"), false);
        check("", false);
    }

    #[test]
    fn a_later_version_is_passed_on_as_ours_with_known_flags_only() {
        let context: TraceContext = format!("cc-{TRACE}-{SPAN}-0b-x").parse().unwrap();
        assert_eq!((context.flags, context.sampled()), (0x0b, true));
        assert_eq!(context.to_string(), format!("00-{TRACE}-{SPAN}-01"));
    }

    #[test]
    fn a_child_keeps_the_trace_and_has_a_span_of_its_own() {
        let caller = TraceContext::root();
        let child = caller.child();
        assert_eq!((child.trace_id, child.flags), (caller.trace_id, caller.flags));
        assert_ne!(child.span_id, caller.span_id);
    }

    proptest! {
        #[test]
        fn every_context_survives_its_header(trace: [u8; 16], span: [u8; 8], sampled: bool) {
            let (Some(trace_id), Some(span_id)) = (TraceId::from_bytes(trace), SpanId::from_bytes(span)) else { return Ok(()) };
            let context = TraceContext { trace_id, span_id, flags: u8::from(sampled) };
            prop_assert_eq!(context.to_string().parse::<TraceContext>().unwrap(), context);
        }

        /// The grammar of section 3.2.2 as a regular expression decides the same as the parser.
        #[test]
        fn the_parser_is_the_grammar(header in "(0[0-2]|ff|[0-9a-fA-F.]{2})[-_]?([0-9a-f]{32}|0{32}|[0-9A-F]{32})-?([0-9a-f]{16}|0{16}|é{16})-([0-9a-f]{2}|[0-9a-g.]{1,3})(-[a-z]*|x)?") {
            let fields: Vec<&str> = header.splitn(5, '-').collect();
            let lower = |text: &str, width: usize| text.len() == width && text.chars().all(|c| "0123456789abcdef".contains(c));
            let valid = match fields[..] {
                [version, trace, span, flags, ref rest @ ..] => {
                    lower(version, 2) && version != "ff" && lower(trace, 32) && lower(span, 16) && lower(flags, 2)
                        && trace != "0".repeat(32) && span != "0".repeat(16) && (rest.is_empty() || version != "00")
                }
                _ => false,
            };
            prop_assert_eq!(header.parse::<TraceContext>().is_ok(), valid, "{}", header);
        }
    }
}
