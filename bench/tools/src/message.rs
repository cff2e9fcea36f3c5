//! Just enough of HTTP/1.1 (RFC 9112) to know where a message ends.

/// How a message's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `content-length`; also a message without a body.
    Length(usize),
    /// `transfer-encoding: chunked`.
    Chunked,
}

/// The start line and headers of a message.
#[derive(Debug)]
pub(crate) struct Head {
    /// Where the body begins.
    pub body_at: usize,
    pub framing: Framing,
}

/// Reads the head of the message at the beginning of `bytes`; `None` until all of it is there.
pub(crate) fn head(bytes: &[u8]) -> Option<Head> {
    let body_at = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let mut framing = Framing::Length(0);
    for line in bytes[..body_at].split(|&byte| byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            framing = Framing::Length(std::str::from_utf8(value).ok()?.parse().ok()?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
            framing = Framing::Chunked;
        }
    }
    Some(Head { body_at, framing })
}

/// The status of a response.
pub(crate) fn status(bytes: &[u8]) -> Option<u16> {
    std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()
}

/// Where the message whose body begins at `body_at` ends; `None` until all of it is there.
pub(crate) fn end(bytes: &[u8], head: &Head) -> Option<usize> {
    match head.framing {
        Framing::Length(length) => (bytes.len() >= head.body_at + length).then_some(head.body_at + length),
        Framing::Chunked => chunked_end(bytes, head.body_at),
    }
}

fn chunked_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line_length = bytes.get(at..)?.windows(2).position(|window| window == b"\r\n")?;
        let size = chunk_size(&bytes[at..at + line_length])?;
        at += line_length + 2 + size + 2;
        if at > bytes.len() {
            return None;
        }
        // The last chunk is empty; no server measured here sends trailers.
        if size == 0 {
            return Some(at);
        }
    }
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the first of two messages ends, and that no shorter piece of it is taken for the whole.
    fn check(message: &str) {
        let two = format!("{message}{message}");
        let end_of = |bytes: &[u8]| head(bytes).and_then(|head| end(bytes, &head));
        assert_eq!(end_of(two.as_bytes()), Some(message.len()));
        for cut in 0..message.len() {
            assert_eq!(end_of(&message.as_bytes()[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn messages_end_where_they_say() {
        check("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        // The example of RFC 9112, section 7.1.
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n4\r\nWiki\r\n7;x=y\r\npedia i\r\n0\r\n\r\n");
        assert_eq!(status(b"HTTP/1.1 503 Busy\r\n\r\n"), Some(503));
    }
}
