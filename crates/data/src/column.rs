//! What a column of a dataset holds and what it is for.

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Columns of one dataset at most.
pub const MAX_COLUMNS: usize = 1000;
/// The longest name of a column, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, one in the dataset.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// What it is for.
    pub role: Role,
}

qd_base::words!(
    /// What the values of a column are. Each may also be missing.
    ColumnType, "type of a column", {
        /// Text.
        Text = "text",
        /// Whole numbers of 64 bits.
        Integer = "integer",
        /// Numbers of double precision.
        Number = "number",
        /// True or false.
        Boolean = "boolean",
        /// Anything of JSON, kept as its text: lists, objects, messages, and columns whose values differ in kind.
        Json = "json",
    }
);

qd_base::words!(
    /// What a column is for. Prompts, experiments and metrics ask for columns by what they are for.
    Role, "role of a column", {
        /// What makes a row the same row in another version; its values are there and differ.
        Id = "id",
        /// What is asked.
        Input = "input",
        /// The whole conversation that is asked, as chat messages.
        Messages = "messages",
        /// What a good answer is.
        Reference = "reference",
        /// What the answer is to be based on.
        Context = "context",
        /// The class that the row belongs to.
        Label = "label",
        /// What templates may name.
        Variables = "variables",
        /// What is known about the row.
        Metadata = "metadata",
    }
);

impl ColumnType {
    /// How such a column lies in a file.
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Boolean => DataType::Boolean,
        }
    }
}

impl Role {
    /// Whether a dataset has one column of this role at most.
    pub const fn is_single(self) -> bool {
        matches!(self, Self::Id | Self::Input | Self::Messages | Self::Reference | Self::Label)
    }

    /// Names that mostly mean this role, the surest first.
    fn usual_names(self) -> &'static [&'static str] {
        match self {
            Self::Id => {
                &["id", "_id", "uid", "uuid", "row_id", "question_id", "example_id", "case_id", "functionality_id"]
            }
            Self::Input => &[
                "input",
                "question",
                "prompt",
                "query",
                "instruction",
                "problem",
                "user_query",
                "text",
                "full_text",
                "sentence",
                "tweet",
                "premise",
                "test_case",
            ],
            Self::Messages => &["messages", "conversations", "conversation", "chat", "dialogue", "dialog"],
            Self::Reference => &[
                "reference",
                "expected",
                "expected_output",
                "answer",
                "target",
                "output",
                "completion",
                "response",
                "right_answer",
                "best_answer",
                "best answer",
                "ideal",
                "gold",
                "solution",
                "chatgpt_response",
                "chosen",
            ],
            Self::Context => &[
                "context",
                "contexts",
                "passage",
                "passages",
                "document",
                "documents",
                "background",
                "knowledge",
                "references",
            ],
            Self::Label => &["label", "labels", "class", "category", "label_gold", "hallucination"],
            Self::Metadata => &[
                "metadata",
                "meta",
                "source",
                "split",
                "url",
                "created",
                "created_at",
                "timestamp",
                "trace_id",
                "span_id",
            ],
            Self::Variables => &[],
        }
    }
}

/// The roles that the names of columns suggest; what none suggests is for templates. `may` says whether the values of a
/// column allow a role. Of a role that is for one column, the surest name has it.
pub(crate) fn guess(names: &[&str], taken: &[Role], may: impl Fn(usize, Role) -> bool) -> Vec<Role> {
    let lower: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
    let mut roles = vec![Role::Variables; names.len()];
    let mut given = vec![false; names.len()];
    for &role in Role::ALL {
        for usual in role.usual_names() {
            let found = lower.iter().position(|name| name == usual);
            let Some(at) = found.filter(|at| !given[*at] && may(*at, role)) else { continue };
            if role.is_single() && (taken.contains(&role) || roles.contains(&role)) {
                break;
            }
            (roles[at], given[at]) = (role, true);
        }
    }
    roles
}

/// Names that a dataset has for itself: the identifier of each row, and the digest of its values.
pub const ROW_ID: &str = "__row_id";
/// See [`ROW_ID`].
pub const ROW_HASH: &str = "__row_hash";

/// Whether a column may have this name.
///
/// # Errors
/// Why it may not.
pub fn check_name(name: &str) -> Result<(), String> {
    match name {
        "" => Err("a column has no name".to_owned()),
        ROW_ID | ROW_HASH => Err(format!("no column may be named {name}: a dataset has it for itself")),
        name if name.len() > MAX_NAME_BYTES => {
            Err(format!("the name of a column is longer than {MAX_NAME_BYTES} bytes"))
        }
        _ => Ok(()),
    }
}

/// Whether roles can stand beside each other.
pub(crate) fn check_roles(columns: &[Column]) -> Result<(), Error> {
    for (at, column) in columns.iter().enumerate().filter(|(_, column)| column.role.is_single()) {
        if let Some(other) = columns[..at].iter().find(|other| other.role == column.role) {
            let why = format!("{} and {} cannot both be the {}", other.name, column.name, column.role);
            return Err(Error::invalid("roles", why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &[Role]) {
        assert_eq!(guess(names, &[], |_, _| true), expected, "{names:?}");
    }

    #[test]
    fn names_of_common_datasets_are_understood() {
        use Role::*;
        // GSM8K, BIG-Bench Hard, TruthfulQA, Alpaca, SQuAD, HH-RLHF, ShareGPT.
        check(&["question", "answer"], &[Input, Reference]);
        check(&["input", "target"], &[Input, Reference]);
        check(
            &["Type", "Category", "Question", "Best Answer", "Correct Answers", "Source"],
            &[Variables, Label, Input, Reference, Variables, Metadata],
        );
        check(&["instruction", "input", "output"], &[Variables, Input, Reference]);
        check(&["id", "title", "context", "question", "answers"], &[Id, Variables, Context, Input, Variables]);
        check(&["chosen", "rejected"], &[Reference, Variables]);
        check(&["id", "conversations"], &[Id, Messages]);
    }

    #[test]
    fn a_role_that_somebody_has_is_not_guessed_again() {
        assert_eq!(guess(&["question", "input"], &[Role::Input], |_, _| true), [Role::Variables, Role::Variables]);
        assert_eq!(guess(&["id"], &[], |_, role| role != Role::Id), [Role::Variables]);
    }

    #[test]
    fn words_are_their_json() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_string(role).unwrap(), format!("\"{role}\""));
            assert_eq!(role.as_str().parse::<Role>().unwrap(), *role);
        }
        let said = "x".parse::<ColumnType>().unwrap_err().to_string();
        assert_eq!(said, "\"x\" is not a type of a column: use one of text, integer, number, boolean, json");
    }
}
