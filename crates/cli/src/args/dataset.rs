//! `quarterdeck dataset`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What to do with datasets.
#[derive(Debug, Subcommand)]
pub enum Dataset {
    /// List the datasets
    List,
    /// Import files, a folder in the layout of the Hugging Face hub, or a data set of the hub itself, as a new version
    #[command(after_help = "\
Examples:
  quarterdeck dataset import gsm8k train.jsonl --role question=input --role answer=reference
  quarterdeck dataset import hate labeled_data.csv --role tweet=input --role class=label
  quarterdeck dataset import squad ./squad --split validation
  quarterdeck dataset import gsm8k-test hub:openai/gsm8k --subset main --split test
  quarterdeck dataset import big rows.jsonl.gz --skip-bad --output json
  quarterdeck dataset import big rows.jsonl.gz --check

JSON lines, JSON, CSV, TSV and Parquet are read, also as .gz and .zst. Every row is looked at before a version comes to be: bad
ones are named by their lines with the reason, and nothing is imported unless --skip-bad leaves them out. A data set of the hub is
fetched by this command from HF_ENDPOINT, with HF_TOKEN where it is not for everybody; its commit is noted with the version. Roles are id, input,
messages, reference, context, label, variables and metadata; those that are not told are guessed from names.")]
    Import(DatasetImport),
    /// Show a version: its columns, where it comes from, what was made from it
    #[command(after_help = "Examples:\n  quarterdeck dataset show gsm8k\n  quarterdeck dataset show gsm8k@production")]
    Show {
        /// The dataset, perhaps with @ and a version or a label
        name: String,
    },
    /// List the versions of a dataset, newest first
    Versions {
        name: String,
        /// At most this many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Print rows of a version
    #[command(after_help = "\
Examples:
  quarterdeck dataset rows gsm8k --offset 500000 --limit 20
  quarterdeck dataset rows gsm8k@2 --search apples --output jsonl
  quarterdeck dataset rows hate --where class=0")]
    Rows(DatasetRows),
    /// Print the first rows of a version
    #[command(after_help = "Example:\n  quarterdeck dataset head gsm8k -n 3")]
    Head {
        /// The dataset, perhaps with @ and a version or a label
        name: String,
        /// How many
        #[arg(short = 'n', default_value_t = 10, value_name = "ROWS")]
        count: u64,
    },
    /// Run one read-only SQL statement over the rows of a version
    #[command(after_help = "\
Examples:
  quarterdeck dataset sql hate \"SELECT class, count(*) FROM rows GROUP BY class\"
  quarterdeck dataset sql gsm8k@production \"SELECT * FROM rows WHERE length(question) > 500\" --output csv

The table `rows` has the version's columns, of which those of type json are their JSON text, and __row_id. A name with capital
letters or spaces is written in double quotes.")]
    Sql {
        /// The dataset, perhaps with @ and a version or a label
        name: String,
        #[command(flatten)]
        sql: super::Sql,
    },
    /// Compare two versions row by row
    #[command(after_help = "\
Examples:
  quarterdeck dataset diff gsm8k                        the latest with the one before
  quarterdeck dataset diff gsm8k 1 production --change changed")]
    Diff(DatasetDiff),
    /// Split a version into other datasets, so that a row always falls into the same
    #[command(after_help = "\
Examples:
  quarterdeck dataset split gsm8k --part train=0.8 --part test=0.2 --seed 7
  quarterdeck dataset split chats@3 --part dev=0.1 --part test=0.1 --group user_id
  quarterdeck dataset split hate --part train=0.8 --part test=0.2 --stratify class

Where a row falls follows from the seed and from the row alone, so rows that are added later move no other. The parts are
versions of gsm8k-train and gsm8k-test. With --stratify the rows of each value are shared out exactly instead, and rows that
are added later may move some.")]
    Split(DatasetSplit),
    /// Add rows of JSON lines, or recorded calls, as a new version
    #[command(after_help = "\
Examples:
  quarterdeck dataset add gsm8k --file more.jsonl
  echo '{\"question\": \"1+1?\", \"answer\": \"2\"}' | quarterdeck dataset add gsm8k --file -
  quarterdeck dataset add failures --traces --status error --since 2026-01-01T00:00:00Z
  quarterdeck dataset add liked --traces --tag good --limit 500")]
    Add(DatasetAdd),
    /// Replace rows by others with the same identifiers, as a new version
    #[command(after_help = "\
Examples:
  quarterdeck dataset replace gsm8k --file mended.jsonl
  quarterdeck dataset rows chats --search refund --output jsonl > some.jsonl
  quarterdeck dataset replace chats --file some.jsonl --base 3

A line is a row with its value in the column whose role is id, or a row as `dataset rows --output jsonl` prints it:
{\"id\": …, \"values\": {…}}. The latter is the only way where a dataset has no such column. Rows that are not there are named, and
nothing is replaced then.")]
    Replace(DatasetReplace),
    /// Remove rows, as a new version
    #[command(after_help = "\
Examples:
  quarterdeck dataset remove-rows gsm8k q17 q204
  quarterdeck dataset remove-rows gsm8k --file bad.jsonl
  quarterdeck dataset remove-rows hate --where class=3 --check       prints the rows that would go
  quarterdeck dataset remove-rows chats --search \"as an AI\" --output json

Identifiers are those that `dataset rows --output jsonl` prints. A line of a file is one as a JSON text, or a row. Rows that are not there
are named, and nothing is removed then. `dataset remove` removes the whole dataset.")]
    RemoveRows(DatasetRemoveRows),
    /// Write all rows of a version into a file
    #[command(after_help = "\
Examples:
  quarterdeck dataset export gsm8k --to gsm8k.jsonl
  quarterdeck dataset export gsm8k@production --format parquet --to gsm8k.parquet
  quarterdeck dataset export gsm8k --format csv --to - | head")]
    Export(DatasetExport),
    /// Point a label at a version
    #[command(after_help = "Example:\n  quarterdeck dataset label gsm8k production 3")]
    Label {
        name: String,
        label: String,
        /// The version's number
        version: u32,
        /// The version where the label is now, 0 for nowhere; elsewhere, nothing is changed
        #[arg(long, value_name = "VERSION")]
        expect: Option<u32>,
    },
    /// Take a label away
    Unlabel { name: String, label: String },
    /// Remove a dataset with all its versions
    Remove { name: String },
}

/// What to import, and how.
#[derive(Debug, Args)]
pub struct DatasetImport {
    /// The dataset, which comes to be when there is none
    pub name: String,
    /// Files, one folder, or a data set of the hub: hub:OWNER/NAME, perhaps with @ and a branch, tag or commit
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What a column is for; may be repeated
    #[arg(long = "role", value_name = "COLUMN=ROLE", value_parser = pair)]
    pub roles: Vec<(String, String)>,
    /// What a column holds: text, integer, number, boolean or json; may be repeated
    #[arg(long = "type", value_name = "COLUMN=TYPE", value_parser = pair)]
    pub types: Vec<(String, String)>,
    /// What the files are [default: told by their names and beginnings]
    #[arg(long, value_enum)]
    pub format: Option<DatasetFormat>,
    /// Of JSON documents, the field that holds the rows [default: the first list of objects]
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// Of a folder or the hub, only this split
    #[arg(long)]
    pub split: Option<String>,
    /// Of a folder or the hub, this configuration
    #[arg(long)]
    pub subset: Option<String>,
    /// Leave bad rows out instead of importing nothing
    #[arg(long)]
    pub skip_bad: bool,
    /// Look at every row and tell the columns, their roles and the bad rows, without importing anything
    #[arg(long, conflicts_with = "detach")]
    pub check: bool,
    /// Return when the files are uploaded, with the job's id
    #[arg(long)]
    pub detach: bool,
}

impl DatasetImport {
    /// One split of a data set of the hub.
    pub fn of_hub(name: String, id: &str, subset: Option<String>, split: Option<String>) -> Self {
        Self {
            name,
            files: vec![format!("hub:{id}").into()],
            roles: Vec::new(),
            types: Vec::new(),
            format: None,
            field: None,
            split,
            subset,
            skip_bad: false,
            check: false,
            detach: false,
        }
    }
}

/// What a file with rows is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatasetFormat {
    Jsonl,
    Json,
    Csv,
    Parquet,
}

/// Which rows to print.
#[derive(Debug, Args)]
pub struct DatasetRows {
    /// The dataset, perhaps with @ and a version or a label
    pub name: String,
    /// The place of the first, from 0
    #[arg(long, default_value_t = 0)]
    pub offset: u64,
    /// At most this many
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// With this text in any column
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
    /// With this value in this column
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = pair)]
    pub equal: Option<(String, String)>,
}

