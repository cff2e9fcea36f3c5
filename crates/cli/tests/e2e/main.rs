//! The built binary from the outside: started, asked, stopped, killed.
//!
//! Reading order: [`binary`] (how it is run) → [`upstream`] (what it calls) → the tests: [`commands`], [`alerts`],
//! [`stats`], [`start`], [`crash`], [`datasets`], [`hub`], [`keeping`], [`transfer`], [`prompts`], [`judges`], [`annotations`], [`experiments`], [`leaderboards`],
//! [`evaluations`], [`scorers`].

mod alerts;
mod annotations;
mod binary;
mod commands;
mod crash;
mod datasets;
mod evaluations;
mod experiments;
mod hub;
mod judges;
mod keeping;
mod leaderboards;
mod prompts;
mod scorers;
mod start;
mod stats;
mod transfer;
mod upstream;
