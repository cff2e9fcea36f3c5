//! The command line, exactly as typed. What it means is decided once, in [`crate::context`].

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod alert;
mod annotation;
mod dataset;
mod evaluation;
mod experiment;
mod judge;
mod leaderboard;
mod prompt;
mod scorer;
pub use alert::{Alert, NewReceiver, NewSilence, Receiver, Rule, Silence};
pub use annotation::{Annotation, AnnotationCreate, AnnotationExport, AnnotationLabel};
pub use dataset::{
    Dataset, DatasetAdd, DatasetDiff, DatasetExport, DatasetExportFormat, DatasetFormat, DatasetImport,
    DatasetRemoveRows, DatasetReplace, DatasetRows, DatasetSplit,
};
pub use evaluation::{Evaluation, EvaluationItems, EvaluationResume, EvaluationRun};
pub use experiment::{Experiment, ExperimentItems, ExperimentResume, ExperimentRun};
pub use judge::{Judge, JudgeCalibrate, JudgeCreate, JudgeRun};
pub use leaderboard::{
    Leaderboard, LeaderboardDocuments, LeaderboardRate, LeaderboardResume, LeaderboardRun, LeaderboardShow, Task,
};
pub use prompt::{Prompt, Values};
pub use scorer::Scorer;

/// One binary for models in production: serve them, route to them, and see every call.
#[derive(Debug, Parser)]
#[command(name = "quarterdeck", version, max_term_width = 100, after_help = EXAMPLES, after_long_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  quarterdeck serve                                    start the server; the first start makes a key
  quarterdeck chat \"What is a quarterdeck?\"            ask the default model
  quarterdeck model list                               the models that there are
  quarterdeck trace list --output jsonl                the last calls, one JSON object a line
  quarterdeck sql \"SELECT model, count(*) FROM spans GROUP BY 1\"";

const EXIT_CODES: &str = "\
Examples:
  quarterdeck serve                                    start the server; the first start makes a key
  quarterdeck chat \"What is a quarterdeck?\"            ask the default model
  quarterdeck model list                               the models that there are
  quarterdeck trace list --output jsonl                the last calls, one JSON object a line
  quarterdeck sql \"SELECT model, count(*) FROM spans GROUP BY 1\"

Exit codes:
  0  done
  1  the operation failed
  2  the command line or the configuration is wrong
  4  no server could be reached, or it refused the key
  100  a gate of `quarterdeck eval run`, `experiment run` or `leaderboard run` failed

Without --url, a server that runs on the data folder answers; without one, this process does.";

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// The server to talk to; its API key is read from QUARTERDECK_KEY
    #[arg(long, global = true, env = "QUARTERDECK_URL", value_name = "URL")]
    pub url: Option<String>,
    /// The data folder
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The configuration file [default: ./quarterdeck.toml, else ~/.config/quarterdeck/quarterdeck.toml]
    #[arg(long, global = true, env = "QUARTERDECK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one setting, as in `--set trace.mode=sync`; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    /// Act in this project; a key always acts in its own
    #[arg(long, global = true, value_name = "NAME")]
    pub project: Option<String>,
    /// How to print what was asked for
    #[arg(long, short, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// Show progress even when standard error is not a terminal
    #[arg(long, global = true)]
    pub progress: bool,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated, with a header
    Csv,
}

fn setting(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "write it as KEY=VALUE, for example server.address=127.0.0.1:4200".to_owned())
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server
    #[command(after_help = "\
Examples:
  quarterdeck serve
  quarterdeck serve --address 127.0.0.1:8080 --data /srv/quarterdeck
  quarterdeck serve --set trace.mode=sync")]
    Serve(Serve),
    /// Ask a model
    #[command(after_help = "\
