//! The built binary from the outside: started, asked, stopped, killed.
//!
//! Reading order: [`binary`] (how it is run) → [`upstream`] (what it calls) → the tests: [`commands`], [`alerts`],
//! [`stats`], [`start`], [`crash`], [`datasets`], [`keeping`], [`transfer`], [`prompts`], [`experiments`], [`leaderboards`].

mod alerts;
mod binary;
mod commands;
mod crash;
mod datasets;
mod experiments;
mod keeping;
mod leaderboards;
mod prompts;
mod start;
mod stats;
mod transfer;
mod upstream;
