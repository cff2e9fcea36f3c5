//! The HTTP surface through `app()`: one file a noun, a temporary data directory, and a stub of an upstream.

mod accounts;
mod chat;
mod completions;
mod console;
mod edges;
mod embeddings;
mod house;
mod jobs;
mod keys;
mod lake;
mod local;
mod models;
mod openapi;
mod overview;
mod prices;
mod projects;
mod providers;
mod routes;
mod scores;
mod server;
mod sign_in;
mod sql;
mod status;
mod stub;
mod traces;
mod views;
