//! `quarterdeck experiment …`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Experiment {
    /// Make a version of an experiment, run it to its end and show what came of it
    #[command(after_help = "\
The file is the definition, as JSON or TOML:
  {\"dataset\": \"navigate@1\", \"items\": {\"limit\": 100},
   \"prompts\": [\"plain\", \"step-by-step\"], \"models\": [\"smollm2-135m-instruct\"],
   \"parameters\": {\"temperature\": [0, 0.7], \"max_tokens\": [64]}, \"shots\": [0, 1, 3],
   \"scorers\": [{\"kind\": \"exact_match\", \"ignore_case\": true}, {\"kind\": \"cost\"}],
   \"budget\": {\"usd\": 1.0}}

A gate judges one cell: the one that --cell names, which it must when there are several. It asks for the mean of a
scorer or an end of its interval (exact_match, exact_match.low, exact_match.high), cost_usd, latency_p50_ms, latency_p95_ms,
input_tokens, output_tokens or failed. When it fails, or the experiment does not finish, the exit code is 100.

Examples:
  quarterdeck experiment run navigate --file navigate.json
  quarterdeck experiment run nightly --file nightly.toml --gate 'exact_match.low >= 0.8 and latency_p95_ms < 2000' --junit gate.xml
  quarterdeck experiment run navigate --file navigate.json --detach")]
    Run(ExperimentRun),
    /// List experiments, those that changed last first
    List {
        /// At most this many
        #[arg(long, value_name = "NUMBER", default_value_t = 200)]
        limit: usize,
    },
    /// Show what came of an experiment, cell by cell
    Show {
        #[arg(value_name = "NAME[@VERSION]")]
        experiment: String,
    },
    /// Hold one cell against another by every score
    #[command(after_help = "\
Examples:
  quarterdeck experiment compare navigate c1 c4
  quarterdeck experiment compare navigate@2 c1 c4 --planned     these two were to be compared before anything was seen")]
    Compare {
        #[arg(value_name = "NAME[@VERSION]")]
        experiment: String,
        /// A cell, as `c1`
        a: String,
        /// The cell that is held against it
        b: String,
        /// Do not correct for all the other pairs that could have been picked
        #[arg(long)]
        planned: bool,
    },
    /// Show items with the answers of cells side by side
    #[command(after_help = "\
Examples:
  quarterdeck experiment items navigate --cells c1,c4 --disagree exact_match
  quarterdeck experiment items navigate --cells c1 --limit 100 --output jsonl")]
    Items(ExperimentItems),
    /// Look for better words and examples of a prompt, and judge what was found by rows that the search never saw
    #[command(after_help = "\
The file says what is to be improved, as JSON or TOML:
  {\"dataset\": \"gsm8k@1\", \"items\": {\"limit\": 200}, \"prompt\": \"solve@1\", \"scorer\": {\"kind\": \"number_match\"},
   \"trials\": 10, \"demonstrations\": 4, \"proposer\": \"openai/gpt-4o\", \"budget\": {\"usd\": 2.0}}

Example:
  quarterdeck experiment optimise solve-better --file optimise.json")]
    Optimise {
        /// The experiment that compares in the end
        name: String,
        /// What is to be improved, as JSON or (by the ending .toml) TOML; `-` reads JSON from standard input
        #[arg(long, value_name = "FILE")]
        file: String,
    },
    /// Show how many cells, calls and tokens an experiment would take, and what that costs where prices are known
    #[command(after_help = "Example:\n  quarterdeck experiment preview navigate --file navigate.json")]
    Preview {
        name: String,
        /// The definition, as JSON or (by the ending .toml) TOML; `-` reads JSON from standard input
        #[arg(long, value_name = "FILE")]
        file: String,
    },
    /// Go on with an experiment that has ended before it was finished, or has calls that failed
    Resume(ExperimentResume),
    /// Delete an experiment with all of its versions and their answers
    Remove {
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Stop an experiment; what was answered is kept
    Cancel {
        #[arg(value_name = "NAME[@VERSION]")]
        experiment: String,
    },
}

#[derive(Debug, Args)]
pub struct ExperimentRun {
    pub name: String,
    /// The definition, as JSON or (by the ending .toml) TOML; `-` reads JSON from standard input
    #[arg(long, value_name = "FILE")]
    pub file: String,
    /// Conditions that must hold, as in 'exact_match >= 0.8'; otherwise the exit code is 100
    #[arg(long, value_name = "CONDITIONS", conflicts_with = "detach")]
    pub gate: Vec<String>,
    /// The cell that the gate judges; it must be named when there are several
    #[arg(long, value_name = "CELL", requires = "gate")]
    pub cell: Option<String>,
    /// Write what came of the gate as JUnit XML, for CI systems
    #[arg(long, value_name = "FILE", requires = "gate")]
    pub junit: Option<PathBuf>,
    /// Begin and do not wait
    #[arg(long)]
    pub detach: bool,
}

#[derive(Debug, Args)]
pub struct ExperimentItems {
    #[arg(value_name = "NAME[@VERSION]")]
    pub experiment: String,
    /// Whose answers, as `c1,c4`; those of the first 20 cells when absent
    #[arg(long, value_name = "CELLS")]
    pub cells: Option<String>,
    /// Only items on which these cells differ in this score
    #[arg(long, value_name = "SCORER")]
    pub disagree: Option<String>,
    /// At most this many
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct ExperimentResume {
    #[arg(value_name = "NAME[@VERSION]")]
    pub experiment: String,
    /// Make calls again that failed
    #[arg(long)]
    pub retry_failed: bool,
    /// Stop at this many dollars, what was spent before included
    #[arg(long, value_name = "DOLLARS")]
    pub usd: Option<f64>,
    /// Stop at this many tokens, those used before included
    #[arg(long, value_name = "NUMBER")]
    pub tokens: Option<u64>,
    /// Stop after this many seconds of work
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u64>,
    /// Begin and do not wait
    #[arg(long)]
    pub detach: bool,
}