/// What to compare.
#[derive(Debug, Args)]
pub struct DatasetDiff {
    pub name: String,
    /// The earlier version or a label [default: the one before the later]
    pub from: Option<String>,
    /// The later version or a label [default: the latest]
    pub to: Option<String>,
    /// Only rows that were added, removed or changed
    #[arg(long, value_name = "CHANGE")]
    pub change: Option<String>,
    /// Print at most this many rows
    #[arg(long, default_value_t = 50)]
    pub limit: u64,
}

/// How to split.
#[derive(Debug, Args)]
pub struct DatasetSplit {
    /// The dataset, perhaps with @ and a version or a label
    pub name: String,
    /// A part and how much of the dataset it is; repeated for each
    #[arg(long = "part", required = true, value_name = "NAME=FRACTION", value_parser = pair)]
    pub parts: Vec<(String, String)>,
    /// Other seeds give other parts
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Rows with the same value in this column stay together
    #[arg(long, value_name = "COLUMN", conflicts_with = "stratify")]
    pub group: Option<String>,
    /// Of the rows of each value of this column every part gets its share
    #[arg(long, value_name = "COLUMN")]
    pub stratify: Option<String>,
}

/// What to add.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["file", "traces"])))]
pub struct DatasetAdd {
    /// The dataset, which comes to be when there is none
    pub name: String,
    /// Rows as JSON lines; `-` for standard input
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Recorded calls, the newest that the filters want
    #[arg(long)]
    pub traces: bool,
    /// Of these at most so many
    #[arg(long, requires = "traces", value_name = "CALLS")]
    pub limit: Option<usize>,
    /// Asked for by this name, or answered by it
    #[arg(long, requires = "traces")]
    pub model: Option<String>,
    /// ok, error or cancelled
    #[arg(long, requires = "traces")]
    pub status: Option<String>,
    /// llm, embedding, retriever, tool, … [default: llm]
    #[arg(long, requires = "traces")]
    pub kind: Option<String>,
    #[arg(long, requires = "traces", value_name = "ID")]
    pub session: Option<String>,
    #[arg(long, requires = "traces", value_name = "ID")]
    pub user: Option<String>,
    /// With this tag
    #[arg(long, requires = "traces")]
    pub tag: Option<String>,
    /// With this prompt artifact
    #[arg(long, requires = "traces", value_name = "NAME")]
    pub prompt: Option<String>,
    /// With this text in input or output
    #[arg(long, requires = "traces")]
    pub text: Option<String>,
    /// From this moment on (RFC 3339)
    #[arg(long, requires = "traces", value_name = "TIME")]
    pub since: Option<String>,
    /// Before this moment (RFC 3339)
    #[arg(long, requires = "traces", value_name = "TIME")]
    pub until: Option<String>,
}