Examples:
  quarterdeck chat \"What is a quarterdeck?\"
  quarterdeck chat --model openai/gpt-4o-mini --system \"Answer in French.\" \"Good morning\"
  git diff | quarterdeck chat --system \"Review this change.\"")]
    Chat(Chat),
    /// Models: the catalogue, what is installed, fetching more
    #[command(subcommand)]
    Model(Model),
    /// API keys
    #[command(subcommand)]
    Key(Key),
    /// People who sign in to the console
    #[command(subcommand)]
    Account(Account),
    /// Upstreams that calls may be routed to
    #[command(subcommand)]
    Provider(Provider),
    /// Model names of your own, each with the targets that may answer
    #[command(subcommand)]
    Route(Route),
    /// What models are asked: templates in versions, labels, comparing, trying
    #[command(subcommand)]
    Prompt(Prompt),
    /// Recorded calls
    #[command(subcommand)]
    Trace(Trace),
    /// Rows to evaluate, prompt or train on, in versions that never change
    #[command(subcommand)]
    Dataset(Dataset),
    /// Ask people about rows of a dataset: who labels what, do they agree, what is true then
    #[command(subcommand)]
    Annotation(Annotation),
    /// Compare prompts, models, parameters and examples on a dataset
    #[command(subcommand)]
    Experiment(Experiment),
    /// Models that say how good something is, and how far they agree with people
    #[command(subcommand)]
    Judge(Judge),
    /// Compare models on benchmark tasks: scores with intervals, places as ranges, cost, speed, size
    #[command(subcommand)]
    Leaderboard(Leaderboard),
    /// Benchmark tasks that come with Quarterdeck, and what they ask
    #[command(subcommand)]
    Task(Task),
    /// Look at answers on a dataset with metrics and judges, side by side, with gates for CI
    #[command(subcommand, visible_alias = "eval")]
    Evaluation(Evaluation),
    /// Rules that score live calls, and what came of them
    #[command(subcommand)]
    Scorer(Scorer),
    /// What people and programs thought of answers
    #[command(subcommand)]
    Score(Score),
    /// What many calls come to: percentiles, lines by length, errors, tokens, cost, retries
    #[command(subcommand)]
    Stats(Stats),
    /// Watch the server live: calls, errors, tokens, cost, latency by model, queues, the last calls
    #[command(after_help = "\
Keys: q leaves, p pauses, ← and → choose the column to sort by, ↑ and ↓ turn the order round, w changes the window,
tab goes to the next project.

Examples:
  quarterdeck top
  quarterdeck top --once                     one frame as text
  quarterdeck top --once --output json       what it is drawn from")]
    Top(Top),
    /// What calls may come to in a day, a week or a month, and how far they are
    #[command(subcommand)]
    Budget(Budget),
    /// End users, as traces name them
    #[command(subcommand)]
    User(User),
    /// How long traces are kept
    #[command(subcommand)]
    Retention(Retention),
    /// Rules that tell when something is wrong, and whom they tell
    #[command(subcommand)]
    Alert(Alert),
    /// Ask the lake in SQL, read-only
    #[command(after_help = "\
Examples:
  quarterdeck sql \"SELECT model, count(*), approx_percentile_cont(latency_ms, 0.99) FROM spans GROUP BY 1\"
  quarterdeck sql --output csv \"SELECT * FROM spans LIMIT 10\" > spans.csv
  echo \"SHOW TABLES\" | quarterdeck sql -")]
    Sql(Sql),
    /// Long-running work
    #[command(subcommand)]
    Job(Job),
    /// Settings and where each came from
    #[command(subcommand)]
    Config(Config),
    /// Check this installation and say what is wrong with it
    Doctor {
        /// Also read every file of the lake in full, and set aside those that are damaged
        #[arg(long)]
        verify_lake: bool,
    },
    /// Print the OpenAPI document of the HTTP interface
    Openapi,
    /// Print a completion script for a shell
    #[command(after_help = "\
Example:
  quarterdeck completions bash > ~/.local/share/bash-completion/completions/quarterdeck")]
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Listen here; port 0 takes a free one [default: 127.0.0.1:4100]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub address: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub struct Chat {
    /// What to say; read from standard input when absent
    pub message: Option<String>,
    /// The model to ask
    #[arg(long, short, default_value = "smollm2-135m-instruct")]
    pub model: String,
    /// What the model is told first
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// The longest answer, in tokens
    #[arg(long, default_value_t = 512, value_name = "TOKENS")]
    pub max_tokens: u32,
    /// Randomness; 0 always takes the likeliest token
    #[arg(long, value_name = "NUMBER")]
    pub temperature: Option<f64>,
}

