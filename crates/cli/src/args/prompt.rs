//! `quarterdeck prompt …`, as typed.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Prompt {
    /// Add a version to a prompt; the first one makes it
    #[command(after_help = "\
The file is the content of the version, as JSON or TOML:
  {\"messages\": [{\"role\": \"user\", \"content\": \"Greet {{ name }}.\"}],
   \"variables\": [{\"name\": \"name\", \"type\": \"string\"}],
   \"model\": \"smollm2-135m-instruct\", \"parameters\": {\"temperature\": 0.2, \"max_tokens\": 50}}

Examples:
  quarterdeck prompt create greeting --file greeting.json --message \"First try\"
  quarterdeck prompt create greeting --file greeting.toml --label staging
  quarterdeck prompt show greeting --output json | jq .content > greeting.json     edit it, then create again")]
    Create {
        name: String,
        /// The content, as JSON or (by the ending .toml) TOML; `-` reads JSON from standard input
        #[arg(long, value_name = "FILE")]
        file: String,
        /// Why, for those who look at the versions
        #[arg(long, short, value_name = "TEXT")]
        message: Option<String>,
        /// Point this label at it, wherever it is now
        #[arg(long, value_name = "LABEL")]
        label: Option<String>,
    },
    /// List prompts with their labels
    List,
    /// Show a version as text; `--output json` shows its content
    #[command(after_help = "\
Examples:
  quarterdeck prompt show greeting                 the version labelled production, else the latest
  quarterdeck prompt show greeting@staging
  quarterdeck prompt show greeting@3 --output json")]
    Show {
        #[arg(value_name = "NAME[@LABEL|@VERSION]")]
        prompt: String,
    },
    /// List the versions of a prompt, the newest first
    Versions {
        name: String,
        /// At most this many
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: usize,
    },
    /// Show what a version says with these values, without calling a model
    #[command(after_help = "\
Examples:
  quarterdeck prompt render greeting --var name=Ada
  quarterdeck prompt render greeting@3 --vars values.json
  quarterdeck prompt render sum --var 'numbers:=[1, 2, 3]'")]
    Render {
        #[arg(value_name = "NAME[@LABEL|@VERSION]")]
        prompt: String,
        #[command(flatten)]
        values: Values,
    },
    /// Call a model with a version, and print the answer as it comes; `--output json` prints the whole of it
    #[command(after_help = "\
Examples:
  quarterdeck prompt run greeting --var name=Ada
  quarterdeck prompt run greeting@staging --model openai/gpt-4o-mini --var name=Ada")]
    Run {
        #[arg(value_name = "NAME[@LABEL|@VERSION]")]
        prompt: String,
        #[command(flatten)]
        values: Values,
        /// Ask this model instead of the one that the version names
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
    },
    /// Show how two versions differ: in words, and by what experiments and production know of them
    #[command(after_help = "\
Examples:
  quarterdeck prompt diff greeting 1 2
  quarterdeck prompt diff greeting production latest")]
    Diff {
        name: String,
        /// A number, a label or `latest`
        from: String,
        /// The same
        to: String,
    },
    /// Show how the versions fare in production; calls that experiments made do not count
    #[command(after_help = "\
Examples:
  quarterdeck prompt metrics greeting
  quarterdeck prompt metrics greeting --days 30 --output json")]
    Metrics {
        name: String,
        /// Of the last so many days [default: 7]
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
    },
    /// Point a label at a version: calls that ask for it get that version from then on
    #[command(after_help = "\
Examples:
  quarterdeck prompt label greeting production 3
  quarterdeck prompt label greeting production 3 --expect 2     only if it is at version 2
  quarterdeck prompt label greeting production 3 --expect 0     only if it is nowhere")]
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
    /// Say something about a version; without a text, list what was said
    #[command(after_help = "\
Examples:
  quarterdeck prompt comment greeting
  quarterdeck prompt comment greeting 3 \"Too warm for support.\"")]
    Comment {
        name: String,
        #[arg(requires = "text")]
        version: Option<u32>,
        text: Option<String>,
    },
    /// Remove a prompt with all of its versions, labels and comments
    Remove { name: String },
}

/// Values of variables.
#[derive(Debug, Args)]
pub struct Values {
    /// A value: `name=text`, or `name:=json`; may be repeated
    #[arg(long = "var", value_name = "NAME=TEXT", value_parser = value)]
    pub values: Vec<(String, serde_json::Value)>,
    /// Values as a JSON object in a file; `-` reads standard input. `--var` goes over it
    #[arg(long = "vars", value_name = "FILE")]
    pub file: Option<String>,
}

pub(super) fn value(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=TEXT or NAME:=JSON")?;
    match name.strip_suffix(':') {
        None => Ok((name.trim().to_owned(), value.into())),
        Some(name) => {
            let value = serde_json::from_str(value).map_err(|cause| format!("{value:?} is no JSON: {cause}"))?;
            Ok((name.trim().to_owned(), value))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_text_or_json() {
        assert_eq!(value("name=a=b"), Ok(("name".to_owned(), json!("a=b"))));
        assert_eq!(value("n:=3"), Ok(("n".to_owned(), json!(3))));
        assert_eq!(value("n=3"), Ok(("n".to_owned(), json!("3"))));
        assert!(value("name").is_err() && value("n:=x").is_err());
    }
}
