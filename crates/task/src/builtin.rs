//! The functions of Python that the shipped tasks name with `!function`, in Rust.

use serde_json::Value;

use crate::documents::Document;
use crate::python::pattern::Pattern;
use crate::python::text::{count_split_on_space, strip};
use crate::yaml::FUNCTION_FILES;

/// A function that a task file may name, by the folder of the file and the name in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    /// The probability of the true answers among all (`truthfulqa/utils.py`).
    TruthfulMc2,
    /// Words and bytes of the page as it was (`wikitext/preprocess_wikitext.py`).
    WikitextResults,
    /// The page without the marks of its tokens.
    WikitextDetokenize,
    /// The beginnings and endings without WikiHow's marks (`hellaswag/utils.py`).
    HellaswagDocuments,
    /// The letter of a choice that stands in the question (`bbh/zeroshot/utils.py`).
    BbhMultiChoice,
    /// The value that belongs to the first pattern that matches.
    BbhMap,
    /// A number in digits or in words.
    BbhNumber,
    /// The words of the question in the order of the answer.
    BbhWordSort,
}

const NAMES: &[(&str, Builtin)] = &[
    ("truthfulqa/utils.process_results_mc2", Builtin::TruthfulMc2),
    ("wikitext/preprocess_wikitext.process_results", Builtin::WikitextResults),
    ("wikitext/preprocess_wikitext.wikitext_detokenizer", Builtin::WikitextDetokenize),
    ("hellaswag/utils.process_docs", Builtin::HellaswagDocuments),
    ("zeroshot/utils.MultiChoiceRegexFilter", Builtin::BbhMultiChoice),
    ("zeroshot/utils.MapRegexFilter", Builtin::BbhMap),
    ("zeroshot/utils.NumberParseRegexFilter", Builtin::BbhNumber),
    ("zeroshot/utils.WordSortFilter", Builtin::BbhWordSort),
    ("cot_zeroshot/utils.MultiChoiceRegexFilter", Builtin::BbhMultiChoice),
    ("cot_zeroshot/utils.MapRegexFilter", Builtin::BbhMap),
    ("cot_zeroshot/utils.NumberParseRegexFilter", Builtin::BbhNumber),
    ("cot_zeroshot/utils.WordSortFilter", Builtin::BbhWordSort),
];

impl Builtin {
    /// The function of that path, as `folder/module.name`.
    pub(crate) fn named(path: &str) -> Result<Self, String> {
        let is = |name: &str| path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('/'));
        NAMES.iter().find(|(name, _)| is(name)).map(|(_, function)| *function).ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!(
                "!function {path} is Python, which is not run here; {FUNCTION_FILES}: {}. Write it as a template, a filter \
                 or a metric, or change the documents before they are given",
                known.join(", ")
            )
        })
    }

    /// `process_docs` on one document; none when this function is not one of documents.
    pub(crate) fn document(self, document: &Document) -> Option<Result<Document, String>> {
        (self == Self::HellaswagDocuments).then(|| hellaswag(document))
    }

    /// `doc_to_target` and `doc_to_text`; none when this function is not one of texts.
    pub(crate) fn text(self, document: &Document) -> Option<Result<String, String>> {
        (self == Self::WikitextDetokenize).then(|| detokenize(field(document, "page")?))
    }
}

fn field<'d>(document: &'d Document, name: &str) -> Result<&'d str, String> {
    document.get(name).and_then(Value::as_str).ok_or_else(|| format!("the field {name:?} is not a text"))
}

/// `process_docs` of `hellaswag/utils.py`: three fields more.
fn hellaswag(document: &Document) -> Result<Document, String> {
    let begun = format!("{} {}", field(document, "ctx_a")?, capitalize(field(document, "ctx_b")?));
    let endings = document.get("endings").and_then(Value::as_array).ok_or("the field \"endings\" is not a list")?;
    let endings = endings.iter().map(|ending| hellaswag_text(ending.as_str().unwrap_or_default()));
    let label = match document.get("label") {
        Some(Value::String(label)) => {
            strip(label).parse::<i64>().map_err(|_| format!("the label {label:?} is no number"))?
        }
        Some(Value::Number(label)) => label.as_i64().ok_or("the label is no whole number")?,
        _ => return Err("there is no label".to_owned()),
    };
    let mut document = document.clone();
    let query = hellaswag_text(&format!("{}: {begun}", field(&document, "activity_label")?))?;
    document.insert("query".to_owned(), Value::from(query));
    document.insert("choices".to_owned(), Value::from(endings.collect::<Result<Vec<_>, _>>()?));
    document.insert("gold".to_owned(), Value::from(label));
    Ok(document)
}

/// `str.capitalize`.
fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}

fn hellaswag_text(text: &str) -> Result<String, String> {
    let text = strip(text).replace(" [title]", ". ");
    Ok(Pattern::new(r"\[.*?\]")?.replace(&text, "", 0)?.replace("  ", " "))
}

/// `wikitext_detokenizer` of `wikitext/preprocess_wikitext.py`.
fn detokenize(page: &str) -> Result<String, String> {
    let mut text = page.replace("s '", "s'");
    text = Pattern::new("/' [0-9]/")?.replace(&text, "/'[0-9]/", 0)?;
    for (written, meant) in [
        (" @-@ ", "-"),
        (" @,@ ", ","),
        (" @.@ ", "."),
        (" : ", ": "),
        (" ; ", "; "),
        (" . ", ". "),
        (" ! ", "! "),
        (" ? ", "? "),
        (" , ", ", "),
    ] {
        text = text.replace(written, meant);
    }
    for (pattern, by) in [
        (r"\(\s*([^\)]*?)\s*\)", r"(\1)"),
        (r"\[\s*([^\]]*?)\s*\]", r"[\1]"),
        (r"{\s*([^}]*?)\s*}", r"{\1}"),
        (r#"\"\s*([^\"]*?)\s*\""#, r#""\1""#),
        (r"'\s*([^']*?)\s*'", r"'\1'"),
    ] {
        text = Pattern::new(pattern)?.replace(&text, by, 0)?;
    }
    for (written, meant) in [
        ("= = = =", "===="),
        ("= = =", "==="),
        ("= =", "=="),
        (" \u{b0} ", "\u{b0}"),
        (" \n", "\n"),
        ("\n ", "\n"),
        (" N ", " 1 "),
        (" 's", "'s"),
    ] {
        text = text.replace(written, meant);
    }
    Ok(text)
}

/// Words and bytes of a page before it was detokenised, which is what wikitext's numbers are per.
pub(crate) fn wikitext_sizes(document: &Document) -> Result<(usize, usize), String> {
    let page = field(document, "page")?;
    Ok((count_split_on_space(page), page.len()))
}
