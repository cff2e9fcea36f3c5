//! What of an answer counts: pipelines of filters over the texts that a model gave to one request.
//!
//! As `lm_eval/filters` of lm-evaluation-harness: each filter maps every text of the list, until `take_first` leaves one.
//! Where the harness would stop with an exception on a model's text (a group that is not there), the fallback is taken.

use serde_json::{Map, Value};

use crate::builtin::Builtin;
use crate::documents::Document;
use crate::fields::Fields;
use crate::python::pattern::{Found, Pattern};
use crate::python::text::strip;
use crate::{Result, yaml};

mod bbh;
mod choice;
mod number_word;

/// A named pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub name: String,
    steps: Vec<Step>,
}

/// What is left of the answers to one request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filtered {
    One(Value),
    Many(Vec<Value>),
}

#[derive(Debug, Clone)]
enum Step {
    Regex(Extract),
    PartsOfSpeech {
        tokens: Pattern,
        fallback: Value,
    },
    RemoveWhitespace,
    Lowercase,
    Uppercase,
    Map {
        to: Map<String, Value>,
        default: Option<Value>,
    },
    TakeFirst,
    TakeFirstK(usize),
    MajorityVote,
    /// Choices that stand in the document's `choices`, or with `Builtin::BbhMultiChoice` in its `input`.
    MultiChoice {
        extract: Extract,
        of_bbh: bool,
    },
    BbhMap {
        extract: Extract,
        values: Vec<(Pattern, String)>,
    },
    BbhNumber(Extract),
    BbhWordSort,
}

/// `RegexFilter` and what its descendants add.
#[derive(Debug, Clone)]
struct Extract {
    pattern: Pattern,
    group: i64,
    fallback: String,
    ignore_case: bool,
    ignore_punctuation: bool,
    ignored: Vec<Pattern>,
}

const DEFAULT_PATTERN: &str = r"#### (\-?[0-9\.\,]+)";
const DEFAULT_FALLBACK: &str = "[invalid]";

/// The pipelines of `filter_list`; without one the first answer is taken.
pub(crate) fn read(fields: &mut Fields) -> Result<Vec<Pipeline>> {
    let Some(items) = fields.list("filter_list")? else {
        return Ok(vec![Pipeline { name: "none".to_owned(), steps: vec![Step::TakeFirst] }]);
    };
    if items.is_empty() {
        return Err(fields.wrong("filter_list", "the list is empty; remove it to take the first answer"));
    }
    let pipeline = |(index, item)| {
        let place = format!("filter_list[{index}]");
        let mut fields = fields.within(&place, item)?;
        let name = fields.needed_text("name")?;
        let steps = fields.list("filter")?.ok_or_else(|| fields.wrong("filter", "it is missing"))?;
        let step = |(index, step)| Step::read(fields.within(&format!("filter[{index}]"), step)?);
        let steps = steps.into_iter().enumerate().map(step).collect::<Result<Vec<_>>>()?;
        if steps.iter().rev().skip(1).any(|step| matches!(step, Step::TakeFirst)) {
            return Err(fields.wrong("filter", "after take_first there is no list left to filter; put it last"));
        }
        fields.end()?;
        Ok(Pipeline { name, steps })
    };
    let pipelines = items.into_iter().enumerate().map(pipeline).collect::<Result<Vec<_>>>()?;
    match pipelines.iter().enumerate().find(|(i, p)| pipelines[..*i].iter().any(|other| other.name == p.name)) {
        Some((_, twice)) => Err(fields.wrong("filter_list", format!("{:?} is the name of two pipelines", twice.name))),
        None => Ok(pipelines),
    }
}

impl Pipeline {
    /// Whether it does nothing but take the first answer, which is all that log-likelihoods can go through.
    pub(crate) fn only_takes_first(&self) -> bool {
        matches!(self.steps[..], [Step::TakeFirst])
    }

    /// What is left of the texts that a model gave about a document.
    pub(crate) fn apply(&self, texts: &[String], document: &Document) -> std::result::Result<Filtered, String> {
        let mut left: Vec<Value> = texts.iter().map(|text| Value::from(text.as_str())).collect();
        for step in &self.steps {
            if matches!(step, Step::TakeFirst) {
                return left.into_iter().next().map(Filtered::One).ok_or_else(|| "there is no answer".to_owned());
            }
            left = step.apply(left, document)?;
        }
        Ok(Filtered::Many(left))
    }
}

