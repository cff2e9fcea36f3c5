//! How is something fetched from the outside without being led inside?
//!
//! Every outbound call of the server goes through one [`Client`]. A [`Policy`] says which addresses may be
//! connected to: the public internet over https, and beyond that what the operator allowed by name or by
//! network. A name is resolved once, its addresses are vetted, and the connection goes to exactly those; a
//! redirect is followed by hand and vetted again; a [`Request`] has a time-out for each of its phases and a
//! limit on what may come back.
//!
//! ```
//! # async fn example() -> Result<(), qd_net::Error> {
//! use qd_net::{Client, ClientOptions, Policy, Request, Url};
//!
//! let policy = Policy::public().allow("10.1.0.0/16")?.allow("ollama.internal")?;
//! let client = Client::new(policy, ClientOptions::default())?;
//! let url = Url::parse("http://10.1.2.3:8000/v1/models").expect("a literal");
//! let models = client.request(Request::get(url)).await?.success().await?.bytes(1 << 20).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`policy`] → `resolve` → [`request`] → [`retry`] → `redirect` → [`client`] → [`response`].
//!
//! What is deliberately absent: proxies from the environment (a proxy would resolve names itself, past the
//! policy), cookies, and any other way to open a connection to the outside.

pub mod client;
pub mod policy;
pub mod request;
pub mod response;
pub mod retry;

mod error;
mod redirect;
mod resolve;

pub use client::{Client, ClientOptions};
pub use error::{Error, Phase};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use policy::{Policy, Refusal};
pub use request::{Request, Timeouts};
pub use response::{Body, Response};
pub use retry::RetryPolicy;
pub use url::Url;
