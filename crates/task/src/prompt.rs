//! What stands before an answer: description, examples and question, as lm-evaluation-harness puts them together.
//!
//! After `fewshot_context`, `build_qa_turn` and `doc_to_*` of `ConfigurableTask` in `lm_eval/api/task.py`, 0.4.13.

use qd_base::chat::Role;
use serde_json::Value;

use crate::config::{TaskConfig, Word, Words};
use crate::documents::Document;
use crate::metric::{OutputType, as_whole};
use crate::python::literal;
use crate::python::text::{is_space, str_of_json};
use crate::request::{Prompt, Turn, as_messages, as_text};
use crate::template::{Failure, Templates};
use crate::{Chat, Error, Result};

/// What turns documents into words: the templates, and the fields that a template's text may be the name of.
pub(crate) struct Writer<'t> {
    pub config: &'t TaskConfig,
    pub templates: &'t Templates,
    /// The fields of the documents that are asked about.
    pub fields: &'t [String],
    /// Whether `doc_to_text` gives the number of a choice and each choice is a context of its own.
    pub multiple_inputs: bool,
    pub system_instruction: Option<&'t str>,
    pub chat: Option<Chat>,
}

/// The contexts of a document: one, or with several inputs one for each choice.
pub(crate) enum Contexts {
    One(Prompt),
    Several(Vec<Prompt>),
}

