//! Which names this server answers to: the defence against DNS rebinding.
//!
//! A page on the web can point its own DNS name at 127.0.0.1 and then read what a local server answers, as if it were its
//! own. The browser still sends that name as `Host`, so a server that answers only to its own names is safe.

use std::net::IpAddr;

use axum::extract::Request;
use http::header::HOST;

use crate::config::ApiConfig;
use crate::error::{Error, Result};

/// Refuses a request whose `Host` names somebody else.
///
/// A request without one passes: every browser sends it, and calls within this process have none.
pub(crate) fn check(config: &ApiConfig, request: &Request) -> Result<()> {
    let header = request.headers().get(HOST).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    // HTTP/2 sends the host as the authority of its target.
    let authority = request.uri().authority().map(|authority| authority.as_str());
    match header.or(authority) {
        Some(host) if !answers_to(config, host) => Err(Error::Host { host: host.to_owned() }),
        _ => Ok(()),
    }
}

fn answers_to(config: &ApiConfig, host: &str) -> bool {
    let name = without_port(host);
    match name.parse::<IpAddr>() {
        Ok(address) => answers_to_address(config, address) || is_configured(config, name),
        Err(_) => is_loopback_name(name) || is_configured(config, name),
    }
}

/// An address in `Host` was typed by somebody; it cannot be rebound. Still only our own are answered, which for a server
/// bound to every address is any.
fn answers_to_address(config: &ApiConfig, address: IpAddr) -> bool {
    address.is_loopback() || config.bound.is_some_and(|bound| bound == address || bound.is_unspecified())
}

/// RFC 6761, section 6.3: `localhost` and everything below it is the loopback address.
fn is_loopback_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

fn is_configured(config: &ApiConfig, name: &str) -> bool {
    config.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
}

/// The host without its port, and an IPv6 address without its brackets.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bound: &str, host: &str, expected: bool) {
        let config = ApiConfig {
            bound: Some(bound.parse().unwrap()),
            hosts: vec!["llm.example.org".into()],
            ..ApiConfig::default()
        };
        assert_eq!(answers_to(&config, host), expected, "{host} at {bound}");
    }

    #[test]
    fn loopback_names_and_addresses() {
        for host in [
            "localhost",
            "localhost:4100",
            "LOCALHOST.",
            "a.localhost:1",
            "127.0.0.1:4100",
            "127.9.9.9",
            "[::1]:4100",
            "[::1]",
        ] {
            check("127.0.0.1", host, true);
        }
    }

    #[test]
    fn somebody_elses_name() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "\u{fffd}",
            "localhost:4100:x",
        ] {
            check("127.0.0.1", host, false);
        }
    }

    #[test]
    fn bound_and_configured_names() {
        check("10.0.0.5", "10.0.0.5:4100", true);
        check("10.0.0.5", "10.0.0.6:4100", false);
        check("0.0.0.0", "10.0.0.6:4100", true);
        check("0.0.0.0", "evil.example", false);
        check("127.0.0.1", "LLM.example.org:443", true);
    }
}
