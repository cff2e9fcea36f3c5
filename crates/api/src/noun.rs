//! Our own surface under `/api/v1`, one file a noun, and the probes beside it.
//!
//! A list is `{"data": […], "next_cursor": …}`; the cursor of a page asks for the next one and is null on the last.

pub mod account;
pub mod alert;
pub mod annotation;
pub mod audit;
pub mod budget;
pub mod dataset;
pub mod evaluation;
pub mod experiment;
pub mod health;
pub mod job;
pub mod judge;
pub mod key;
pub mod label;
pub mod lake;
pub mod langfuse;
pub mod leaderboard;
pub mod metrics;
pub mod model;
pub mod model_route;
pub mod overview;
pub mod price;
pub mod project;
pub mod prompt;
pub mod provider;
pub mod retention;
pub mod score;
pub mod scorer;
pub mod session;
pub mod sign_in;
pub mod sql;
pub mod stats;
pub mod status;
pub mod task;
pub mod telemetry;
pub mod trace;
pub mod user;
pub mod view;
