//! `quarterdeck judge …`, as typed.

use clap::{Args, Subcommand};

use crate::args::prompt::value;

#[derive(Debug, Subcommand)]
pub enum Judge {
    /// Make a version of a judge, from a definition, a ready judge, or a file of OpenAI Evals
    #[command(after_help = "\
What its models stand for now is part of the version: it asks nobody else later. Several models are a jury.

Examples:
  quarterdeck judge create grounded --from ready/hallucination --model smollm2-135m-instruct
  quarterdeck judge create polite --file polite.yaml
  quarterdeck judge create kind --from ready/toxicity --model openai/gpt-4o-mini --model mistral/small --combine mean
  quarterdeck judge create concise --evals closedqa.yaml --name closedqa/conciseness --model openai/gpt-4o")]
    Create(JudgeCreate),
    /// List judges
    List,
    /// Show a version of a judge
    Show {
        #[arg(value_name = "NAME[@VERSION]")]
        judge: String,
    },
    /// List the versions of a judge, newest first
    Versions { name: String },
    /// List the judges that are there already, for whatever model
    Ready,
    /// Judge one item now
    #[command(after_help = "\
Examples:
  quarterdeck judge run grounded --value context='Rome is in Italy.' --value answer='Rome is in Spain.'
  quarterdeck judge run ready/helpfulness --model smollm2-135m-instruct --value question=Why? --value answer=Because.
  quarterdeck judge run useful --value question=Where? --value 'contexts:=[\"Rome is in Italy.\"]'")]
    Run(JudgeRun),
    /// Compare a judge with what people said in a dataset, and show its card
    #[command(after_help = "\
Each row that people labelled is judged, or --limit of them drawn at random. What was judged is kept: asked for again, or after a
crash, it goes on and pays nothing twice. With several columns what most people say is the truth.

Examples:
  quarterdeck judge calibrate grounded --dataset halueval --label hallucination --limit 200 --value answer=chatgpt_response
  quarterdeck judge calibrate better --dataset pandalm --label annotator1,annotator2,annotator3 \\
      --means 1=A --means 2=B --means 0=tie --value answer_a=response1 --value answer_b=response2 --usd 1")]
    Calibrate(JudgeCalibrate),
    /// Show what the word of a judge is worth
    Card {
        #[arg(value_name = "NAME[@VERSION]")]
        judge: String,
        /// On which dataset; that of the latest calibration otherwise
        #[arg(long, value_name = "NAME[@VERSION]")]
        dataset: Option<String>,
    },
    /// Delete a judge with all of its versions and what it said in calibrations
    Remove {
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct JudgeCreate {
    pub name: String,
    /// The definition, as YAML or JSON; `-` reads standard input
    #[arg(long, value_name = "FILE", required_unless_present_any = ["from", "evals"], conflicts_with_all = ["from", "evals"])]
    pub file: Option<String>,
    /// A ready judge, as `ready/hallucination`
    #[arg(long, value_name = "READY", conflicts_with = "evals")]
    pub from: Option<String>,
    /// A file of model-graded specifications of OpenAI Evals
    #[arg(long, value_name = "FILE")]
    pub evals: Option<String>,
    /// Which judge of that file
    #[arg(long = "name", value_name = "NAME", requires = "evals")]
    pub spec: Option<String>,
    /// How many answers it compares at once
    #[arg(long, value_name = "NUMBER", requires = "evals")]
    pub completions: Option<usize>,
    /// Where the choice stands, when that file does not say: classify, classify_cot, cot_classify or cot_classify_jp
    #[arg(long, value_name = "WORD", requires = "evals")]
    pub eval_type: Option<String>,
    /// Who judges; several are a jury
    #[arg(long, value_name = "MODEL")]
    pub model: Vec<String>,
    /// How a jury decides: majority, mean or median
    #[arg(long, value_name = "WORD")]
    pub combine: Option<String>,
    /// A value of the judge itself: `name=text`, or `name:=json`; may be repeated
    #[arg(long = "setting", value_name = "NAME=TEXT", value_parser = value)]
    pub settings: Vec<(String, serde_json::Value)>,
    /// Another form of answers: schema, json or text
    #[arg(long, value_name = "FORM")]
    pub form: Option<String>,
}

#[derive(Debug, Args)]
pub struct JudgeRun {
    /// The judge; of a ready one `ready/NAME` with --model
    #[arg(value_name = "NAME[@VERSION]")]
    pub judge: String,
    /// What the judge is shown: `name=text`, or `name:=json`; may be repeated
    #[arg(long = "value", value_name = "NAME=TEXT", value_parser = value, required = true)]
    pub values: Vec<(String, serde_json::Value)>,
    /// Of a ready judge, who judges
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
}

#[derive(Debug, Args)]
pub struct JudgeCalibrate {
    /// The judge; of a ready one `ready/NAME` with --model
    #[arg(value_name = "NAME[@VERSION]")]
    pub judge: String,
    /// Of a ready judge, who judges
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// The dataset that people labelled
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub dataset: String,
    /// The columns with what people said, one for each person
    #[arg(long = "label", value_name = "COLUMNS", value_delimiter = ',', required = true)]
    pub labels: Vec<String>,
    /// From which column an input of the judge is taken, where that has another name; may be repeated
    #[arg(long = "value", value_name = "INPUT=COLUMN", value_parser = pair)]
    pub values: Vec<(String, String)>,
    /// What a word of people's means on the judge's scale; may be repeated
    #[arg(long, value_name = "WORD=MEANING", value_parser = pair)]
    pub means: Vec<(String, String)>,
    /// The column that says which model wrote the answer; of a pair, the two of each
    #[arg(long = "author", value_name = "COLUMNS", value_delimiter = ',')]
    pub authors: Vec<String>,
    /// What those columns call the judge's model
    #[arg(long, value_name = "NAME", requires = "authors")]
    pub own: Option<String>,
    /// How many items, drawn at random
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<usize>,
    /// The same seed draws the same items
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    /// Items that are judged at once
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    pub concurrency: usize,
    /// Stop at this many dollars
    #[arg(long, value_name = "DOLLARS")]
    pub usd: Option<f64>,
    /// Stop at this many tokens
    #[arg(long, value_name = "NUMBER")]
    pub tokens: Option<u64>,
    /// Stop after this many seconds of work
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u64>,
    /// Judge items again whose judgement failed
    #[arg(long)]
    pub retry_failed: bool,
    /// Begin and do not wait
    #[arg(long)]
    pub detach: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (one, other) = text.split_once('=').ok_or("write it as ONE=OTHER")?;
    Ok((one.trim().to_owned(), other.trim().to_owned()))
}