#[derive(Debug, Subcommand)]
pub enum Model {
    /// List the models of the catalogue and those that are installed
    List,
    /// Fetch a model; a fetch that was cut goes on where it stopped
    #[command(after_help = "Example:\n  quarterdeck model pull gemma-3-270m-it")]
    Pull {
        name: String,
        /// Return at once with the job's id
        #[arg(long)]
        detach: bool,
    },
    /// Show one model
    Show { name: String },
    /// Load an installed model into a running server's memory before somebody asks for it
    Load { name: String },
    /// Free a loaded model's memory, once its accepted requests are done
    Unload { name: String },
    /// Point a label at a version, so that calls may ask for `name@label`
    #[command(after_help = "\
Examples:
  quarterdeck model label support-bot production 3
  quarterdeck model label support-bot production 3 --expect 2     only if it is at version 2
  quarterdeck model label support-bot production 3 --expect 0     only if it is nowhere")]
    Label {
        name: String,
        label: String,
        version: u32,
        /// Only if the label is at this version now; 0 for nowhere
        #[arg(long, value_name = "VERSION")]
        expect: Option<u32>,
    },
    /// Take a label away
    Unlabel {
        name: String,
        label: String,
        /// Only if the label is at this version now
        #[arg(long, value_name = "VERSION")]
        expect: Option<u32>,
    },
    /// Remove an installed model
    Remove { name: String },
}

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Create a key and print it, this once
    #[command(after_help = "\
Examples:
  quarterdeck key create laptop
  quarterdeck key create ci --scope infer --scope read --expires-in-days 30")]
    Create {
        name: String,
        /// What the key may do; may be repeated
        #[arg(long = "scope", value_enum, default_values = ["infer"])]
        scopes: Vec<Scope>,
        /// Days until the key stops working; never without it
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
    },
    /// List keys, without their secrets
    List,
    /// Make a key stop working, at once
    Revoke { id: String },
}

/// What a key may do; `admin` may everything, `write` may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    Infer,
    Read,
    Write,
    Admin,
}

/// Passwords are asked for or piped in, never given as an argument.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// List accounts
    List,
    /// Create an account
    #[command(after_help = "\
Examples:
  quarterdeck account create ada --role admin
  quarterdeck account create ada --role editor --password-stdin < password.txt")]
    Create {
        name: String,
        /// What the person may do: look; also change and call models; everything
        #[arg(long, value_enum, default_value = "viewer")]
        role: Role,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Set another password; ends the account's sign-ins at once
    Password {
        name: String,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give an account another role, at once
    #[command(after_help = "Example:\n  quarterdeck account role ada editor")]
    Role {
        name: String,
        #[arg(value_enum)]
        role: Role,
    },
    /// Keep an account from signing in, and end its sign-ins at once
    Disable { name: String },
    /// Let an account sign in again
    Enable { name: String },
    /// Remove an account and end its sign-ins
    Remove { name: String },
}

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Viewer,
    Editor,
    Admin,
}

#[derive(Debug, Subcommand)]
pub enum Route {
    /// Add a route, or change the one of this name
    #[command(after_help = "\
Examples:
  quarterdeck route set writer --target vllm/qwen3-32b --target openai/gpt-4o-mini --retries 1
  quarterdeck route set gpt-4o --target local/smollm2-135m-instruct")]
    Set {
        /// What callers put into a request's `model`
        name: String,
        /// Who may answer, as provider/model; given several times, they are tried in this order
        #[arg(long, value_name = "PROVIDER/MODEL", required = true)]
        target: Vec<String>,
        /// Retries of each target after its first attempt
        #[arg(long, value_name = "NUMBER")]
        retries: Option<u32>,
        /// How long one attempt may take
        #[arg(long, value_name = "MILLISECONDS")]
        timeout_ms: Option<u32>,
    },
    /// List the routes in force: the project's own and those of quarterdeck.toml
    List,
    /// Show one route
    Show { name: String },
    /// Remove a route of the project's own
    Remove { name: String },
}

