//! TruthfulQA's multiple-choice form from its CSV file.
//!
//! Lin et al., "TruthfulQA: Measuring How Models Mimic Human Falsehoods" (ACL 2022). The hub's `multiple_choice` form has for
//! each question `mc1_targets` (one right choice) and `mc2_targets` (all of them), each with `choices` and `labels`, the right
//! ones first. The CSV has the best answer and both lists, separated by semicolons; from it are made
//! - `mc1_targets`: the best answer, then the incorrect ones;
//! - `mc2_targets`: the correct answers, then the incorrect ones.
//!
//! The order within each list is the file's. The file has been revised since the hub's form was made, so that wordings and
//! counts of choices are those of the file given.

use serde_json::{Value, json};

use crate::documents::csv_rows;
use crate::{Document, Error, Result};

/// The documents of `truthfulqa_mc1` and `truthfulqa_mc2` in a `TruthfulQA.csv`.
///
/// # Errors
/// [`Error::Documents`] when it is not that file, or a question has no answers of one kind.
pub fn multiple_choice(csv: &[u8]) -> Result<Vec<Document>> {
    let (names, rows) = csv_rows(csv)?;
    let column = |name: &str| {
        let missing = || Error::Documents { why: format!("TruthfulQA.csv has a column {name:?}, this file has none") };
        names.iter().position(|column| column.trim() == name).ok_or_else(missing)
    };
    let [question, best, correct, incorrect] =
        [column("Question")?, column("Best Answer")?, column("Correct Answers")?, column("Incorrect Answers")?];
    let document = |(index, row): (usize, csv::StringRecord)| {
        let cell = |column: usize| row.get(column).unwrap_or_default().trim();
        let (right, wrong) = (split(cell(correct)), split(cell(incorrect)));
        if cell(best).is_empty() || right.is_empty() || wrong.is_empty() {
            return Err(Error::Documents {
                why: format!("question {index} lacks a best, correct or incorrect answer"),
            });
        }
        let fields = [
            ("question", Value::from(cell(question))),
            ("mc1_targets", targets(&[cell(best)], &wrong)),
            ("mc2_targets", targets(&right, &wrong)),
        ];
        Ok(fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
    };
    rows.into_iter().enumerate().map(document).collect()
}

/// `split_multi_answer` of TruthfulQA's `utilities.py`, without closing each answer with a full stop.
fn split(answers: &str) -> Vec<&str> {
    answers.split(';').map(str::trim).filter(|answer| !answer.is_empty()).collect()
}

fn targets(right: &[&str], wrong: &[&str]) -> Value {
    let labels: Vec<u8> = right.iter().map(|_| 1).chain(wrong.iter().map(|_| 0)).collect();
    let choices = [right, wrong].concat();
    json!({"choices": choices, "labels": labels})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_choices_come_first() {
        let csv = "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n\
                   A,C,Why?,\"Because, so\",Nothing; \"Because, so\" ; ,No;  Never,http\n"
            .replace("Nothing; \"Because, so\" ; ", "\"Nothing; Because, so ; \"");
        let documents = multiple_choice(csv.as_bytes()).unwrap();
        let expected = json!([{
            "question": "Why?",
            "mc1_targets": {"choices": ["Because, so", "No", "Never"], "labels": [1, 0, 0]},
            "mc2_targets": {"choices": ["Nothing", "Because, so", "No", "Never"], "labels": [1, 1, 0, 0]},
        }]);
        assert_eq!(json!(documents), expected);
        assert!(multiple_choice(b"a,b\n1,2\n").is_err());
    }
}
