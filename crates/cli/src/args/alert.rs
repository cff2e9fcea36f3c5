//! `quarterdeck alert …`, as typed.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Alert {
    /// List rules, and how each stands
    List,
    /// Show one rule, and how it stands
    Show { name: String },
    /// Add a rule; it is evaluated at once
    #[command(after_help = "\
Examples:
  quarterdeck alert create slow --measure latency_p95 --above 2000 --clear 1500 --window 5m --for 2m
  quarterdeck alert create failing --measure error_rate --above 5 --model gpt-4o-mini --severity critical
  quarterdeck alert create spike --measure calls --change-above 200 --against week --window 1h
  quarterdeck alert create budget --measure cost --budget 500 --period 30d --burn 14.4 --window 1h
  quarterdeck alert create silence --absent --environment production --window 15m
  quarterdeck alert create tools --sql \"SELECT count(*) FROM spans WHERE kind = 'tool' AND status = 'error' \\
      AND start_time >= \\$1 AND start_time < \\$2\" --above 10")]
    Create {
        name: String,
        #[command(flatten)]
        rule: Box<Rule>,
    },
    /// Change a rule; what is not given stays
    #[command(after_help = "\
Examples:
  quarterdeck alert update slow --above 3000
  quarterdeck alert update slow --disable
  quarterdeck alert show slow --output json > slow.json; quarterdeck alert update slow --file edited.json")]
    Update {
        name: String,
        #[command(flatten)]
        rule: Box<Rule>,
    },
    /// Remove a rule; what it told stays in the inbox
    Delete { name: String },
    /// See how often a rule would have fired, without saving it
    #[command(after_help = "\
Examples:
  quarterdeck alert preview --measure latency_p95 --above 2000 --window 5m --points 100
  quarterdeck alert preview slow --above 1000                     the rule that there is, with another limit")]
    Preview {
        /// Begin with this rule
        name: Option<String>,
        #[command(flatten)]
        rule: Box<Rule>,
        /// How many evaluations, 200 at most [default: 48]
        #[arg(long, value_name = "NUMBER")]
        points: Option<u32>,
        /// How far they are apart [default: the window]
        #[arg(long, value_name = "LENGTH", value_parser = length)]
        step: Option<u64>,
    },
    /// Show what changed about a rule, newest first
    History {
        name: String,
        /// At most this many
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: usize,
    },
    /// Show what alerts told, newest first
    #[command(after_help = "\
Examples:
  quarterdeck alert inbox --unread
  quarterdeck alert inbox --unread --mark-read --output jsonl")]
    Inbox {
        /// Only what is not marked as read
        #[arg(long)]
        unread: bool,
        /// Mark what is shown as read
        #[arg(long)]
        mark_read: bool,
        /// At most this many
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: usize,
    },
    /// Keep rules from telling receivers for a while
    #[command(subcommand)]
    Silence(Silence),
    /// Webhooks that are told
    #[command(subcommand)]
    Receiver(Receiver),
}

/// What a rule is to be.
#[derive(Debug, Args)]
pub struct Rule {
    /// Read the whole rule from this file, as JSON; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<String>,

    /// What is read: calls, errors, error_rate, latency_p50, latency_p95, latency_p99, ttft_p50, ttft_p95, cost, tokens,
    /// input_tokens, output_tokens, output_tokens_per_s, score
    #[arg(long, value_name = "MEASURE", conflicts_with = "sql", help_heading = "What is read")]
    pub measure: Option<String>,
    /// A statement that gives one number; $1 and $2 are when the window begins and ends
    #[arg(long, value_name = "STATEMENT", help_heading = "What is read")]
    pub sql: Option<String>,
    /// Of which scores the mean is read
    #[arg(long, value_name = "NAME", help_heading = "What is read")]
    pub score: Option<String>,
    /// Over how long: 90s, 5m, 1h, 30d [default: 5m]
    #[arg(long, value_name = "LENGTH", value_parser = length, help_heading = "What is read")]
    pub window: Option<u64>,
    /// How often [default: 1m]
    #[arg(long, value_name = "LENGTH", value_parser = length, help_heading = "What is read")]
    pub every: Option<u64>,
    /// How long before its evaluation the window ends: as long as slow calls take [default: 5s]
    #[arg(long, value_name = "LENGTH", value_parser = length, help_heading = "What is read")]
    pub delay: Option<u64>,
    /// Over all projects; the operator's only
    #[arg(long, help_heading = "What is read")]
    pub everywhere: bool,