#[derive(Debug, Subcommand)]
pub enum Provider {
    /// Add an OpenAI-compatible upstream
    #[command(after_help = "\
Examples:
  quarterdeck provider add vllm --base-url http://10.0.0.7:8000/v1
  OPENAI_API_KEY=… quarterdeck provider add openai --base-url https://api.openai.com/v1 --secret-env OPENAI_API_KEY")]
    Add {
        name: String,
        /// Where its API begins, up to and including /v1
        #[arg(long, value_name = "URL")]
        base_url: String,
        /// How long one attempt may take
        #[arg(long, value_name = "MILLISECONDS")]
        timeout_ms: Option<u64>,
        /// Take its API key from this environment variable now and store it encrypted
        #[arg(long, value_name = "VARIABLE")]
        secret_env: Option<String>,
    },
    /// List upstreams, without their secrets
    List,
    /// Show one upstream, without its secret
    Show { name: String },
    /// Remove an upstream
    Remove { name: String },
    /// Store an upstream's API key, encrypted; read from standard input, never from the command line
    #[command(after_help = "\
Examples:
  quarterdeck provider set-secret openai < key.txt
  quarterdeck provider set-secret openai --env OPENAI_API_KEY")]
    SetSecret {
        name: String,
        /// Read it from this environment variable instead
        #[arg(long, value_name = "VARIABLE")]
        env: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Trace {
    /// List calls, newest first
    #[command(after_help = "\
Examples:
  quarterdeck trace list --model smollm2-135m-instruct --limit 5
  quarterdeck trace list --status error --since 2026-01-31T00:00:00Z --output jsonl
  quarterdeck trace list --group-by user --group \"\"")]
    List(TraceFilter),
    /// Show every span of one trace
    Show { id: String },
    /// Print calls as they finish, until interrupted
    #[command(after_help = "Example:\n  quarterdeck trace tail --output jsonl | grep '\"status\":\"error\"'")]
    Tail,
    /// Write all spans that are wanted into a file
    #[command(after_help = "\
Examples:
  quarterdeck trace export --to traces.jsonl
  quarterdeck trace export --format parquet --since 2026-01-01T00:00:00Z --to january.parquet
  quarterdeck trace export --user ada@example.org --to - | jq .input")]
    Export(TraceExport),
    /// Take over the traces of Langfuse or Phoenix, or our own from another installation
    #[command(after_help = "\
Examples:
  quarterdeck trace import langfuse-observations.jsonl
  quarterdeck trace import --from phoenix spans.parquet --project support
  zcat traces.jsonl.gz | quarterdeck trace import -

JSON lines, a JSON array, CSV with a header and Parquet are read. Importing a file again changes nothing.")]
    Import(TraceImport),
}

/// What to export, and where to.
#[derive(Debug, Args)]
pub struct TraceExport {
    /// The file, which gets its name when it is whole; `-` for standard output
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// As JSON lines, which can be imported again, or as Parquet with the columns of the table
    #[arg(long, value_enum, default_value = "jsonl")]
    pub format: ExportFormat,
    /// Of inputs and outputs too large for a row, all or the beginning [default: whole in JSON lines, beginning in Parquet]
    #[arg(long, value_enum, value_name = "HOW-MUCH")]
    pub payloads: Option<ExportPayloads>,
    /// Asked for by this name, or answered by it
    #[arg(long)]
    pub model: Option<String>,
    /// ok, error or cancelled
    #[arg(long)]
    pub status: Option<String>,
    /// llm, embedding, retriever, tool, …
    #[arg(long)]
    pub kind: Option<String>,
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// With this tag
    #[arg(long)]
    pub tag: Option<String>,
    /// From this moment on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// The form of an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Jsonl,
    Parquet,
}

/// How much of large payloads is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportPayloads {
    Whole,
    Beginning,
}

/// What to import.
#[derive(Debug, Args)]
pub struct TraceImport {
    /// The file; `-` for standard input
    pub file: PathBuf,
    /// Whose export it is; when absent, each record is known by the names of its fields
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub from: Option<ImportSource>,
}

