//! What the process says about itself, on standard error; `QUARTERDECK_LOG` chooses how much.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging: a server tells what it does, a command only what goes wrong.
pub fn start(is_server: bool) {
    let usual = if is_server { "info,sqlx=warn,datafusion=error" } else { "error" };
    let filter = EnvFilter::try_from_env("QUARTERDECK_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