impl Step {
    fn read(mut fields: Fields) -> Result<Self> {
        let function = fields.take("function").ok_or_else(|| fields.wrong("function", "it is missing"))?;
        let step = match (yaml::function(&function), function.as_str()) {
            (Some(path), _) => {
                let builtin = Builtin::named(path).map_err(|why| fields.wrong("function", why))?;
                Self::of_builtin(builtin, &mut fields)?
            }
            (None, Some(name)) => Self::named(name, &mut fields)?,
            _ => return Err(fields.wrong("function", "write the name of a filter")),
        };
        fields.end()?;
        Ok(step)
    }

    fn named(name: &str, fields: &mut Fields) -> Result<Self> {
        Ok(match name {
            "regex" => Self::Regex(Extract::plain(fields)?),
            "regex_pos" => {
                // The harness compiles `regex_pattern` and `group_select` and then uses neither.
                fields.take("regex_pattern");
                fields.take("group_select");
                let fallback = fields.json("fallback")?.unwrap_or_else(|| Value::from(vec!["invalid"]));
                let tokens = Pattern::new(r"\('([^']*)', '([^']*)'\)").map_err(|why| fields.wrong("function", why))?;
                Self::PartsOfSpeech { tokens, fallback }
            }
            "remove_whitespace" => Self::RemoveWhitespace,
            "lowercase" => Self::Lowercase,
            "uppercase" => Self::Uppercase,
            "take_first" => Self::TakeFirst,
            "take_first_k" => {
                let k = fields.count("k")?.filter(|&k| k > 0);
                Self::TakeFirstK(k.ok_or_else(|| fields.wrong("k", "write how many answers to take, from 1"))?)
            }
            "majority_vote" => Self::MajorityVote,
            "map" => match fields.json("mapping_dict")? {
                Some(Value::Object(to)) => Self::Map { to, default: fields.json("default_value")? },
                _ => return Err(fields.wrong("mapping_dict", "write a mapping of texts to values")),
            },
            "multi_choice_regex" => Self::MultiChoice { extract: Extract::with_ignores(fields)?, of_bbh: false },
            other => {
                let why = format!(
                    "the filter {other:?} is not known; known are regex, regex_pos, remove_whitespace, lowercase, uppercase, \
                     take_first, take_first_k, majority_vote, map, multi_choice_regex"
                );
                return Err(fields.wrong("function", why));
            }
        })
    }

    fn of_builtin(builtin: Builtin, fields: &mut Fields) -> Result<Self> {
        Ok(match builtin {
            Builtin::BbhMultiChoice => Self::MultiChoice { extract: Extract::with_ignores(fields)?, of_bbh: true },
            Builtin::BbhMap => bbh::read_map(fields)?,
            Builtin::BbhNumber => Self::BbhNumber(Extract::with_ignores(fields)?),
            Builtin::BbhWordSort => Self::BbhWordSort,
            _ => return Err(fields.wrong("function", "this function is not a filter")),
        })
    }

    fn apply(&self, left: Vec<Value>, document: &Document) -> std::result::Result<Vec<Value>, String> {
        match self {
            Self::TakeFirst => return Ok(left.into_iter().take(1).collect()),
            Self::TakeFirstK(k) if left.len() < *k => {
                return Err(format!("take_first_k takes {k} answers and there are {}; raise repeats", left.len()));
            }
            Self::TakeFirstK(k) => return Ok(left.into_iter().take(*k).collect()),
            Self::MajorityVote => return Ok(majority(&left).into_iter().collect()),
            _ => {}
        }
        let choices = self.choices(document)?;
        let one = |value: Value| -> std::result::Result<Value, String> {
            let text = value.as_str();
            Ok(match self {
                Self::Regex(extract) => extract.first(text.unwrap_or_default())?.into(),
                Self::PartsOfSpeech { tokens, fallback } => parts_of_speech(tokens, fallback, needed(text)?)?,
                Self::RemoveWhitespace => strip(needed(text)?).into(),
                Self::Lowercase => needed(text)?.to_lowercase().into(),
                Self::Uppercase => needed(text)?.to_uppercase().into(),
                Self::Map { to, default } => mapped(to, default.as_ref(), needed(text)?)?,
                Self::MultiChoice { extract, .. } => extract.choice(needed(text)?, &choices)?.into(),
                Self::BbhMap { extract, values } => bbh::map(extract, values, needed(text)?)?.into(),
                Self::BbhNumber(extract) => bbh::number(extract, needed(text)?)?.into(),
                Self::BbhWordSort => bbh::sorted_words(document, needed(text)?)?.into(),
                Self::TakeFirst | Self::TakeFirstK(_) | Self::MajorityVote => value,
            })
        };
        left.into_iter().map(one).collect()
    }

