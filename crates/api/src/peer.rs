//! Where a request came from, as far as that can be known.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::{HeaderName, ORIGIN};
use http::request::Parts;

use crate::state::Shared;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of the connection; the server notes it with every request.
#[derive(Clone, Copy)]
pub(crate) struct Connected(pub IpAddr);

/// Who is at the other end.
pub(crate) struct Peer {
    /// Its address; of a proxy on this machine, the one that it speaks for. `None` for calls within this process.
    pub address: Option<IpAddr>,
    /// Whether the browser speaks TLS, to a proxy before us: we do not ourselves. Somebody may claim it who does not;
    /// that only keeps their own cookie to themselves.
    pub tls: bool,
}

impl FromRequestParts<Shared> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Self::Rejection> {
        let connected = parts.extensions.get::<Connected>().map(|connected| connected.0);
        Ok(Self { address: address(connected, &parts.headers), tls: is_tls(&parts.headers) })
    }
}

/// Only what is on this machine is believed to be a proxy, and of what it forwards only the last address: those before
/// it were written by whoever it speaks for.
fn address(connected: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    if connected.is_some_and(|address| !address.is_loopback()) {
        return connected;
    }
    let forwarded = headers.get_all(FORWARDED_FOR).iter().next_back().and_then(|value| value.to_str().ok());
    let last = forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
    last.or(connected)
}

fn is_tls(headers: &HeaderMap) -> bool {
    let says = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    says(FORWARDED_PROTO).eq_ignore_ascii_case("https") || says(ORIGIN).starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(connected: &str, forwarded: &[&str], expected: &str) {
        let headers = forwarded.iter().map(|value| (FORWARDED_FOR, value.parse().unwrap())).collect();
        let found = address(Some(connected.parse().unwrap()), &headers);
        assert_eq!(found, Some(expected.parse().unwrap()), "{connected} {forwarded:?}");
    }

    #[test]
    fn a_proxy_on_this_machine_is_believed_its_last_word() {
        check("127.0.0.1", &[], "127.0.0.1");
        check("127.0.0.1", &["198.51.100.1, 192.0.2.7"], "192.0.2.7");
        check("::1", &["198.51.100.1", "2001:db8::7"], "2001:db8::7");
        check("127.0.0.1", &["unknown"], "127.0.0.1");
        check("203.0.113.5", &["192.0.2.7"], "203.0.113.5");
    }

    #[test]
    fn tls_is_seen_at_the_proxy_or_at_the_page() {
        let tls = |name: HeaderName, value: &str| is_tls(&HeaderMap::from_iter([(name, value.parse().unwrap())]));
        assert!(tls(FORWARDED_PROTO, "https") && tls(ORIGIN, "https://llm.example.org"));
        assert!(!tls(FORWARDED_PROTO, "http") && !tls(ORIGIN, "http://localhost:4100") && !is_tls(&HeaderMap::new()));
    }
}
