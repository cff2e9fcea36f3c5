//! `quarterdeck annotation …`, as typed.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Annotation {
    /// Make a version of an annotation: which rows people label, what they are asked, and what they see
    #[command(after_help = "\
The file is the definition, as JSON or TOML:
  {\"dataset\": \"answers@1\", \"sample\": {\"limit\": 100, \"seed\": 7, \"stratify\": \"topic\"},
   \"question\": \"Which answer is better?\", \"guidelines\": \"Prefer what is right over what is long.\",
   \"scale\": {\"kind\": \"pairwise\", \"a\": \"answer_a\", \"b\": \"answer_b\"}, \"show\": [\"question\"],
   \"overlap\": {\"labels\": 3, \"share\": 0.5}, \"lease_minutes\": 30}

Other scales:
  {\"kind\": \"boolean\"}
  {\"kind\": \"categorical\", \"categories\": [{\"name\": \"right\"}, {\"name\": \"wrong\"}], \"ordered\": false}
  {\"kind\": \"numeric\", \"lowest\": 1, \"highest\": 5}
  {\"kind\": \"range\", \"lowest\": 0, \"highest\": 100}

Example:
  quarterdeck annotation create better --file better.json --annotator ada --annotator bob --adjudicator eve")]
    Create(AnnotationCreate),
    /// List annotations, the newest first
    List,
    /// Show what is asked, of what, and by whom it is answered
    Show {
        #[arg(value_name = "NAME[@VERSION]")]
        annotation: String,
    },
    /// Say who labels and who decides; of a role that nobody is named for, whoever may write does
    People {
        #[arg(value_name = "NAME[@VERSION]")]
        annotation: String,
        /// Who may label
        #[arg(long = "annotator", value_name = "NAME")]
        annotators: Vec<String>,
        /// Who may decide where labels differ
        #[arg(long = "adjudicator", value_name = "NAME")]
        adjudicators: Vec<String>,
    },
    /// Give an annotator the next item
    Next {
        #[arg(value_name = "NAME[@VERSION]")]
        annotation: String,
        /// The annotator
        #[arg(long = "as", value_name = "NAME")]
        who: String,
    },
    /// Say something of an item, or skip it
    #[command(after_help = "\
Examples:
  quarterdeck annotation label better 17 first --as ada
  quarterdeck annotation label stars 3 4 --as bob --comment 'the second half is cut off'
  quarterdeck annotation label stars 3 --as bob --skip 'not my language'")]
    Label(AnnotationLabel),
    /// Ask one item after the other at this terminal
    #[command(after_help = "\
One answer a line: a choice by its name or number, or a number of the range. `s WHY` skips the item; `q`, or the end of the input, ends.

Example:
  quarterdeck annotation work better --as ada")]
    Work {
        #[arg(value_name = "NAME[@VERSION]")]
        annotation: String,
        /// The annotator
        #[arg(long = "as", value_name = "NAME")]
        who: String,
    },
    /// Show the items of which labels differ, the least sure first
    Disagreements {
        #[arg(value_name = "NAME[@VERSION]")]
        annotation: String,
        /// Those too that somebody has decided
        #[arg(long)]
        decided: bool,
        /// At most this many
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        limit: usize,
    },
    /// Show all items with what was said of them and what is true by that
    Items {
        #[arg(value_name = "NAME[@VERSION]")]
        annotation: String,
        /// At most this many
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        limit: usize,
    },
    /// Decide what is true of an item, whatever was said of it
    #[command(after_help = "\
Of two answers the value is `a`, `b` or `tie`, by the columns that are compared.

Example:
  quarterdeck annotation adjudicate better 17 a --as eve --reason 'b invents a source'")]
    Adjudicate {
        #[arg(value_name = "NAME[@VERSION]")]
        annotation: String,
        /// The item's number
        item: u32,
        /// What is true
        value: String,
        /// Who decides
        #[arg(long = "as", value_name = "NAME")]
        who: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Show how far people are, how far they agree, and which leaning each has
    Report {
        #[arg(value_name = "NAME[@VERSION]")]
        annotation: String,
    },
    /// Make verdicts a column of the dataset, or of a dataset of their own
    #[command(after_help = "\
Examples:
  quarterdeck annotation export better                                    the dataset gets a version with the column label
  quarterdeck annotation export better --to better-gold --details         the labelled rows alone, with who said what
  quarterdeck annotation export better --column verdict --value a=1 --value b=2 --value tie=0")]
    Export(AnnotationExport),
    /// Delete an annotation with all of its versions, labels and decisions; what was exported stays
    Remove {
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct AnnotationCreate {
    pub name: String,
    /// The definition, as JSON or (by the ending .toml) TOML; `-` reads JSON from standard input
    #[arg(long, value_name = "FILE")]
    pub file: String,
    /// Who may label; whoever may write when nobody is named
    #[arg(long = "annotator", value_name = "NAME")]
    pub annotators: Vec<String>,
    /// Who may decide where labels differ; whoever may write when nobody is named
    #[arg(long = "adjudicator", value_name = "NAME")]
    pub adjudicators: Vec<String>,
}

#[derive(Debug, Args)]
pub struct AnnotationLabel {
    #[arg(value_name = "NAME[@VERSION]")]
    pub annotation: String,
    /// The item's number
    pub item: u32,
    /// What is said; of two answers `first`, `second` or `tie`, as they were shown
    #[arg(required_unless_present = "skip")]
    pub value: Option<String>,
    /// The annotator
    #[arg(long = "as", value_name = "NAME")]
    pub who: String,
    /// Say nothing of the item, and why
    #[arg(long, value_name = "WHY", conflicts_with = "value")]
    pub skip: Option<String>,
    /// What else there is to say
    #[arg(long)]
    pub comment: Option<String>,
    /// How long it took; the time since the item was given when absent
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<f64>,
}

#[derive(Debug, Args)]
pub struct AnnotationExport {
    #[arg(value_name = "NAME[@VERSION]")]
    pub annotation: String,
    /// The column
    #[arg(long, value_name = "NAME", default_value = "label")]
    pub column: String,
    /// The dataset that the labelled rows become a version of; when absent, the dataset that was labelled gets a version with the column
    #[arg(long, value_name = "DATASET")]
    pub to: Option<String>,
    /// What stands for a value, as `tie=0`
    #[arg(long = "value", value_name = "VALUE=JSON")]
    pub values: Vec<String>,
    /// Add columns that tell by what each verdict came about and what each annotator said
    #[arg(long)]
    pub details: bool,
}