    /// The choices that the document has, for those steps that look for them.
    fn choices(&self, document: &Document) -> std::result::Result<choice::Choices, String> {
        match self {
            Self::MultiChoice { extract, of_bbh: true } => choice::Choices::in_question(extract, document),
            Self::MultiChoice { extract, of_bbh: false } => choice::Choices::of_field(extract, document),
            _ => Ok(choice::Choices::default()),
        }
    }
}

fn needed(text: Option<&str>) -> std::result::Result<&str, String> {
    text.ok_or_else(|| "a filter of texts stands after one that leaves something else".to_owned())
}

/// The value that is most often there, the first of several (`Counter.most_common(1)`).
fn majority(values: &[Value]) -> Option<Value> {
    let count = |wanted: &Value| values.iter().filter(|value| *value == wanted).count();
    let most = values.iter().map(count).max()?;
    values.iter().find(|value| count(value) == most).cloned()
}

fn mapped(to: &Map<String, Value>, default: Option<&Value>, text: &str) -> std::result::Result<Value, String> {
    let value = to.get(text).or(default).cloned();
    value.ok_or_else(|| format!("the filter map has nothing for {text:?}; give it a default_value"))
}

fn parts_of_speech(tokens: &Pattern, fallback: &Value, text: &str) -> std::result::Result<Value, String> {
    let tags: Vec<Value> = tokens
        .find_all(text)?
        .into_iter()
        .filter_map(|found| match found {
            Found::Groups(groups) => groups.into_iter().nth(1).map(Value::from),
            Found::Whole(_) => None,
        })
        .collect();
    Ok(if tags.is_empty() { fallback.clone() } else { Value::from(tags) })
}

impl Extract {
    fn plain(fields: &mut Fields) -> Result<Self> {
        let pattern = match fields.pattern("regex_pattern")? {
            Some(pattern) => pattern,
            None => Pattern::new(DEFAULT_PATTERN).map_err(|why| fields.wrong("regex_pattern", why))?,
        };
        Ok(Self {
            pattern,
            group: fields.whole("group_select")?.unwrap_or(0),
            fallback: fields.text("fallback")?.unwrap_or_else(|| DEFAULT_FALLBACK.to_owned()),
            ignore_case: false,
            ignore_punctuation: false,
            ignored: Vec::new(),
        })
    }

    fn with_ignores(fields: &mut Fields) -> Result<Self> {
        let mut extract = Self::plain(fields)?;
        extract.ignore_case = fields.truth("ignore_case")?.unwrap_or(false);
        extract.ignore_punctuation = fields.truth("ignore_punctuation")?.unwrap_or(false);
        extract.ignored = fields.patterns("regexes_to_ignore")?.unwrap_or_default();
        Ok(extract)
    }

    /// `RegexFilter.apply` on one text: the chosen match, stripped, or the fallback.
    fn first(&self, text: &str) -> std::result::Result<String, String> {
        Ok(match self.selected(&self.pattern, text)? {
            Some(Found::Whole(found)) => strip(&found).to_owned(),
            Some(Found::Groups(groups)) => match groups.iter().find(|group| !group.is_empty()) {
                Some(group) => strip(group).to_owned(),
                None => strip(&self.fallback).to_owned(),
            },
            None => self.fallback.clone(),
        })
    }

    /// `find_match`: the chosen match of any pattern; nothing where it is empty.
    fn find(&self, pattern: &Pattern, text: &str) -> std::result::Result<Option<String>, String> {
        let found = self.selected(pattern, text)?.and_then(|found| match found {
            Found::Whole(found) => Some(found),
            Found::Groups(groups) => groups.into_iter().find(|group| !group.is_empty()),
        });
        Ok(found.map(|found| strip(&found).to_owned()).filter(|found| !found.is_empty()))
    }

    /// `findall(text)[group_select]`.
    fn selected(&self, pattern: &Pattern, text: &str) -> std::result::Result<Option<Found>, String> {
        let mut found = pattern.find_all(text)?;
        let index = if self.group < 0 { self.group + found.len() as i64 } else { self.group };
        let index = usize::try_from(index).ok().filter(|&index| index < found.len());
        Ok(index.map(|index| found.swap_remove(index)))
    }

    /// `filter_ignores`.
    fn without_ignored(&self, text: &str) -> std::result::Result<String, String> {
        let mut text = text.to_owned();
        for pattern in &self.ignored {
            text = pattern.replace(&text, "", 0)?;
        }
        if self.ignore_case {
            text = text.to_lowercase();
        }
        if self.ignore_punctuation {
            text = Pattern::punctuation()?.replace(&text, "", 0)?;
        }
        Ok(text)
    }
}
