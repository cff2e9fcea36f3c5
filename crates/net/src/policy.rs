//! Which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::Deserialize;
use url::{Host, Url};

use crate::Error;

/// What the operator lets the server reach beyond the public internet.
///
/// Public addresses may be reached over https. Everything else (private, loopback, link-local and other
/// special-purpose networks, and plain http) only when an entry allows it:
///
/// - a network or address (`10.0.0.0/8`, `127.0.0.1`, `fd00::/8`) allows exactly those addresses;
/// - a host name (`ollama.internal`) allows whatever private or loopback address it resolves to, but never a
///   link-local one: those need their network;
/// - an address where a cloud answers with its credentials is allowed by an entry of just that address, and by no
///   name and no wider network: nobody who writes `fd00::/8` thinks of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Policy {
    networks: Vec<IpNet>,
    hosts: Vec<String>,
}

/// Why a request was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Only http and https are spoken.
    #[error("the scheme {0:?} is not http or https")]
    Scheme(String),
    /// A URL that names no host.
    #[error("the URL names no host")]
    NoHost,
    /// `https://user:password@host` would end in logs.
    #[error("the URL carries a user name or password; send a header instead")]
    Credentials,
    /// Plain http to a host that the operator did not allow.
    #[error("plain http to {0} is not allowed by the network policy")]
    PlainHttp(String),
    /// An address outside the public internet that the operator did not allow.
    #[error("{address} is {reach} and not allowed by the network policy")]
    Address {
        /// The address, as it would have been connected to.
        address: IpAddr,
        /// Where it leads.
        reach: Reach,
    },
}

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anyone on the internet.
    Public,
    /// This machine.
    Loopback,
    /// The operator's own network.
    Private,
    /// Neighbours on the link.
    LinkLocal,
    /// The metadata service of a cloud, which gives its credentials to whoever asks.
    Metadata,
    /// Multicast, unspecified, reserved, transition and test ranges: nothing to fetch from.
    Special,
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reach::Public => "a public address",
            Reach::Loopback => "a loopback address",
            Reach::Private => "a private address",
            Reach::LinkLocal => "a link-local address",
            Reach::Metadata => "a cloud's metadata address",
            Reach::Special => "a special-purpose address",
        })
    }
}

impl Policy {
    /// The public internet over https, and nothing else.
    pub fn public() -> Self {
        Self::default()
    }

    /// The same, and `entry` too: a network, an address or a host name.
    ///
    /// # Errors
    /// [`Error::PolicyEntry`] when `entry` is none of these.
    pub fn allow(mut self, entry: &str) -> Result<Self, Error> {
        if let Ok(network) = entry.parse::<IpNet>() {
            self.networks.push(network.trunc());
        } else if let Ok(Host::Domain(name)) = Host::parse(entry) {
            self.hosts.push(name.to_ascii_lowercase());
        } else {
            self.networks.push(parse_address(entry)?.into());
        }
        Ok(self)
    }

    /// Refuses a URL that can be judged before its name is resolved.
    pub(crate) fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            other => return Err(Refusal::Scheme(other.into())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        match url.host().ok_or(Refusal::NoHost)? {
            Host::Domain(name) if plain && !self.knows_host(name) => Err(Refusal::PlainHttp(name.into())),
            Host::Domain(_) => Ok(()),
            Host::Ipv4(address) => self.check_literal(address.into(), plain),
            Host::Ipv6(address) => self.check_literal(address.into(), plain),
        }
    }

    /// Refuses an address that `host` resolved to.
    pub(crate) fn check_resolved(&self, host: &str, address: IpAddr) -> Result<(), Refusal> {
        let reach = reach(address);
        let named = self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
        match reach {
            Reach::Public => Ok(()),
            Reach::Loopback | Reach::Private if named => Ok(()),
            _ if self.allows(address, reach) => Ok(()),
            _ => Err(Refusal::Address { address, reach }),
        }
    }

    fn check_literal(&self, address: IpAddr, plain: bool) -> Result<(), Refusal> {
        let reach = reach(address);
        match reach {
            _ if self.allows(address, reach) => Ok(()),
            Reach::Public if plain => Err(Refusal::PlainHttp(address.to_string())),
            Reach::Public => Ok(()),
            _ => Err(Refusal::Address { address, reach }),
        }
    }

    /// Whether plain http may be tried; the addresses behind the name are vetted all the same.
    fn knows_host(&self, name: &str) -> bool {
        let loopback = || {
            [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into_iter().any(|address| self.contains(address))
        };
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name)) || (is_localhost(name) && loopback())
    }

    /// Whether the operator allowed the address: it or a network around it, but where credentials are given out only it.
    fn allows(&self, address: IpAddr, reach: Reach) -> bool {
        match reach {
            Reach::Metadata => {
                let address = embedded_v4(address).map_or(address, IpAddr::V4);
                self.networks.contains(&IpNet::from(address))
            }
            _ => self.contains(address),
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        let inside = embedded_v4(address).map(IpAddr::V4);
        self.networks.iter().any(|network| network.contains(&address) || inside.is_some_and(|v4| network.contains(&v4)))
    }
}