    /// llm, embedding, retriever, tool, …; without it those that call models
    #[arg(long, help_heading = "Of which calls")]
    pub kind: Option<String>,
    /// ok, error or cancelled
    #[arg(long, help_heading = "Of which calls")]
    pub status: Option<String>,
    /// Asked for by this name, or answered by it
    #[arg(long, help_heading = "Of which calls")]
    pub model: Option<String>,
    #[arg(long, value_name = "NAME", help_heading = "Of which calls")]
    pub provider: Option<String>,
    #[arg(long, value_name = "ID", help_heading = "Of which calls")]
    pub session: Option<String>,
    #[arg(long, value_name = "ID", help_heading = "Of which calls")]
    pub user: Option<String>,
    #[arg(long, help_heading = "Of which calls")]
    pub tag: Option<String>,
    #[arg(long, value_name = "NAME", help_heading = "Of which calls")]
    pub environment: Option<String>,
    /// The name of the operation
    #[arg(long, value_name = "NAME", help_heading = "Of which calls")]
    pub operation: Option<String>,
    #[arg(long, value_name = "NAME", help_heading = "Of which calls")]
    pub prompt: Option<String>,

    /// What is read is more than this
    #[arg(
        long,
        value_name = "NUMBER",
        allow_negative_numbers = true,
        help_heading = "What is told",
        conflicts_with = "below"
    )]
    pub above: Option<f64>,
    /// What is read is less than this
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, help_heading = "What is told")]
    pub below: Option<f64>,
    /// It has grown by more than so many percent
    #[arg(
        long,
        value_name = "PERCENT",
        allow_negative_numbers = true,
        help_heading = "What is told",
        conflicts_with = "change_below"
    )]
    pub change_above: Option<f64>,
    /// It has changed by less than so many percent: -50 is a fall by more than half
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true, help_heading = "What is told")]
    pub change_below: Option<f64>,
    /// A change in the measure's own unit, not in percent
    #[arg(long, help_heading = "What is told")]
    pub absolute: bool,
    /// A change against the window before, or the same a day or a week before: previous, day, week
    #[arg(long, value_name = "WHEN", help_heading = "What is told")]
    pub against: Option<String>,
    /// So much may be used up in a period: dollars, tokens, calls
    #[arg(long, value_name = "NUMBER", help_heading = "What is told", requires = "period", requires = "burn")]
    pub budget: Option<f64>,
    /// The period of the budget
    #[arg(long, value_name = "LENGTH", value_parser = length, help_heading = "What is told", requires = "budget")]
    pub period: Option<u64>,
    /// It is used up at least so many times as fast as it may be
    #[arg(long, value_name = "FACTOR", help_heading = "What is told", requires = "budget")]
    pub burn: Option<f64>,
    /// Over this shorter window as well [default: a twelfth of the window]
    #[arg(long, value_name = "LENGTH", value_parser = length, help_heading = "What is told", requires = "budget")]
    pub short_window: Option<u64>,
    /// There were no calls
    #[arg(long, help_heading = "What is told")]
    pub absent: bool,
    /// How long a new rule waits for the first [default: the window]
    #[arg(long, value_name = "LENGTH", value_parser = length, help_heading = "What is told", requires = "absent")]
    pub grace: Option<u64>,
    /// The limit that what is read has to come back to
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, help_heading = "What is told")]
    pub clear: Option<f64>,

    /// How long that has to hold before the rule fires
    #[arg(long = "for", value_name = "LENGTH", value_parser = length, help_heading = "When it fires")]
    pub hold: Option<u64>,
    /// In how many evaluations on end
    #[arg(long, value_name = "NUMBER", help_heading = "When it fires")]
    pub evaluations: Option<u32>,
    /// How long all has to be well before it is resolved
    #[arg(long, value_name = "LENGTH", value_parser = length, help_heading = "When it fires")]
    pub keep_firing: Option<u64>,
    /// While there is nothing to judge by: quiet, tell, firing or keep [default: quiet]
    #[arg(long, value_name = "WHAT", help_heading = "When it fires")]
    pub on_no_data: Option<String>,
    /// While it cannot be evaluated: tell, quiet, firing or keep [default: tell]
    #[arg(long, value_name = "WHAT", help_heading = "When it fires")]
    pub on_error: Option<String>,
    /// info, warning or critical [default: warning]
    #[arg(long, help_heading = "When it fires")]
    pub severity: Option<String>,
    /// Tell only this receiver; may be repeated
    #[arg(long = "receiver", value_name = "NAME", help_heading = "When it fires")]
    pub receivers: Vec<String>,
    /// What to know and to do; receivers are sent it
    #[arg(long, value_name = "TEXT", help_heading = "When it fires")]
    pub description: Option<String>,
    /// Do not evaluate it
    #[arg(long, conflicts_with = "enable", help_heading = "When it fires")]
    pub disable: bool,
    /// Evaluate it again
    #[arg(long, help_heading = "When it fires")]
    pub enable: bool,
}

