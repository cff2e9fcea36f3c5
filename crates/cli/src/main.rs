//! The `quarterdeck` binary: what was typed, decided once, then one command.
//!
//! Reading order: what may be typed ([`args`]) → what it means ([`config`], [`context`]) → who owns the
//! data folder ([`lock`]) → the rooms wired together ([`house`]) → the way to a server ([`door`],
//! [`events`]) → one file for each noun ([`command`]) → what a person sees ([`output`], [`progress`],
//! [`error`], [`logging`]).
//!
//! What is deliberately absent: any way around the HTTP interface. A command that could do what the
//! interface cannot would be a second path through the code.

mod args;
mod command;
mod config;
mod context;
mod door;
mod error;
mod events;
mod house;
mod lock;
mod logging;
mod output;
mod progress;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command};
use crate::context::Context;
pub use crate::error::Error;

/// It gives memory back within a second of its being free, which sealing and compaction leave a lot of, and wastes least
/// on many threads: measured beside the system's allocator and mimalloc in bench/gateway. `.cargo/config.toml` tunes it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start(matches!(arguments.command, Command::Serve(_)));
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough: `quarterdeck trace list | head`.
        Err(Error::Output { cause }) if cause.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            eprintln!("{:?}", miette::Report::new(error));
            code
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Error> {
    if let Command::Completions { shell } = arguments.command {
        return command::completions::print(shell);
    }
    let context = Context::new(&arguments)?;
    tokio::runtime::Runtime::new()
        .map_err(|cause| Error::doing("starting the runtime", cause))?
        .block_on(dispatch(&context, arguments.command))
}

async fn dispatch(context: &Context, command: Command) -> Result<(), Error> {
    match command {
        Command::Serve(_) => command::serve::run(context).await,
        Command::Chat(chat) => command::chat::run(context, chat).await,
        Command::Model(verb) => command::model::run(context, verb).await,
        Command::Key(verb) => command::key::run(context, verb).await,
        Command::Account(verb) => command::account::run(context, verb).await,
        Command::Provider(verb) => command::provider::run(context, verb).await,
        Command::Route(verb) => command::route::run(context, verb).await,
        Command::Prompt(verb) => command::prompt::run(context, verb).await,
        Command::Trace(verb) => command::trace::run(context, verb).await,
        Command::Dataset(verb) => command::dataset::run(context, verb).await,
        Command::Annotation(verb) => command::annotation::run(context, verb).await,
        Command::Evaluation(verb) => command::evaluation::run(context, verb).await,
        Command::Experiment(verb) => command::experiment::run(context, verb).await,
        Command::Judge(verb) => command::judge::run(context, verb).await,
        Command::Leaderboard(verb) => command::leaderboard::run(context, verb).await,
        Command::Task(verb) => command::task::run(context, verb).await,
        Command::Scorer(verb) => command::scorer::run(context, verb).await,
        Command::Score(verb) => command::score::run(context, verb).await,
        Command::Budget(verb) => command::budget::run(context, verb).await,
        Command::Top(top) => command::top::run(context, top).await,
        Command::Stats(verb) => command::stats::run(context, verb).await,
        Command::User(verb) => command::user::run(context, verb).await,
        Command::Retention(verb) => command::retention::run(context, verb).await,
        Command::Alert(verb) => command::alert::run(context, verb).await,
        Command::Sql(sql) => command::sql::run(context, sql).await,
        Command::Job(verb) => command::job::run(context, verb).await,
        Command::Config(args::Config::Show { origin }) => command::config::show(context, origin),
        Command::Doctor { verify_lake } => command::doctor::run(context, verify_lake).await,
        Command::Openapi => command::openapi::print(),
        Command::Completions { shell } => command::completions::print(shell),
    }
}