impl Writer<'_> {
    fn wrong(&self, field: &str, why: impl Into<String>) -> Error {
        Error::field(&self.config.name, field, why)
    }

    fn failed(&self, field: &str, failure: Failure) -> Error {
        Error::Template {
            task: self.config.name.clone(),
            field: field.to_owned(),
            why: failure.why,
            cause: failure.cause,
        }
    }

    fn render(&self, field: &str, source: &str, document: &Document) -> Result<String> {
        self.templates.render(source, document).map_err(|failure| self.failed(field, failure))
    }

    /// The value of a field that the template's text is the name of.
    fn column(&self, field: &str, name: &str, document: &Document) -> Option<Result<Value>> {
        let missing = || self.wrong(field, format!("the document has no field {name:?}"));
        self.fields.iter().any(|known| known == name).then(|| document.get(name).cloned().ok_or_else(missing))
    }

    fn has_choices(&self) -> bool {
        self.config.words.choice.is_some()
    }

    /// `doc_to_text`: a text, or the number of a choice.
    pub(crate) fn text(&self, words: &Words, document: &Document) -> Result<Value> {
        match &words.text {
            Some(Word::Text(source)) => {
                if let Some(value) = self.column("doc_to_text", source, document) {
                    return value;
                }
                let text = self.render("doc_to_text", source, document)?;
                Ok(self.number_of_choice(&text).unwrap_or_else(|| Value::from(text)))
            }
            Some(Word::Fixed(value)) => Ok(value.clone()),
            Some(Word::Function(function)) => self.by_function("doc_to_text", *function, document),
            None => Err(self.wrong("doc_to_text", "it is missing")),
        }
    }

    /// `doc_to_target`: a text, the number of a choice, or a list of either.
    pub(crate) fn target(&self, words: &Words, document: &Document) -> Result<Value> {
        match &words.target {
            Some(Word::Text(source)) => {
                if let Some(value) = self.column("doc_to_target", source, document) {
                    return value;
                }
                let text = self.render("doc_to_target", source, document)?;
                if let Some(number) = self.number_of_choice(&text) {
                    return Ok(number);
                }
                let is_list = text.len() >= 2 && text.starts_with('[') && text.ends_with(']');
                let list = if is_list { literal::read(&text) } else { None };
                Ok(list.unwrap_or_else(|| Value::from(text)))
            }
            Some(Word::Fixed(value)) => Ok(value.clone()),
            Some(Word::Function(function)) => self.by_function("doc_to_target", *function, document),
            None => Err(self.wrong("doc_to_target", "it is missing")),
        }
    }

    /// A text of digits is a number, where there are choices for it to count.
    fn number_of_choice(&self, text: &str) -> Option<Value> {
        let is_number = self.has_choices() && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if is_number { literal::read(text) } else { None }
    }

    fn by_function(&self, field: &str, function: crate::builtin::Builtin, document: &Document) -> Result<Value> {
        let text = function.text(document).unwrap_or_else(|| Err("this function does not give a text".to_owned()));
        text.map(Value::from).map_err(|why| self.wrong(field, why))
    }

    /// `doc_to_choice`: the choices.
    pub(crate) fn choices(&self, words: &Words, document: &Document) -> Result<Vec<String>> {
        let listed = match &words.choice {
            Some(Word::Text(source)) => match self.column("doc_to_choice", source, document) {
                Some(value) => value?,
                None => {
                    let text = self.render("doc_to_choice", source, document)?;
                    let unread = || self.wrong("doc_to_choice", format!("{text:?} is not a list as Python writes it"));
                    literal::read(&text).ok_or_else(unread)?
                }
            },
            Some(Word::Fixed(value)) => value.clone(),
            Some(Word::Function(_)) => return Err(self.wrong("doc_to_choice", "this function does not give choices")),
            None => return Err(self.wrong("doc_to_choice", "it is missing")),
        };
        let texts = listed
            .as_array()
            .and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
        let texts = texts.ok_or_else(|| self.wrong("doc_to_choice", format!("{listed} is not a list of texts")))?;
        if texts.is_empty() {
            return Err(self.wrong("doc_to_choice", "the document has no choices"));
        }
        Ok(texts)
    }

    /// `resolve_field`: a field of the document, or a template; an empty text is none.
    fn resolved(&self, field: &str, source: &str, document: &Document) -> Result<Option<String>> {
        if source.is_empty() {
            return Ok(None);
        }
        let text = match document.get(source) {
            Some(value) => str_of_json(value),
            None => self.render(field, source, document)?,
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// `doc_to_prefix`: how the answer begins.
    fn prefix(&self, document: &Document) -> Result<Option<String>> {
        let Some(source) = self.config.words.prefix.as_deref() else { return Ok(None) };
        let text = match self.column("gen_prefix", source, document) {
            Some(value) => str_of_json(&value?),
            None => self.render("gen_prefix", source, document)?,
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// The contexts of a document after these examples (`fewshot_context`).
    pub(crate) fn contexts(&self, document: &Document, shots: &[&Document]) -> Result<Contexts> {
        let mut turns = Vec::new();
        let description = self.resolved("description", &self.config.description, document)?.unwrap_or_default();
        let instruction = self.system_instruction.unwrap_or_default();
        let system = joined(instruction, &description, &self.config.shots.task_delimiter);
        if !system.is_empty() {
            turns.push(Turn::new(Role::System, system, ""));
        }
        for shot in shots {
            self.push_shot(&mut turns, shot)?;
        }
        let prefix = self.prefix(document)?;
        if self.multiple_inputs {
            let inputs = self.choices(&self.config.words, document)?;
            let several = inputs.iter().map(|input| {
                let mut turns = turns.clone();
                push_question(&mut turns, input, prefix.as_deref(), "");
                self.prompt(turns, prefix.is_some())
            });
            return Ok(Contexts::Several(several.collect()));
        }
        let question = self.question(&self.config.words, document, "doc_to_text")?;
        push_question(&mut turns, &question, prefix.as_deref(), &self.config.target_delimiter);
        Ok(Contexts::One(self.prompt(turns, prefix.is_some())))
    }

    fn question(&self, words: &Words, document: &Document, field: &str) -> Result<String> {
        match self.text(words, document)? {
            Value::String(text) => Ok(text),
            other => Err(self.wrong(field, format!("it gives {other}, and a question is a text"))),
        }
    }

    /// An example: its question and its answer.
    fn push_shot(&self, turns: &mut Vec<Turn>, shot: &Document) -> Result<()> {
        let shots = &self.config.shots;
        let choices = if shots.words.choice.is_some() { Some(self.choices(&shots.words, shot)?) } else { None };
        let target = self.target(&shots.words, shot)?;
        let (question, choices) = match (self.multiple_inputs, choices) {
            (true, Some(choices)) => (self.chosen(&self.text(&shots.words, shot)?, &choices)?, None),
            (_, choices) => (self.question(&shots.words, shot, "fewshot_config.doc_to_text")?, choices),
        };
        let answer = self.answer(&target, choices.as_deref())?;
        let prefix = match shots.words.prefix.as_deref() {
            Some(source) => self.resolved("fewshot_config.gen_prefix", source, shot)?,
            None => None,
        };
        let Some(answer) = answer else {
            push_question(turns, &question, prefix.as_deref(), &shots.target_delimiter);
            return Ok(());
        };
        let delimited = prefix.as_deref().is_none_or(|prefix| needs_delimiter(&question, prefix));
        let after = if delimited { shots.target_delimiter.as_str() } else { "" };
        turns.push(Turn::new(Role::User, question, after));
        turns.push(Turn::new(
            Role::Assistant,
            joined(prefix.as_deref().unwrap_or_default(), &answer, " "),
            &*shots.delimiter,
        ));
        Ok(())
    }

    /// The words of an example's answer: a choice by its number, the first of several, or the text itself; none when empty.
    fn answer(&self, target: &Value, choices: Option<&[String]>) -> Result<Option<String>> {
        match (target, choices) {
            (Value::Null, _) => Ok(None),
            (Value::String(text), _) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            (Value::Number(_) | Value::Bool(_), Some(choices)) => self.chosen(target, choices).map(Some),
            (Value::Array(several), _) => match several.first().and_then(Value::as_str) {
                Some(first) => Ok(Some(first.to_owned())),
                None => Err(self.wrong("doc_to_target", "an example's first target is not a text")),
            },
            _ => Err(self.wrong("doc_to_target", format!("an example's target is {target}, which is no text"))),
        }
    }

    fn chosen(&self, number: &Value, choices: &[String]) -> Result<String> {
        let at = as_whole(number).map(|n| if n < 0 { n + choices.len() as i64 } else { n });
        let choice = at.and_then(|at| usize::try_from(at).ok()).and_then(|at| choices.get(at));
        choice.cloned().ok_or_else(|| self.wrong("doc_to_target", format!("an example has no choice {number}")))
    }

    fn prompt(&self, turns: Vec<Turn>, goes_on: bool) -> Prompt {
        match self.chat {
            None => Prompt::Text(as_text(&turns)),
            Some(chat) => Prompt::Chat { messages: as_messages(turns, chat == Chat::OneTurn), goes_on },
        }
    }

    /// What stands before each choice: nothing in a chat, unless the answer's beginning needs it (`construct_requests`).
    pub(crate) fn choice_delimiter(&self) -> &str {
        let prefix = self.config.words.prefix.as_deref().filter(|prefix| !prefix.is_empty());
        let needed = self.chat.is_none() || prefix.is_some_and(|prefix| !prefix.ends_with(is_space));
        if needed { &self.config.target_delimiter } else { "" }
    }

    /// What is measured or generated when there are no choices.
    pub(crate) fn continuation(&self, document: &Document) -> Result<String> {
        match self.target(&self.config.words, document)? {
            Value::String(text) => Ok(text),
            other if self.config.output == OutputType::MultipleChoice => Ok(str_of_json(&other)),
            other => Err(self.wrong("doc_to_target", format!("it gives {other}, and what is measured is a text"))),
        }
    }
}

/// A question that waits for its answer, which may have begun with `prefix` (`build_qa_turn` without an answer).
fn push_question(turns: &mut Vec<Turn>, question: &str, prefix: Option<&str>, delimiter: &str) {
    let delimited = prefix.is_some_and(|prefix| needs_delimiter(question, prefix));
    turns.push(Turn::new(Role::User, question, if delimited { delimiter } else { "" }));
    turns.extend(prefix.map(|prefix| Turn::new(Role::Assistant, prefix, "")));
}

/// Whether neither side has white space where the two meet (`requires_delimiter`).
fn needs_delimiter(before: &str, after: &str) -> bool {
    !before.is_empty() && !before.ends_with(is_space) && !after.starts_with(is_space)
}

/// Both texts, with the delimiter between them where neither has white space there (`maybe_delimit`).
fn joined(before: &str, after: &str, delimiter: &str) -> String {
    let between = if !after.is_empty() && needs_delimiter(before, after) { delimiter } else { "" };
    format!("{before}{between}{after}")
}
