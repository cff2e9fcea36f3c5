//! What the operator decides about the HTTP surface: which hosts it answers to, and a limit on everything.

use std::net::IpAddr;
use std::time::Duration;

use qd_base::secret::Secret;

/// Settings of the HTTP surface.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// The address that the server is bound to. A `Host` header may name it; `None` when the router runs without a socket.
    pub bound: Option<IpAddr>,
    /// Further names that a `Host` header may carry, without ports, for servers behind a proxy or a DNS name.
    pub hosts: Vec<String>,
    /// The token that makes a request of this machine's own user an administrator; `None` switches that off.
    pub local_token: Option<Secret>,
    /// How much and how long.
    pub limits: Limits,
}

impl Default for ApiConfig {
    /// Loopback names only, no local token, default limits.
    fn default() -> Self {
        Self { bound: None, hosts: Vec::new(), local_token: None, limits: Limits::default() }
    }
}

/// A bound on everything that a client could make grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body.
    pub body_bytes: usize,
    /// The most that JSON in a body may nest.
    pub json_depth: usize,
    /// The largest request head, names and values together.
    pub header_bytes: usize,
    /// The most header lines in a request head.
    pub header_count: usize,
    /// Requests answered at one time, streams included; more are refused with 503.
    pub in_flight: usize,
    /// Connections open at one time; more wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send a request head: the first one counted from the connection on, so that one which
    /// says nothing is closed, every other from the end of the answer before it.
    pub head_ms: u64,
    /// How long a client may take to send its request body.
    pub body_ms: u64,
    /// How long a call to a model may take until its answer begins.
    pub inference_ms: u64,
    /// How long any other request may take until its answer begins.
    pub request_ms: u64,
    /// The longest silence on an event stream before a comment is sent to keep it open.
    pub keep_alive_ms: u64,
    /// How long requests in flight may take to end once the server has been told to stop.
    pub drain_ms: u64,
    /// The most rows that one SQL answer holds.
    pub sql_rows: usize,
    /// How long one SQL statement may take.
    pub sql_ms: u64,
    /// The most memory that one SQL statement may take.
    pub sql_bytes: usize,
    /// The most spans that one append may bring.
    pub append_spans: usize,
    /// The most bytes of whole payloads that one answer brings; those beyond it stay beginnings.
    pub payload_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Room for a few images in a chat message; OpenAI itself takes 50 MB.
            body_bytes: 32 << 20,
            json_depth: 64,
            header_bytes: 64 << 10,
            header_count: 100,
            in_flight: 4096,
            connections: 8192,
            head_ms: 15_000,
            body_ms: 60_000,
            // The gateway has its own limits on calls; this one only ends what they missed.
            inference_ms: 3_700_000,
            request_ms: 120_000,
            // Proxies commonly cut connections that are silent for 60 seconds; half of nginx's default is safe.
            keep_alive_ms: 15_000,
            drain_ms: 30_000,
            sql_rows: 100_000,
            sql_ms: 60_000,
            sql_bytes: 1 << 30,
            append_spans: 10_000,
            // Two of the largest requests; a single span's payloads are always given whole.
            payload_bytes: 64 << 20,
        }
    }
}

impl Limits {
    pub(crate) fn keep_alive(&self) -> Duration {
        Duration::from_millis(self.keep_alive_ms)
    }
}