impl TryFrom<Vec<String>> for Policy {
    type Error = Error;

    fn try_from(entries: Vec<String>) -> Result<Self, Error> {
        entries.iter().try_fold(Self::public(), |policy, entry| policy.allow(entry))
    }
}

/// `localhost` and names under it are this machine (RFC 6761, section 6.3).
pub(crate) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

fn parse_address(entry: &str) -> Result<IpAddr, Error> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    bare.parse().map_err(|_| Error::PolicyEntry { entry: entry.into() })
}

/// Where `address` leads, by IANA's special-purpose address registries (RFC 6890 and its updates).
///
/// The documentation networks (RFC 5737) count as public: nobody routes them on the internet, so there is no
/// neighbour to protect, and networks that intercept their outbound traffic answer names with them.
pub fn reach(address: IpAddr) -> Reach {
    match (address, embedded_v4(address)) {
        (IpAddr::V4(v4), _) | (_, Some(v4)) => reach_v4(v4),
        (IpAddr::V6(v6), None) => reach_v6(v6),
    }
}

/// Where clouds answer with credentials, by their own manuals.
const METADATA_V4: &[Ipv4Addr] = &[
    // Amazon, Google, Azure, Oracle, DigitalOcean, IBM, Hetzner, OpenStack.
    Ipv4Addr::new(169, 254, 169, 254),
    // Amazon: credentials of tasks (ECS) and pods (EKS).
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    // Azure: the host's agent ("WireServer"), from which a machine's certificates come. Globally routable by its number.
    Ipv4Addr::new(168, 63, 129, 16),
    // Alibaba, in the shared address space.
    Ipv4Addr::new(100, 100, 100, 200),
    // Oracle's classic cloud, among the protocol assignments.
    Ipv4Addr::new(192, 0, 0, 192),
    // Tencent and Scaleway.
    Ipv4Addr::new(169, 254, 0, 23),
    Ipv4Addr::new(169, 254, 42, 42),
];