/// Whose export a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportSource {
    Langfuse,
    Phoenix,
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub enum User {
    /// List end users, those active last first
    List {
        /// At most this many
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: usize,
    },
    /// Erase an end user from a project, for good: traces, scores and payloads
    #[command(after_help = "\
Examples:
  quarterdeck user erase ada@example.org --project support
  quarterdeck user erase ada@example.org --yes --detach

What had been set aside as damaged is removed too, since nobody can say whose it is. What arrives afterwards is
new, and stays.")]
    Erase {
        /// The end user, as traces name them
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Return when the user is hidden from everyone, and let the job take the rows off the disk
        #[arg(long)]
        detach: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Retention {
    /// How long the rows of each table of a project are kept
    #[command(after_help = "Example:\n  quarterdeck retention list --project support")]
    List,
    /// Say how long the rows of a table are kept; older ones are hidden at once and then removed for good
    #[command(after_help = "\
Examples:
  quarterdeck retention set spans 30 --project support
  quarterdeck retention set scores 0                     for ever, whatever lake.retain_days says")]
    Set {
        /// spans, scores, …
        table: String,
        /// Whole days; 0 keeps them for ever
        days: u32,
    },
    /// Let the operator's setting lake.retain_days hold again
    #[command(after_help = "Example:\n  quarterdeck retention clear spans --project support")]
    Clear { table: String },
}

#[derive(Debug, Subcommand)]
pub enum Score {
    /// Score a trace, or a span of it
    #[command(after_help = "\
Examples:
  quarterdeck score add 4bf92f3577b34da6a3ce929d0e0e4736 helpful yes
  quarterdeck score add 4bf92f3577b34da6a3ce929d0e0e4736 accuracy 0.7 --comment \"the second date is wrong\"")]
    Add(NewScore),
    /// List scores, newest first
    #[command(after_help = "Example:\n  quarterdeck score list --name helpful --output csv")]
    List(ScoreFilter),
    /// Take a score back
    Remove { id: String },
}

/// A score to give.
#[derive(Debug, Args)]
pub struct NewScore {
    /// The trace
    pub trace: String,
    /// What was looked at
    pub name: String,
    /// A number, a word, yes or no
    #[arg(allow_hyphen_values = true)]
    pub value: String,
    /// The span, when it is about one of them
    #[arg(long, value_name = "ID")]
    pub span: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
}

/// Which scores to list.
#[derive(Debug, Args)]
pub struct ScoreFilter {
    /// Most scores to list
    #[arg(long, default_value_t = 50, value_name = "SCORES")]
    pub limit: usize,
    /// Only those of this trace; several with commas between them
    #[arg(long, value_name = "ID")]
    pub trace: Option<String>,
    /// Only those of this name
    #[arg(long)]
    pub name: Option<String>,
}

/// Which calls to list.
#[derive(Debug, Args)]
pub struct TraceFilter {
    /// Most calls to list
    #[arg(long, default_value_t = 20, value_name = "CALLS")]
    pub limit: usize,
    /// Asked for by this name, or answered by it
    #[arg(long)]
    pub model: Option<String>,
    /// ok, error or cancelled
    #[arg(long)]
    pub status: Option<String>,
    /// Made from this prompt artifact
    #[arg(long, value_name = "NAME")]
    pub prompt: Option<String>,
    /// Only calls of models
    #[arg(long)]
    pub calls: bool,
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// With --group or --except-group: model, provider, prompt, user, environment or status
    #[arg(long, value_name = "WHAT", requires = "groups")]
    pub group_by: Option<String>,
    /// Only calls that the overview counts in this group; "" for those that do not say
    #[arg(long, value_name = "NAME", requires = "group_by", group = "groups")]
    pub group: Option<String>,
    /// Only calls outside of this group; may be given several times
    #[arg(long, value_name = "NAME", requires = "group_by", group = "groups")]
    pub except_group: Vec<String>,
    /// From this moment on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
pub struct Top {
    /// Print one frame as text and end; so it does too when standard output is no terminal
    #[arg(long)]
    pub once: bool,
    /// The time until now that sums and percentiles are of
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = crate::command::stats::read_duration)]
    pub window: std::time::Duration,
}

#[derive(Debug, Subcommand)]
pub enum Budget {
    /// List budgets with what is used of them, and what will be at the end of the period
    List,
    /// Add a budget, or change the one of this name
    #[command(after_help = "\
Examples:
  quarterdeck budget set team --period month --usd 250
  quarterdeck budget set ada --period day --tokens 1000000 --of user=ada
  quarterdeck budget set gpt --period week --usd 40 --of model=gpt-4o

A budget is told and shown; no call is refused because of it.")]
    Set(NewBudget),
    /// Remove a budget
    Remove { name: String },
}

