//! From a name to addresses that may be connected to.
//!
//! The connector asks this resolver and connects to nothing but its answer, so the address that was vetted is
//! the address that is used: a name that changes its answer between check and connection (DNS rebinding)
//! gains nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::policy::{Policy, Refusal, is_localhost};

pub(crate) struct VettingResolver {
    policy: Arc<Policy>,
}

impl VettingResolver {
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self { policy }
    }
}

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let found = look_up(name.as_str()).await?;
            let vetted = vet(&policy, name.as_str(), found)?;
            Ok(Box::new(vetted.into_iter()) as Addrs)
        })
    }
}

/// The port of a resolved address is filled in by the connector from the URL.
const NO_PORT: u16 = 0;

async fn look_up(host: &str) -> io::Result<Vec<SocketAddr>> {
    if is_localhost(host) {
        // RFC 6761 has these names answered here, whatever a name server says of them.
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Ok(loopback.map(|address| SocketAddr::new(address, NO_PORT)).into());
    }
    Ok(tokio::net::lookup_host((host, NO_PORT)).await?.collect())
}

/// Keeps the addresses that may be connected to; refuses when none is left.
fn vet(
    policy: &Policy,
    host: &str,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let mut refused: Option<Refusal> = None;
    let mut vetted = Vec::with_capacity(found.len());
    for address in found {
        match policy.check_resolved(host, address.ip()) {
            Ok(()) => vetted.push(address),
            Err(refusal) => refused = Some(refusal),
        }
    }
    match (vetted.is_empty(), refused) {
        (false, _) => Ok(vetted),
        (true, Some(refusal)) => Err(refusal.into()),
        (true, None) => Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), NO_PORT)).collect()
    }

    #[test]
    fn a_mixed_answer_keeps_only_what_is_allowed() {
        let kept =
            vet(&Policy::public(), "rebind.example", addresses(&["127.0.0.1", "93.184.216.34", "fd00::1"])).unwrap();
        assert_eq!(kept, addresses(&["93.184.216.34"]));
    }

    #[test]
    fn an_answer_of_inside_addresses_is_a_refusal() {
        let error = vet(&Policy::public(), "rebind.example", addresses(&["169.254.169.254"])).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Refusal::Address { .. })), "{error}");
    }

    #[tokio::test]
    async fn localhost_is_answered_here() {
        assert_eq!(look_up("db.LOCALHOST").await.unwrap(), addresses(&["127.0.0.1", "::1"]));
    }
}