/// The same over IPv6; most are unique local addresses, so a network like `fd00::/8` has them.
const METADATA_V6: &[Ipv6Addr] = &[
    // Amazon, and its credentials of pods.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    // Google.
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    // OpenStack.
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    // Oracle.
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    // Scaleway.
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

fn reach_v4(address: Ipv4Addr) -> Reach {
    if METADATA_V4.contains(&address) {
        return Reach::Metadata;
    }
    match address.octets() {
        [127, ..] => Reach::Loopback,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => Reach::Private,
        // Shared address space behind carrier-grade NAT (RFC 6598).
        [100, 64..=127, ..] => Reach::Private,
        [169, 254, ..] => Reach::LinkLocal,
        // "This network", protocol assignments, 6to4 relays, benchmarking.
        [0, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => Reach::Special,
        // Multicast, reserved and broadcast.
        [224..=255, ..] => Reach::Special,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if METADATA_V6.contains(&address) {
        return Reach::Metadata;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        [0xfc00..=0xfdff, ..] => Reach::Private,
        [0xfe80..=0xfebf, ..] => Reach::LinkLocal,
        // Protocol assignments with Teredo (2001::/23) and 6to4 (2002::/16) tunnel to addresses of another family.
        [0x2001, 0..=0x1ff, ..] | [0x2002, ..] => Reach::Special,
        // Only this block is global unicast (RFC 4291, section 2.4 and IANA's allocation).
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Special,
    }
}

/// The IPv4 address that an IPv6 one stands for: IPv4-mapped `::ffff:0:0/96`, or NAT64 `64:ff9b::/96`.
fn embedded_v4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let [.., a, b] = v6.segments();
    let nat64 = || Ipv4Addr::from((u32::from(a) << 16) | u32::from(b));
    match v6.segments() {
        // RFC 6052, section 2.1: the well-known prefix.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(nat64()),
        _ => v6.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(entries: &[&str]) -> Policy {
        Policy::try_from(entries.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    fn check(entries: &[&str], passed: &[&str], refused: &[&str]) {
        let policy = policy(entries);
        for url in passed {
            assert_eq!(policy.check_url(&Url::parse(url).unwrap()), Ok(()), "{url} with {entries:?}");
        }
        for url in refused {
            assert!(policy.check_url(&Url::parse(url).unwrap()).is_err(), "{url} should be refused with {entries:?}");
        }
    }

    #[test]
    fn the_public_internet_is_reached_over_https_only() {
        let passed = [
            "https://example.org/",
            "https://1.1.1.1/",
            "https://[2606:4700:4700::1111]/",
            "https://[64:ff9b::8.8.8.8]/",
        ];
        let refused = [
            "http://example.org/",
            "http://1.1.1.1/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https://u:p@example.org/",
        ];
        check(&[], &passed, &refused);
    }

    #[test]
    fn every_spelling_of_an_inside_address_is_refused() {
        // What the URL standard's host parser makes of octal, hexadecimal, decimal and short forms is checked too.
        let refused = [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://2130706433/",
            "https://0/",
            "https://0.0.0.0/",
            "https://10.0.0.1/",
            "https://172.31.255.255/",
            "https://192.168.1.1/",
            "https://100.64.0.1/",
            "https://100.100.100.200/",
            "https://169.254.169.254/",
            "https://0xa9fea9fe/",
            "https://198.18.0.1/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[::]/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::10.0.0.1]/",
            "https://[64:ff9b:1::1]/",
            "https://[fd00:ec2::254]/",
            "https://[fd20:ce::254]/",
            "https://168.63.129.16/",
            "https://[::ffff:168.63.129.16]/",
            "https://[fe80::1]/",
            "https://[2002:7f00:1::]/",
            "https://[2001:0:7f00:1::]/",
            "https://[ff02::1]/",
        ];
        check(&[], &[], &refused);
    }

    #[test]
    fn networks_allow_exactly_themselves() {
        let passed = [
            "http://10.1.2.3/",
            "https://10.1.0.1/",
            "http://[::ffff:10.1.0.1]/",
            "http://127.0.0.1:8000/",
            "http://localhost:8000/",
        ];
        check(
            &["10.1.0.0/16", "127.0.0.1"],
            &passed,
            &["http://10.2.0.1/", "https://192.168.0.1/", "http://169.254.169.254/"],
        );
        check(&["10.1.0.0/16"], &[], &["http://localhost/", "http://127.0.0.1/"]);
        check(&["169.254.169.254"], &["http://169.254.169.254/latest"], &["http://169.254.170.2/"]);
    }

    #[test]
    fn a_name_allows_private_addresses_but_not_metadata() {
        let policy = policy(&["ollama.internal"]);
        assert_eq!(policy.check_url(&Url::parse("http://OLLAMA.internal:11434/").unwrap()), Ok(()));
        for (host, address, allowed) in [
            ("ollama.internal", "10.0.0.1", true),
            ("ollama.internal", "::1", true),
            ("ollama.internal", "93.184.216.34", true),
            ("ollama.internal", "169.254.169.254", false),
            ("ollama.internal", "0.0.0.0", false),
            ("ollama.internal", "fd00::1", true),
            ("ollama.internal", "fd00:ec2::254", false),
            ("ollama.internal", "fd20:ce::254", false),
            ("ollama.internal", "100.100.100.1", true),
            ("ollama.internal", "100.100.100.200", false),
            ("ollama.internal", "::ffff:100.100.100.200", false),
            ("ollama.internal", "168.63.129.16", false),
            ("evil.example", "10.0.0.1", false),
            ("evil.example", "::ffff:127.0.0.1", false),
            ("evil.example", "93.184.216.34", true),
        ] {
            assert_eq!(policy.check_resolved(host, address.parse().unwrap()).is_ok(), allowed, "{host} at {address}");
        }
    }

    #[test]
    fn metadata_is_allowed_by_its_own_address_only() {
        let urls = METADATA_V4
            .iter()
            .map(|v4| format!("http://{v4}/"))
            .chain(METADATA_V6.iter().map(|v6| format!("http://[{v6}]/")));
        let urls: Vec<String> = urls.collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        check(
            &["0.0.0.0/0", "::/0", "169.254.0.0/16", "fd00::/8", "100.64.0.0/10"],
            &["http://[fd00::1]/", "http://169.254.1.1/"],
            &urls,
        );
        let own = METADATA_V4.iter().map(ToString::to_string).chain(METADATA_V6.iter().map(ToString::to_string));
        let own: Vec<String> = own.collect();
        check(
            &own.iter().map(String::as_str).collect::<Vec<_>>(),
            &urls,
            &["http://169.254.1.1/", "http://[fd00::1]/"],
        );
        check(&["100.100.100.200"], &["http://[::ffff:100.100.100.200]/", "http://[64:ff9b::100.100.100.200]/"], &[]);
    }

    #[test]
    fn localhost_is_known_where_loopback_is() {
        let url = "http://localhost:8000/";
        for entry in ["127.0.0.1", "127.0.0.0/8", "0.0.0.0/0", "::1", "::/0", "localhost"] {
            check(&[entry], &[url], &[]);
        }
        for entry in ["127.0.0.2", "10.0.0.0/8", "128.0.0.0/1", "fd00::/8"] {
            check(&[entry], &[], &[url]);
        }
    }

    #[test]
    fn entries_are_parsed_not_guessed() {
        assert!(Policy::public().allow("[::1]").is_ok());
        for entry in ["", "10.0.0.0/33", "a b", "http://x/"] {
            assert!(Policy::public().allow(entry).is_err(), "{entry:?} should be refused");
        }
    }

    proptest::proptest! {
        /// Whatever is embedded in an IPv4-mapped or NAT64 address is judged as the IPv4 address is.
        #[test]
        fn embedding_does_not_change_the_verdict(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let [a, b] = [(bits >> 16) as u16, bits as u16];
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b);
            proptest::prop_assert_eq!(reach(v4.into()), reach(v4.to_ipv6_mapped().into()));
            proptest::prop_assert_eq!(reach(v4.into()), reach(nat64.into()));
        }
    }
}