/// What to replace.
#[derive(Debug, Args)]
pub struct DatasetReplace {
    /// The dataset
    pub name: String,
    /// The rows as JSON lines; `-` for standard input
    #[arg(long)]
    pub file: PathBuf,
    /// Only if this is still the latest version
    #[arg(long, value_name = "VERSION")]
    pub base: Option<u32>,
}

/// Which rows to remove.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "file", "search", "equal"])))]
pub struct DatasetRemoveRows {
    /// The dataset
    pub name: String,
    /// The rows' identifiers
    #[arg(value_name = "ID", conflicts_with_all = ["file", "search", "equal"])]
    pub ids: Vec<String>,
    /// Rows or identifiers as JSON lines; `-` for standard input
    #[arg(long, conflicts_with_all = ["search", "equal"])]
    pub file: Option<PathBuf>,
    /// Rows with this text in any column
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
    /// Rows with this value in this column
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = pair)]
    pub equal: Option<(String, String)>,
    /// Only if this is still the latest version
    #[arg(long, value_name = "VERSION")]
    pub base: Option<u32>,
    /// Print the identifiers of the rows that would go, and remove none
    #[arg(long)]
    pub check: bool,
}

/// What to export, and where to.
#[derive(Debug, Args)]
pub struct DatasetExport {
    /// The dataset, perhaps with @ and a version or a label
    pub name: String,
    /// The file, which gets its name when it is whole; `-` for standard output
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// In CSV and Parquet, lists and objects are JSON text
    #[arg(long, value_enum, default_value = "jsonl")]
    pub format: DatasetExportFormat,
}

/// The form of an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatasetExportFormat {
    Jsonl,
    Csv,
    Parquet,
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.rsplit_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}
