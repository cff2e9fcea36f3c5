//! Who calls, and in which trace: what the caller's edge knows about a call besides its body.

use std::fmt;
use std::str::FromStr;

use qd_base::id::{KeyId, ProjectId, RequestId, SpanId, TraceId};

/// Everything about a call that is not in its body.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The project whose providers may be used and in whose traces the call appears.
    pub project: ProjectId,
    /// The API key that authenticated the call; `None` for calls made inside the process.
    pub key: Option<KeyId>,
    /// Identifies this HTTP request in logs and in the trace row's attributes.
    pub request: RequestId,
    /// The caller's position in its own trace, from its `traceparent` header.
    pub parent: Option<TraceContext>,
    /// Groups calls of one conversation.
    pub session: Option<String>,
    /// The end user; when absent the body's `user` field is taken.
    pub user: Option<String>,
    /// Free labels of the caller.
    pub tags: Vec<String>,
    /// For instance `production` or `staging`.
    pub environment: Option<String>,
    /// The caller's own version.
    pub release: Option<String>,
}

impl CallContext {
    /// A call of `project` about which nothing else is known.
    pub fn of(project: ProjectId) -> Self {
        Self {
            project,
            key: None,
            request: RequestId::new(),
            parent: None,
            session: None,
            user: None,
            tags: Vec::new(),
            environment: None,
            release: None,
        }
    }
}

/// A `traceparent` header: W3C Trace Context, section 3.2.
///
/// ```
/// use qd_gateway::TraceContext;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context: TraceContext = text.parse().unwrap();
/// assert!(context.sampled);
/// assert_eq!(context.to_string(), text);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace that the call belongs to.
    pub trace: TraceId,
    /// The caller's span, which becomes the parent of ours.
    pub span: SpanId,
    /// The caller's sampling decision, passed on as it came.
    pub sampled: bool,
}

/// A `traceparent` header that does not follow W3C Trace Context; such a header is to be ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent header")]
pub struct NotTraceparent;

impl FromStr for TraceContext {
    type Err = NotTraceparent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut fields = text.split('-');
        let mut field = |width: usize| fields.next().filter(|field| is_lower_hex(field, width)).ok_or(NotTraceparent);
        let (version, trace, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        // Section 3.2.4: ff is invalid, and a version above 00 may append fields that we do not know.
        let ends_here = fields.next().is_none();
        if version == "ff" || (version == "00" && !ends_here) || all_zero(trace) || all_zero(span) {
            return Err(NotTraceparent);
        }
        let flags = u8::from_str_radix(flags, 16).map_err(|_| NotTraceparent)?;
        Ok(Self {
            trace: trace.parse().map_err(|_| NotTraceparent)?,
            span: span.parse().map_err(|_| NotTraceparent)?,
            sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

fn is_lower_hex(text: &str, width: usize) -> bool {
    text.len() == width && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn all_zero(hex: &str) -> bool {
    hex.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, valid: bool) {
        assert_eq!(header.parse::<TraceContext>().is_ok(), valid, "{header}");
    }

    #[test]
    fn headers_of_the_specification() {
        // The examples of W3C Trace Context, sections 3.2.3 and 3.2.4.
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true);
        check("cc-12345678901234567890123456789012-1234567890123456-01-what-the-future", true);
        check("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra", false);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false);
        check("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false);
        check("", false);
    }
}
