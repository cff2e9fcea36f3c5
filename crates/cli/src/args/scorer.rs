//! `quarterdeck scorer …`, as typed.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Scorer {
    /// Make a rule, or a version of one; it scores calls that end from now on
    #[command(after_help = "\
The file is the definition, as JSON or TOML:
  {\"filter\": {\"model\": \"gpt-4o-mini\", \"environment\": \"production\"}, \"sample\": 0.2,
   \"scorers\": [{\"kind\": \"json_schema\", \"schema\": {\"type\": \"object\"}}, {\"kind\": \"leak\"}, {\"kind\": \"latency\"},
               {\"kind\": \"contains\", \"name\": \"refuses\", \"texts\": [\"I cannot\", \"as an AI\"], \"ignore_case\": true}]}

Kinds: regex, json_schema, contains, length, latency, cost, leak, toxicity.

Example:
  quarterdeck scorer create support --file support.json")]
    Create {
        name: String,
        /// The definition, as JSON or (by the ending .toml) TOML; `-` reads JSON from standard input
        #[arg(long, value_name = "FILE")]
        file: String,
    },
    /// List rules, and how each stands
    List,
    /// Show a rule, and how it stands
    Show {
        #[arg(value_name = "NAME[@VERSION]")]
        scorer: String,
    },
    /// Show what came of a rule: means with intervals that may be watched, by group and over time
    #[command(after_help = "\
Examples:
  quarterdeck scorer report support
  quarterdeck scorer report support --back-s 3600 --step-s 60 --output json")]
    Report {
        #[arg(value_name = "NAME[@VERSION]")]
        scorer: String,
        /// How many seconds the means over time look back [default: a day]
        #[arg(long, value_name = "SECONDS")]
        back_s: Option<u32>,
        /// The seconds of a part of them [default: an hour]
        #[arg(long, value_name = "SECONDS")]
        step_s: Option<u32>,
    },
    /// Hold two groups of calls against each other by every score
    #[command(after_help = "\
Examples:
  quarterdeck scorer compare support prompt greeting@3 greeting@4
  quarterdeck scorer compare support arm champion challenger")]
    Compare {
        #[arg(value_name = "NAME[@VERSION]")]
        scorer: String,
        /// What calls are told apart by: model, provider, prompt, arm, environment, release or tag
        by: String,
        a: String,
        /// The group that is held against it
        b: String,
    },
    /// See to it that a rule scores no more; what happens meanwhile is never scored
    Pause { name: String },
    /// See to it that the latest version of a rule scores from now on
    Resume { name: String },
    /// Remove a rule with all its versions; the scores that it gave stay
    Remove { name: String },
}
