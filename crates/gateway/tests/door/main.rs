//! The gateway through its one door, with upstreams that do exactly what a test tells them.
//!
//! [`upstream`] is an HTTP server with a script; [`house`] is a gateway over real rooms in a folder of its own.

mod accounting;
mod cancelling;
mod failing;
mod house;
mod local;
mod passing;
mod streaming;
mod upstream;
