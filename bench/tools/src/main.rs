//! What do the benches need that must cost next to nothing? A stub upstream, a load generator, and exporters of traces.
//!
//! Gateways are measured on the same cores as the stub and the load, so every microsecond spent here flatters a slow
//! gateway and slows a fast one. Both sides therefore speak HTTP/1.1 by hand on one thread each.
//!
//! Reading order: [`arguments`] → [`message`] → [`stub`] → [`connection`] → [`load`] → [`summary`];
//! [`protobuf`] → [`traffic`] → [`export`].

mod arguments;
mod connection;
mod export;
mod load;
mod message;
mod protobuf;
mod stub;
mod summary;
mod traffic;

use std::process::ExitCode;

const USAGE: &str = "\
qd-bench stub [--port 9100] [--delay-ms 20] [--events 20] [--event-gap-ms 0]
    An OpenAI-compatible upstream with a fixed answer after a fixed delay; a stream when the request says so.
qd-bench load --url http://127.0.0.1:PORT/PATH [--connections 64] [--seconds 10] [--warm-up 2] [--rate 0]
              [--header 'name: value']… [--body JSON]
    Closed loop on every connection, or with --rate an open loop in which latency counts from the intended start.
    Prints one JSON object.
qd-bench export --url http://127.0.0.1:PORT/v1/traces [--connections 4] [--requests 100] [--first 0] [--spans 512]
                [--seconds S] [--rate 0] [--seed 1] [--from-ns T --until-ns T] [--acknowledged FILE]
                [--header 'name: value']…
    Sends traces as OTLP over HTTP, made from the seed and each request's number. A closed loop, in which a refused
    request is sent again; or with --rate an open one, in which it is counted and given up. Prints one JSON object.";

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line.
    #[error("{0}\n\n{USAGE}")]
    Arguments(String),
    /// The network.
    #[error("{doing}")]
    Network {
        doing: String,
        #[source]
        cause: std::io::Error,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("qd-bench: {error}");
            if let Some(cause) = std::error::Error::source(&error) {
                eprintln!("  because: {cause}");
            }
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::Network { doing: "starting the event loop".to_owned(), cause })?;
    let tasks = tokio::task::LocalSet::new();
    match words.next().as_deref() {
        Some("stub") => tasks.block_on(&runtime, stub::serve(arguments::stub(words)?)),
        Some("load") => {
            let summary = tasks.block_on(&runtime, load::drive(arguments::load(words)?))?;
            println!("{summary}");
            Ok(())
        }
        Some("export") => {
            println!("{}", tasks.block_on(&runtime, export::drive(arguments::export(words)?))?);
            Ok(())
        }
        _ => Err(Error::Arguments("say stub, load or export".to_owned())),
    }
}
