//! HTTP: OpenAI's surface under `/v1`, our own under `/api/v1`.
//!
//! An [`App`] holds the rooms below; [`app()`] makes the router that can be called with or without a socket, and [`serve`]
//! puts it on one. Every route stands in one table with its permission, its description and its handler, so the router
//! and the OpenAPI document cannot differ, and a route without a permission cannot be written.
//!
//! Reading order: [`config`] → [`app`](mod@app) → [`permission`] → [`route`] and `doc` → `gate` with `host`,
//! `authentication`, `peer` and `attempts` → [`error`] → `extract`, `json`, `reply` and `sse` → `examples` → [`openai`] → [`noun`] →
//! `console` → `grpc` → [`server`].
//!
//! What is deliberately absent: CORS. A page on the web cannot speak to this server; and what a browser sends by itself, its
//! cookie, is never enough to change anything.

pub mod config;

pub mod app;
pub mod permission;

pub mod route;
pub mod routes;

mod attempts;
mod authentication;
mod doc;
mod gate;
mod host;
mod peer;
mod state;

pub mod error;

mod examples;
mod exposition;
mod extract;
mod json;
mod reply;
mod sse;

pub mod noun;
pub mod openai;

mod console;

mod grpc;
pub mod server;

pub use app::{App, app, grpc_app};
pub use config::{ApiConfig, Limits};
pub use error::{Error, Result};
pub use permission::{Caller, Permission};
pub use route::Route;
pub use routes::{openapi, table};
pub use server::{Ended, serve, serve_with_grpc};