#[derive(Debug, Subcommand)]
pub enum Silence {
    /// Silence rules from now on
    #[command(after_help = "\
Examples:
  quarterdeck alert silence add 'slow*' --for 2h --reason \"the provider moves house\"
  quarterdeck alert silence add '*' --for 30m --severity info --reason \"a load test\"")]
    Add(NewSilence),
    /// List the silences that hold or will hold
    List,
    /// End a silence
    End { id: String },
}

/// A silence to make.
#[derive(Debug, Args)]
pub struct NewSilence {
    /// The names of rules, in which * stands for any characters
    pub pattern: String,
    /// For how long: 30m, 2h, 7d
    #[arg(long = "for", value_name = "LENGTH", value_parser = length)]
    pub length: u64,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Only rules of this severity
    #[arg(long)]
    pub severity: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Receiver {
    /// Add a webhook, and print its secret, this once
    #[command(after_help = "\
Examples:
  quarterdeck alert receiver add ops https://hooks.example.org/quarterdeck
  quarterdeck alert receiver add pager https://pager.example.org/in --tell firing --tell resolved")]
    Add(NewReceiver),
    /// List webhooks, and how each fares
    List,
    /// Show one webhook
    Show { name: String },
    /// Send a webhook a message that says it is a test
    Test { name: String },
    /// Tell a webhook again
    Enable { name: String },
    /// Tell a webhook nothing for now
    Disable { name: String },
    /// Make another secret for a webhook, and print it, this once
    RenewSecret { name: String },
    /// Remove a webhook, its secret and what waits for it
    Remove { name: String },
}

/// A webhook to add.
#[derive(Debug, Args)]
pub struct NewReceiver {
    pub name: String,
    /// Where messages are posted to
    #[arg(value_name = "URL")]
    pub hook: String,
    /// What it is told: firing, resolved, no_data, error; may be repeated [default: all of them]
    #[arg(long = "tell", value_name = "CHANGE")]
    pub changes: Vec<String>,
}

/// A length of time: a whole number and its unit.
fn length(text: &str) -> Result<u64, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" | "" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err("write it as 90s, 5m, 1h, 30d or 2w".to_owned()),
    };
    let count: u64 = digits.parse().map_err(|_| "write it as 90s, 5m, 1h, 30d or 2w".to_owned())?;
    count.checked_mul(seconds).ok_or_else(|| "it is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn lengths_have_units() {
        for (text, seconds) in
            [("90s", 90), ("90", 90), ("5m", 300), ("1h", 3_600), ("30d", 2_592_000), ("2w", 1_209_600)]
        {
            assert_eq!(length(text), Ok(seconds), "{text}");
        }
        for text in ["", "m", "5y", "-5m", "1.5h", "99999999999999999999w"] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
