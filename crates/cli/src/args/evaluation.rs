//! `quarterdeck evaluation …`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Evaluation {
    /// Make a version of an evaluation, run it to its end and show the report
    #[command(after_help = "\
The file is the definition, as JSON or TOML:
  {\"dataset\": \"translations@1\", \"items\": {\"limit\": 200},
   \"targets\": {\"old\": {\"column\": \"answer\"}, \"new\": {\"prompt\": \"translate@production\", \"model\": \"openai/gpt-4o-mini\"}},
   \"scorers\": [{\"kind\": \"bleu\"}, {\"kind\": \"chrf\"}, {\"kind\": \"judge\", \"judge\": \"ready/helpfulness@openai/gpt-4o\"}],
   \"budget\": {\"usd\": 1.0}, \"gate\": [\"new.bleu >= 30\"]}

A gate asks for a score or an end of its interval (bleu, bleu.low, bleu.high), cost_usd, latency_p50_ms, latency_p95_ms,
input_tokens, output_tokens or failed; of a judge for the corrected mean too (helpfulness.corrected, .corrected.low, .corrected.high).
With several targets the target's name stands before it, as in new.bleu, or --target names the one that is meant. The gates of
the file and those of --gate must all hold; otherwise, or when the evaluation does not finish, the exit code is 100.

Examples:
  quarterdeck eval run translations.json
  quarterdeck eval run nightly.json nightly --gate 'bleu.low >= 25 and failed < 1' --junit gate.xml --markdown summary.md")]
    Run(EvaluationRun),
    /// List evaluations, the newest first
    List,
    /// Show the report of an evaluation
    Show {
        #[arg(value_name = "NAME[@VERSION]")]
        evaluation: String,
    },
    /// Show items with the answers of targets side by side
    #[command(after_help = "\
Examples:
  quarterdeck eval items translations --scorer bleu --highest 10
  quarterdeck eval items translations --disagree exact_match --limit 100 --output jsonl")]
    Items(EvaluationItems),
    /// Hold targets against each other by every score, of one run or of two
    Compare {
        #[arg(value_name = "NAME[@VERSION]")]
        evaluation: String,
        /// One target; all pairs when absent
        a: Option<String>,
        /// The target that is held against it; with `--with` one of the other run
        #[arg(requires = "a")]
        b: Option<String>,
        /// Another run on the same version of the dataset, item by item
        #[arg(long, value_name = "NAME[@VERSION]")]
        with: Option<String>,
    },
    /// Go on with an evaluation that has ended before it was finished, or has calls that failed
    Resume(EvaluationResume),
    /// Delete an evaluation with all of its versions and their rows
    Remove {
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct EvaluationRun {
    /// The definition, as JSON or (by the ending .toml) TOML; `-` reads JSON from standard input
    pub file: String,
    /// What the evaluation is called; the file's name without its ending when absent
    pub name: Option<String>,
    /// Conditions that must hold, as in 'exact_match >= 0.8'; otherwise the exit code is 100
    #[arg(long, value_name = "CONDITIONS", conflicts_with = "detach")]
    pub gate: Vec<String>,
    /// The target that gates without a target's name are about
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// Write what came of the gates as JUnit XML, for CI systems
    #[arg(long, value_name = "FILE", conflicts_with = "detach")]
    pub junit: Option<PathBuf>,
    /// Write the report as Markdown, as for the summary of a job on GitHub
    #[arg(long, value_name = "FILE", conflicts_with = "detach")]
    pub markdown: Option<PathBuf>,
    /// Stop at this many dollars, whatever the file says
    #[arg(long, value_name = "DOLLARS")]
    pub usd: Option<f64>,
    /// Begin and do not wait
    #[arg(long)]
    pub detach: bool,
}

#[derive(Debug, Args)]
pub struct EvaluationItems {
    #[arg(value_name = "NAME[@VERSION]")]
    pub evaluation: String,
    /// Only answers of this target
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// The score that --lowest, --highest and --missing are about
    #[arg(long, value_name = "SCORER")]
    pub scorer: Option<String>,
    /// Only items with at least this score
    #[arg(long, value_name = "SCORE", requires = "scorer")]
    pub lowest: Option<f64>,
    /// Only items with at most this score
    #[arg(long, value_name = "SCORE", requires = "scorer")]
    pub highest: Option<f64>,
    /// Only items without that score
    #[arg(long, requires = "scorer")]
    pub missing: bool,
    /// Only items on which targets differ in this score
    #[arg(long, value_name = "SCORER")]
    pub disagree: Option<String>,
    /// At most this many
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct EvaluationResume {
    #[arg(value_name = "NAME[@VERSION]")]
    pub evaluation: String,
    /// Make calls again that failed
    #[arg(long)]
    pub retry_failed: bool,
    /// Stop at this many dollars, what was spent before included
    #[arg(long, value_name = "DOLLARS")]
    pub usd: Option<f64>,
    /// Begin and do not wait
    #[arg(long)]
    pub detach: bool,
}
