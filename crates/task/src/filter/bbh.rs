//! The filters of BIG-Bench Hard's tasks, from `lm_eval/tasks/bbh/zeroshot/utils.py`.

use std::sync::LazyLock;

use serde_json::Value;

use super::{DEFAULT_FALLBACK, Extract, Step, number_word};
use crate::Result;
use crate::documents::Document;
use crate::fields::Fields;
use crate::python::pattern::Pattern;
use crate::python::text::{is_space, strip};

/// Numbers in English words; the pattern of the original, whose branch resets have no groups and are plain groups here.
static NUMBER_WORDS: LazyLock<std::result::Result<Pattern, String>> = LazyLock::new(|| {
    let word = "zero|one|two|three|four|five|(?:twen|thir|for|fif|six|seven|nine)(?:RESET)|eight(?:EIGHT)|ten|eleven|\
                twelve|fourteen|hundred|thousand|(?:m|b|tr)illion";
    let like = |reset: &str, eight: &str| word.replace("RESET", reset).replace("EIGHT", eight);
    let (before, between, last) = (like("teen|ty", "|een|y"), like("|teen|ty", "een|y"), like("|teen|ty", "een|y"));
    Pattern::new(&format!("((?:(?:{before})(?:{between}|[^\\S\\r\\n]|,|and|&)+)?(?:{last}))"))
});

/// `MapRegexFilter`: patterns and the values that stand for what they match.
pub(super) fn read_map(fields: &mut Fields) -> Result<Step> {
    let mapping = match fields.json("regex_pattern_to_value")? {
        Some(Value::Object(mapping)) if !mapping.is_empty() => mapping,
        _ => return Err(fields.wrong("regex_pattern_to_value", "write a mapping of patterns to texts")),
    };
    let value = |(source, value): (&String, &Value)| {
        let pattern = Pattern::new(source).map_err(|why| fields.wrong("regex_pattern_to_value", why))?;
        let text = value.as_str().ok_or_else(|| fields.wrong("regex_pattern_to_value", "write texts as values"))?;
        Ok((pattern, text.to_owned()))
    };
    let values = mapping.iter().map(value).collect::<Result<Vec<_>>>()?;
    let any = mapping.keys().map(String::as_str).collect::<Vec<_>>().join("|");
    let pattern = Pattern::new(&any).map_err(|why| fields.wrong("regex_pattern_to_value", why))?;
    let extract = Extract {
        pattern,
        group: fields.whole("group_select")?.unwrap_or(0),
        fallback: fields.text("fallback")?.unwrap_or_else(|| DEFAULT_FALLBACK.to_owned()),
        ignore_case: fields.truth("ignore_case")?.unwrap_or(false),
        ignore_punctuation: fields.truth("ignore_punctuation")?.unwrap_or(false),
        ignored: fields.patterns("regexes_to_ignore")?.unwrap_or_default(),
    };
    Ok(Step::BbhMap { extract, values })
}

/// The value of the first pattern that matches what was found with all of them.
pub(super) fn map(
    extract: &Extract,
    values: &[(Pattern, String)],
    answer: &str,
) -> std::result::Result<String, String> {
    let Some(whole) = extract.find(&extract.pattern, &extract.without_ignored(answer)?)? else {
        return Ok(extract.fallback.clone());
    };
    let whole = extract.without_ignored(&whole)?;
    for (pattern, value) in values {
        if extract.find(pattern, &whole)?.is_some() {
            return Ok(value.clone());
        }
    }
    Ok(extract.fallback.clone())
}

/// `NumberParseRegexFilter`: a number in digits, else one in words. Words that are no number give the fallback, where the
/// original stops with an exception.
pub(super) fn number(extract: &Extract, answer: &str) -> std::result::Result<String, String> {
    if let Some(found) = extract.find(&extract.pattern, answer)? {
        return Ok(found);
    }
    let pattern = NUMBER_WORDS.as_ref().map_err(Clone::clone)?;
    let words = extract.find(pattern, &answer.to_lowercase())?;
    let number = words.and_then(|words| number_word::read(&words));
    Ok(number.map_or_else(|| extract.fallback.clone(), |number| number.to_string()))
}

/// `WordSortFilter`: the question's words, each where it last stands in the answer.
pub(super) fn sorted_words(document: &Document, answer: &str) -> std::result::Result<String, String> {
    let input = document.get("input").and_then(Value::as_str).ok_or("the document has no text \"input\"")?;
    let list = input.split("List:").nth(1).ok_or("the document's input has no \"List:\"")?;
    let words: Vec<String> =
        strip(list).split(is_space).filter(|word| !word.is_empty()).map(|word| format!(r"\b{word}\b")).collect();
    let mut kept: Vec<String> = Vec::new();
    for found in Pattern::new(&words.join("|"))?.find_all(answer)?.into_iter().rev() {
        if let crate::python::pattern::Found::Whole(word) = found
            && !kept.contains(&word)
        {
            kept.push(word);
        }
    }
    kept.reverse();
    Ok(kept.join(" "))
}
