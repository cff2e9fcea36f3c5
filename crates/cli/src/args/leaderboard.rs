//! `quarterdeck leaderboard …` and `quarterdeck task …`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum Leaderboard {
    /// Compare models on benchmark tasks: make a version of a leaderboard, run it to its end and show what came of it
    #[command(after_help = "\
`basic` comes with Quarterdeck: TruthfulQA mc1 and mc2, three tasks of BIG-Bench Hard, and 50 questions of GSM8K.
For others the file is the definition, as JSON or TOML:
  {\"tasks\": [{\"task\": \"truthfulqa_mc1\"}, {\"task\": \"gsm8k\", \"metric\": \"exact_match,flexible-extract\", \"limit\": 100}],
   \"models\": [\"smollm2-135m-instruct\", \"openai/gpt-4o-mini\"], \"style\": \"normalised\", \"budget\": {\"usd\": 1.0}}

Documents are datasets. With --from, those that are missing are made of local files: the data sets as their authors
publish them (gsm8k/test.jsonl, truthfulqa/TruthfulQA.csv, bbh/navigate.json), or files named after the split.

A gate judges one model: the one that --model names, which it must when there are several. It asks for score, score.low,
score.high, rank_best, rank_worst, a task's value by its name, tokens_per_second, cost_usd or failed. When it fails, or the
leaderboard does not finish, the exit code is 100.

Examples:
  quarterdeck leaderboard run basic --models smollm2-135m-instruct,gemma-3-270m --from ~/benchmarks
  quarterdeck leaderboard run ours --file ours.json --tasks tasks/ --from documents/
  quarterdeck leaderboard run basic --models smollm2-135m-instruct --limit 20 --gate 'score >= 5 and tokens_per_second > 30' --junit gate.xml")]
    Run(LeaderboardRun),
    /// List leaderboards, the newest first
    List,
    /// Show what came of a leaderboard
    #[command(after_help = "\
Examples:
  quarterdeck leaderboard show basic
  quarterdeck leaderboard show basic --max-size 1GB --min-speed 30
  quarterdeck leaderboard show basic@1 --licence Apache-2.0 --output json")]
    Show(LeaderboardShow),
    /// Show documents of a task with what a model said about them
    #[command(after_help = "\
Example:
  quarterdeck leaderboard documents basic --task truthfulqa_mc1 --model smollm2-135m-instruct --limit 20 --output jsonl")]
    Documents(LeaderboardDocuments),
    /// Rate models by a dataset of comparisons: Bradley and Terry's strengths with their intervals, and Elo's ratings
    #[command(after_help = "\
Each row names two models and who was preferred: by the model's name, or as model_a, model_b or tie. Rows without one are left out.

Examples:
  quarterdeck leaderboard rate arena
  quarterdeck leaderboard rate pairs@2 --model-a left --model-b right --winner verdict --output json")]
    Rate(LeaderboardRate),
    /// Go on with a leaderboard that has ended before it was finished, or has documents that failed
    Resume(LeaderboardResume),
    /// Delete a leaderboard with all of its versions and their answers
    Remove {
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Stop a leaderboard; what was answered is kept
    Cancel {
        #[arg(value_name = "NAME[@VERSION]")]
        leaderboard: String,
    },
}

#[derive(Debug, Args)]
pub struct LeaderboardRun {
    pub name: String,
    /// The definition, as JSON or (by the ending .toml) TOML; `-` reads JSON from standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<String>,
    /// Who is asked, instead of the definition's models
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    pub models: Vec<String>,
    /// Only the first documents of each task
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<usize>,
    /// A folder with task files of your own
    #[arg(long, value_name = "DIR")]
    pub tasks: Option<PathBuf>,
    /// A folder with documents, from which those that are missing become datasets; `hub` fetches them from the hub
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Conditions that must hold, as in 'score >= 5'; otherwise the exit code is 100
    #[arg(long, value_name = "CONDITIONS", conflicts_with = "detach")]
    pub gate: Vec<String>,
    /// The model that the gate judges; it must be named when there are several
    #[arg(long, value_name = "MODEL", requires = "gate")]
    pub model: Option<String>,
    /// Write what came of the gate as JUnit XML, for CI systems
    #[arg(long, value_name = "FILE", conflicts_with = "detach")]
    pub junit: Option<PathBuf>,
    /// Begin and do not wait
    #[arg(long)]
    pub detach: bool,
}

#[derive(Debug, Args)]
pub struct LeaderboardShow {
    #[arg(value_name = "NAME[@VERSION]")]
    pub leaderboard: String,
    /// Only models of at most this size on disk, as 500MB or 1GB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,
    /// Only models that give at least this many tokens a second here
    #[arg(long, value_name = "NUMBER")]
    pub min_speed: Option<f64>,
    /// Only models with at least this many tokens of context
    #[arg(long, value_name = "NUMBER")]
    pub min_context: Option<u64>,
    /// Only models of at most this many dollars for a million tokens of answers
    #[arg(long, value_name = "DOLLARS")]
    pub max_price: Option<f64>,
    /// Only models with this licence
    #[arg(long, value_name = "LICENCE")]
    pub licence: Option<String>,
}

#[derive(Debug, Args)]
pub struct LeaderboardDocuments {
    #[arg(value_name = "NAME[@VERSION]")]
    pub leaderboard: String,
    /// The task
    #[arg(long, value_name = "TASK")]
    pub task: String,
    /// The model
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// At most this many
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct LeaderboardRate {
    #[arg(value_name = "DATASET[@VERSION]")]
    pub dataset: String,
    /// The column with the first model's name
    #[arg(long, value_name = "COLUMN", default_value = "model_a")]
    pub model_a: String,
    /// The column with the second's
    #[arg(long, value_name = "COLUMN", default_value = "model_b")]
    pub model_b: String,
    /// The column that says who was preferred
    #[arg(long, value_name = "COLUMN", default_value = "winner")]
    pub winner: String,
}

#[derive(Debug, Args)]
pub struct LeaderboardResume {
    #[arg(value_name = "NAME[@VERSION]")]
    pub leaderboard: String,
    /// Ask about documents again that failed
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

#[derive(Debug, Subcommand)]
pub enum Task {
    /// List the tasks that come with Quarterdeck
    List,
    /// Show what a task measures and which documents it needs, or what it asks about one of them
    #[command(after_help = "\
Examples:
  quarterdeck task show gsm8k
  quarterdeck task show truthfulqa_mc1 --document 0
  quarterdeck task show gsm8k --document 7 --fewshot 2 --chat turns")]
    Show {
        task: String,
        /// Show what is asked about the document of this place, from 0
        #[arg(long, value_name = "NUMBER")]
        document: Option<usize>,
        /// Examples in the prompt
        #[arg(long, value_name = "NUMBER", requires = "document")]
        fewshot: Option<usize>,
        /// As messages
        #[arg(long, value_name = "FORM", requires = "document")]
        chat: Option<ChatForm>,
    },
}

/// How examples stand in messages.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ChatForm {
    /// Each is a message of the user and one of the assistant
    Turns,
    /// All are in one message of the user
    OneTurn,
}

impl ChatForm {
    /// As the server calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::OneTurn => "one_turn",
        }
    }
}

/// Bytes, as people write them.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 7] = [
        ("kib", 1024.0),
        ("mib", 1_048_576.0),
        ("gib", 1_073_741_824.0),
        ("kb", 1e3),
        ("mb", 1e6),
        ("gb", 1e9),
        ("b", 1.0),
    ];
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) =
        UNITS.iter().find_map(|(word, unit)| Some((lower.strip_suffix(word)?, *unit))).unwrap_or((&lower, 1.0));
    let number: f64 = digits.trim().parse().map_err(|_| "write it as 500MB or 1GB".to_owned())?;
    if number.is_finite() && number >= 0.0 {
        Ok((number * unit) as u64)
    } else {
        Err("it must be 0 or more".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(size("1GB"), Ok(1_000_000_000));
        assert_eq!(size("1.5 MiB"), Ok(1_572_864));
        assert_eq!(size("70"), Ok(70));
        assert!(size("large").is_err() && size("-1GB").is_err());
    }
}