/// A budget to set.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("limit").required(true).args(["usd", "tokens"]))]
pub struct NewBudget {
    pub name: String,
    /// day, week (from Monday on) or month, by UTC
    #[arg(long)]
    pub period: String,
    /// The most that calls should cost, in US dollars
    #[arg(long, value_name = "DOLLARS", value_parser = crate::command::budget::read_dollars)]
    pub usd: Option<qd_base::Picodollars>,
    /// The most tokens of prompts and answers
    #[arg(long, value_name = "TOKENS")]
    pub tokens: Option<u64>,
    /// Only calls of one model, provider, user, environment or prompt count
    #[arg(long, value_name = "WHAT=NAME")]
    pub of: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Stats {
    /// Percentiles of latency, time to first token and time per output token
    #[command(after_help = "\
Examples:
  quarterdeck stats latency
  quarterdeck stats latency --by provider --last 7d
  quarterdeck stats latency --by prompt --model gpt-4o-mini --output csv")]
    Latency(StatsGroups),
    /// How long an answer of n tokens takes: a line for each model, with its errors
    #[command(after_help = "\
Latency = base + n × ms per token, by least squares over the calls that ended well. ± are standard errors; `beyond`
is what calls took beyond the line.

Examples:
  quarterdeck stats length --last 30d
  quarterdeck stats length --by provider --output json      with calls to draw")]
    Length(StatsFilter),
    /// In which ways calls went wrong
    #[command(after_help = "Examples:\n  quarterdeck stats errors\n  quarterdeck stats errors --by provider --last 7d")]
    Errors(StatsFilter),
    /// Tokens, and which of them came from a prompt cache
    #[command(after_help = "Examples:\n  quarterdeck stats usage\n  quarterdeck stats usage --by user --last 30d")]
    Usage(StatsGroups),
    /// Money, the most expensive first
    #[command(
        after_help = "Examples:\n  quarterdeck stats cost --by user --last 30d\n  quarterdeck stats cost --by prompt"
    )]
    Cost(StatsGroups),
    /// Who had to be asked again, and who answered instead
    #[command(after_help = "Example:\n  quarterdeck stats retries --last 7d")]
    Retries(StatsFilter),
}

/// Which calls, and how many groups.
#[derive(Debug, Args)]
pub struct StatsGroups {
    #[command(flatten)]
    pub filter: StatsFilter,
    /// Most groups to show
    #[arg(long, default_value_t = 20, value_name = "GROUPS")]
    pub limit: usize,
}

/// Which calls to look at.
#[derive(Debug, Args)]
pub struct StatsFilter {
    /// Tell apart by model, provider, prompt, user, session, environment, release, name or status
    #[arg(long, value_name = "WHAT")]
    pub by: Option<String>,
    /// Of the time until now, as 15m, 24h, 7d or 4w [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = crate::command::stats::read_duration, conflicts_with_all = ["since", "until"])]
    pub last: Option<std::time::Duration>,
    /// From this moment on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Asked for by this name, or answered by it
    #[arg(long)]
    pub model: Option<String>,
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Made from this prompt artifact
    #[arg(long, value_name = "NAME")]
    pub prompt: Option<String>,
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
    #[arg(long)]
    pub tag: Option<String>,
    /// false: without the calls that experiments, evaluations, leaderboards and judges made; true: only those
    #[arg(long, value_name = "BOOL")]
    pub experiments: Option<bool>,
}

#[derive(Debug, Args)]
pub struct Sql {
    /// The statement; `-` reads it from standard input
    pub statement: String,
    /// Most rows to return [default: 10000]
    #[arg(long, value_name = "ROWS")]
    pub max_rows: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub enum Job {
    /// List jobs, newest first
    List {
        /// At most this many
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: usize,
    },
    /// Show one job
    Show { id: String },
    /// Ask a job to stop
    Cancel { id: String },
    /// Follow a job until it ends
    Watch { id: String },
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Show every setting in force
    #[command(after_help = "Example:\n  quarterdeck config show --origin")]
    Show {
        /// Also say where each value came from
        #[arg(long)]
        origin: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
