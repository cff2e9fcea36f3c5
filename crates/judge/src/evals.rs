//! Model-graded specifications of OpenAI Evals, as judges.
//!
//! A file is one specification, or a mapping from names to specifications. Its prompt is a format string of Python; what it
//! reads becomes inputs of the judge, so that what is judged is fenced as everywhere. Each combination of its `args` is a
//! judge of its own, as it is a metric of its own there.

use std::collections::BTreeMap;

use qd_eval::Direction;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::definition::{Definition, Form, Input};
use crate::method::{EvalType, Match, Method};
use crate::scale::{Category, Scale};
use crate::{Error, Result};

/// Bytes of a file at most.
pub const MOST_FILE_BYTES: usize = 1 << 20;
/// Judges of one file at most.
pub const MOST_JUDGES: usize = 200;
/// Answers that one judgement may compare.
const MOST_COMPLETIONS: usize = 26;

/// What an evaluation says beside its specification.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How many answers are compared at once: `multicomp_n`.
    pub completions: Option<usize>,
    /// Where the choice stands, when the file does not say; the judge is then told so.
    pub eval_type: Option<EvalType>,
    /// Values for fields of the prompt that are not of an item: `modelgraded_spec_args`.
    pub arguments: BTreeMap<String, String>,
}

/// A judge of a file, without a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The name of the specification, and of its arguments: `closedqa/conciseness`. Empty for a file that is one
    /// specification without arguments.
    pub name: String,
    /// The judge.
    pub definition: Definition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    prompt: Prompt,
    choice_strings: Choices,
    #[serde(default)]
    input_outputs: BTreeMap<String, String>,
    #[serde(default)]
    eval_type: Option<EvalType>,
    #[serde(default)]
    choice_scores: Option<Scores>,
    #[serde(default)]
    multicomp_n: Option<usize>,
    #[serde(default)]
    completion_sample_templates: BTreeMap<String, String>,
    #[serde(default)]
    output_template: Option<String>,
    #[serde(default)]
    match_fn: Match,
    #[serde(default)]
    append_answer_prompt: bool,
    #[serde(default)]
    args: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(default)]
    format_type: FormatType,
    #[serde(default, rename = "append_type")]
    _append_type: Option<String>,
    #[serde(default, rename = "key")]
    _key: Option<String>,
    #[serde(default, rename = "group")]
    _group: Option<String>,
}

/// Where an item is shown.
#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
enum FormatType {
    /// In the prompt, by its fields.
    #[default]
    InMessage,
    /// Before the prompt.
    OutMessage,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    Text(String),
    Messages(Vec<PromptMessage>),
}

#[derive(Deserialize)]
struct PromptMessage {
    role: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Choices {
    /// `from_n` and its like, or one choice for each letter.
    Word(String),
    Many(Vec<Choice>),
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Choice {
    Text(String),
    Number(i64),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scores {
    Word(String),
    Of(BTreeMap<String, f64>),
}

/// Reads a file of model-graded specifications.
///
/// # Errors
/// [`Error::Evals`] with the specification and what is wrong with it.
pub fn load(yaml: &str, options: &Options) -> Result<Vec<Loaded>> {
    if yaml.len() > MOST_FILE_BYTES {
        return Err(wrong("", format!("the file has over {MOST_FILE_BYTES} bytes")));
    }
    let file: Value = serde_yaml_ng::from_str(yaml).map_err(|cause| wrong("", cause.to_string()))?;
    let map = file.as_object().ok_or_else(|| wrong("", "it is no mapping"))?;
    let specs: Vec<(&str, Value)> = match map.contains_key("prompt") {
        true => vec![("", file.clone())],
        false => map.iter().map(|(name, spec)| (name.as_str(), spec.clone())).collect(),
    };
    let mut loaded = Vec::new();
    for (name, spec) in specs {
        let spec: Spec = serde_json::from_value(spec).map_err(|cause| wrong(name, cause.to_string()))?;
        for (arguments, values) in combinations(&spec.args, name)? {
            let parts = [name, &arguments].into_iter().filter(|part| !part.is_empty());
            let full = parts.collect::<Vec<_>>().join("/");
            loaded.push(Loaded { definition: definition(&spec, name, values, options)?, name: full });
        }
        if loaded.len() > MOST_JUDGES {
            return Err(wrong(name, format!("the file has over {MOST_JUDGES} judges")));
        }
    }
    Ok(loaded)
}

fn wrong(name: &str, reason: impl Into<String>) -> Error {
    Error::Evals { name: name.chars().take(80).collect(), reason: reason.into() }
}

/// Each combination of arguments, with its name.
fn combinations(
    args: &BTreeMap<String, BTreeMap<String, Value>>,
    name: &str,
) -> Result<Vec<(String, Map<String, Value>)>> {
    let mut all = vec![(String::new(), Map::new())];
    for (argument, values) in args {
        if all.len().saturating_mul(values.len()) > MOST_JUDGES {
            return Err(wrong(name, format!("its args have over {MOST_JUDGES} combinations")));
        }
        let with = |(so_far, map): &(String, Map<String, Value>)| {
            let each = values.iter().map(|(key, value)| {
                let mut map = map.clone();
                map.insert(argument.clone(), value.clone());
                (if so_far.is_empty() { key.clone() } else { format!("{so_far}/{key}") }, map)
            });
            each.collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    Ok(all)
}

fn definition(spec: &Spec, name: &str, arguments: Map<String, Value>, options: &Options) -> Result<Definition> {
    let completions = options.completions.or(spec.multicomp_n).filter(|&n| n > 1);
    if completions.is_some_and(|n| n > MOST_COMPLETIONS) {
        return Err(wrong(name, format!("at most {MOST_COMPLETIONS} answers are compared")));
    }
    // As Evals demands: a template of an answer is that of an answer.
    if let Some(output) =
        spec.completion_sample_templates.keys().find(|key| !spec.input_outputs.values().any(|output| output == *key))
    {
        return Err(wrong(name, format!("'{output}' has a template and is no output of 'input_outputs'")));
    }
    let choices = choices(&spec.choice_strings, completions).map_err(|reason| wrong(name, reason))?;
    let (eval_type, append) = match (spec.eval_type, options.eval_type) {
        (_, Some(said)) => (said, true),
        (Some(own), None) => (own, spec.append_answer_prompt),
        (None, None) => return Err(wrong(name, "it does not say its eval_type; say it beside the file")),
    };
    let said = options.arguments.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str())));
    let arguments = arguments.into_iter().chain(said).collect();
    let mut translation = Translation { spec, arguments, completions, inputs: Vec::new() };
    let (instruction, content) = translation.prompt().map_err(|reason| wrong(name, reason))?;
    if translation.inputs.is_empty() {
        return Err(wrong(name, "its prompt shows nothing of an item"));
    }
    let Translation { arguments: settings, inputs, .. } = translation;
    Ok(Definition {
        description: None,
        model: None,
        instruction,
        content,
        question: Some(asks(eval_type, append, &choices)),
        inputs,
        settings,
        scale: Some(scale(spec, &choices).map_err(|reason| wrong(name, reason))?),
        better: Direction::Higher,
        method: Method::Graded { eval_type, matching: spec.match_fn },
        form: Form::Text,
        text_chars: None,
        may_not_tell: false,
        parameters: Map::new(),
    })
}

fn choices(choices: &Choices, completions: Option<usize>) -> Result<Vec<String>, String> {
    let n = || completions.ok_or("its choices are made for several answers; say how many");
    let letters = |first: u8| Ok((0..n()?).map(|i| char::from(first + (i % 26) as u8).to_string()).collect());
    let made: Vec<String> = match choices {
        Choices::Word(word) if word == "from_n" => (1..=n()?).map(|i| i.to_string()).collect(),
        Choices::Word(word) if word == "from_n_abc" => letters(b'a').map_err(|why: &str| why.to_owned())?,
        Choices::Word(word) if word == "from_n_ABC" => letters(b'A').map_err(|why: &str| why.to_owned())?,
        // Python goes through a text letter by letter.
        Choices::Word(word) => word.chars().map(String::from).collect(),
        Choices::Many(many) => many
            .iter()
            .map(|choice| match choice {
                Choice::Text(text) => text.clone(),
                Choice::Number(number) => number.to_string(),
            })
            .collect(),
    };
    match made.iter().find(|choice| choice.is_empty() || choice.chars().any(|c| c.is_ascii_punctuation())) {
        Some(choice) => Err(format!("the choice {choice:?} is empty or has punctuation, which is left out of answers")),
        None => Ok(made),
    }
}

fn scale(spec: &Spec, choices: &[String]) -> Result<Scale, String> {
    let value = |choice: &String| match &spec.choice_scores {
        None => Ok(None),
        Some(Scores::Word(word)) if word == "from_strings" => {
            choice.trim().parse().map(Some).map_err(|_| format!("the choice {choice:?} is no number"))
        }
        Some(Scores::Word(word)) => Err(format!("its choice_scores {word:?} are not known")),
        Some(Scores::Of(scores)) => Ok(scores.get(choice).copied()),
    };
    let category = |choice: &String| Ok(Category { name: choice.clone(), value: value(choice)?, means: None });
    Ok(Scale::Categorical { categories: choices.iter().map(category).collect::<Result<_, String>>()? })
}

/// What the judge is asked after the data, so that an instruction is the last thing that it reads.
fn asks(eval_type: EvalType, append: bool, choices: &[String]) -> String {
    let named = choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>().join(" or ");
    let text = match (eval_type, append) {
        (_, false) => format!("Answer now as you were asked before the data, with {named}."),
        (EvalType::Classify, _) => format!("Answer with {named} alone: no quotes, no punctuation, no other text."),
        (EvalType::ClassifyCot, _) => {
            format!(
                "Answer with {named} alone in the first line, without quotes or punctuation. Explain it step by step from the next line on."
            )
        }
        (EvalType::CotClassify, _) => {
            format!(
                "Reason step by step before you decide. Then write {named} alone on the last line, without quotes or punctuation."
            )
        }
        (EvalType::CotClassifyJp, _) => {
            format!(
                "まず段階的に理由を書いてください。最後の行に、引用符や句読点なしで {named} のいずれかだけを書いてください。"
            )
        }
    };
    literal(&text)
}

/// From format strings of Python to templates.
struct Translation<'s> {
    spec: &'s Spec,
    arguments: Map<String, Value>,
    completions: Option<usize>,
    inputs: Vec<Input>,
}

impl Translation<'_> {
    /// The instruction and the content.
    fn prompt(&mut self) -> Result<(String, String), String> {
        let mut content = self.before()?;
        let messages = match &self.spec.prompt {
            Prompt::Text(text) => {
                content.push(self.text(text)?);
                return Ok((String::new(), content.join("\n\n")));
            }
            Prompt::Messages(messages) => messages,
        };
        let mut instruction = Vec::new();
        for message in messages {
            let before = self.inputs.len();
            let text = self.text(&message.content)?;
            match message.role.as_str() {
                "system" if self.inputs.len() == before => instruction.push(text),
                "system" => {
                    return Err("its system message shows what is judged; that belongs to the user's".to_owned());
                }
                "user" => content.push(text),
                other => return Err(format!("a message of the role {other:?} cannot be said to a judge")),
            }
        }
        Ok((instruction.join("\n\n"), content.join("\n\n")))
    }

    /// What is shown before the prompt.
    fn before(&mut self) -> Result<Vec<String>, String> {
        let spec = self.spec;
        let shown = spec.input_outputs.iter().filter(|_| spec.format_type == FormatType::OutMessage);
        shown
            .flat_map(|(input, output)| [input, output])
            .map(|name| Ok(format!("{name}:\n{}", self.field(name)?)))
            .collect()
    }

    fn text(&mut self, text: &str) -> Result<String, String> {
        let mut template = String::new();
        for piece in pieces(text)? {
            template.push_str(&match piece {
                Piece::Literal(text) => literal(&text),
                Piece::Field(name) => self.field(&name)?,
            });
        }
        Ok(template)
    }

    fn field(&mut self, name: &str) -> Result<String, String> {
        if self.arguments.contains_key(name) {
            return Ok(format!("{{{{ {name} }}}}"));
        }
        if name == "n" {
            let n = self.completions.ok_or("it asks how many answers there are; say how many")?;
            return Ok(n.to_string());
        }
        let spec = self.spec;
        let of_all = spec.output_template.as_ref().filter(|_| spec.input_outputs.values().any(|output| output == name));
        let each = spec.completion_sample_templates.get(name).or(of_all).filter(|_| self.completions.is_some());
        let (list, written) = match each {
            Some(template) => (true, self.each(name, template)?),
            None => (false, format!("{{{{ {name} }}}}")),
        };
        if self.inputs.iter().all(|input| input.name != name) {
            let count = self.completions.filter(|_| list);
            self.inputs.push(Input { name: name.to_owned(), description: None, required: true, list, count });
        }
        Ok(written)
    }

    /// Several answers, each written by a template.
    fn each(&mut self, name: &str, template: &str) -> Result<String, String> {
        let mut written = format!("{{%+ for each_output in {name} +%}}");
        for piece in pieces(template)? {
            written.push_str(&match piece {
                Piece::Literal(text) => literal(&text),
                Piece::Field(field) => match field.as_str() {
                    "i" => "{{ loop.index }}".to_owned(),
                    "i_abc" => self.letter(b'a'),
                    "i_ABC" => self.letter(b'A'),
                    "output" => "{{ each_output }}".to_owned(),
                    "n" => "{{ loop.length }}".to_owned(),
                    other => return Err(format!("the template of an answer cannot say {{{other}}}")),
                },
            });
        }
        Ok(written + "{%+ endfor +%}")
    }

    /// The letter of an answer.
    fn letter(&mut self, first: u8) -> String {
        let name = if first == b'a' { "small_letters" } else { "capital_letters" };
        let letters = (0..MOST_COMPLETIONS as u8).map(|i| Value::from(char::from(first + i).to_string()));
        self.arguments.insert(name.to_owned(), letters.collect());
        format!("{{{{ {name}[loop.index0] }}}}")
    }
}

enum Piece {
    Literal(String),
    Field(String),
}

/// The parts of a format string: `{{` and `}}` are braces, `{name}` is a field.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut found = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').filter(|_| brace == "{").ok_or("a brace stands alone in it")?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            let name: String = name.chars().take(80).collect();
            return Err(format!("{{{name}}} is no plain name; formats and attributes are not read"));
        }
        found.push(Piece::Literal(std::mem::take(&mut literal)));
        found.push(Piece::Field(name.to_owned()));
        rest = after;
    }
    literal.push_str(rest);
    found.push(Piece::Literal(literal));
    Ok(found)
}

/// A text that a template writes as it is.
fn literal(text: &str) -> String {
    text.replace('{', "{{ \"{\" }}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::judgement::Judgement;
    use crate::{Judge, stub};

    /// The one judge of a file, with a model.
    fn judge(yaml: &str, options: &Options) -> Judge {
        let mut loaded = load(yaml, options).unwrap();
        assert_eq!(loaded.len(), 1);
        let definition = Definition { model: Some("m".parse().unwrap()), ..loaded.remove(0).definition };
        Judge::new(&definition).unwrap()
    }

    fn asked_and_judged(judge: &Judge, item: Value, says: &str) -> (String, Judgement) {
        let mut asked = String::new();
        let judgement = stub::run(judge.begin(item.as_object().unwrap()).unwrap(), |text| {
            asked = text.to_owned();
            stub::says(says)
        });
        (asked, judgement)
    }

    const CRITERIA: &str = r#"
prompt: |-
  Look at what was handed in for a task.
  Task: {input}
  Handed in: {completion}
  Ask yourself: {criteria}
  Think aloud, then write Y or N on the last line. Braces stay: {{"a": {{1}}}} {{% x %}}
eval_type: cot_classify
choice_strings: "YN"
choice_scores: {"Y": 1.0, "N": 0.0}
args:
  criteria:
    brief: "Is it brief?"
    honest: "Is it true?"
input_outputs:
  input: completion
"#;

    #[test]
    fn arguments_make_judges() {
        let loaded = load(CRITERIA, &Options::default()).unwrap();
        assert_eq!(loaded.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["brief", "honest"]);
        let definition = Definition { model: Some("m".parse().unwrap()), ..loaded[0].definition.clone() };
        let judge = Judge::new(&definition).unwrap();
        let names: Vec<&str> = definition.inputs.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names, ["input", "completion"]);
        let item = json!({"input": "Greet.", "completion": "{{ Hi }}", "ideal": "unused"});
        let (asked, judgement) = asked_and_judged(&judge, item, "It is short.\nBut N? No:\nY");
        assert_eq!((judgement.outcome.value(), judgement.outcome.label()), (Some(1.0), Some("Y")));
        assert!(asked.contains("Ask yourself: Is it brief?"), "{asked}");
        assert!(asked.contains("\n{{ Hi }}\n</completion-"), "{asked}");
        assert!(asked.contains(r#"Braces stay: {"a": {1}} {% x %}"#), "{asked}");
    }

    #[test]
    fn several_answers_at_once() {
        let yaml = r#"
best:
  prompt: |-
    Which of the {n} is the best answer?
    To: {input}
    {completion}
  completion_sample_templates:
    completion: "{i_ABC}) {output}\n"
  choice_strings: from_n_ABC
  input_outputs: {input: completion}
"#;
        let options = Options { completions: Some(3), eval_type: Some(EvalType::Classify), ..Options::default() };
        let judge = judge(yaml, &options);
        let item = json!({"input": "2 + 2?", "completion": ["four", "5", "4"]});
        let (asked, judgement) = asked_and_judged(&judge, item, "\"C\".");
        assert_eq!((judgement.outcome.label(), judgement.outcome.value()), (Some("C"), None));
        assert!(asked.contains("Which of the 3 is") && asked.contains("\"A\" or \"B\" or \"C\""), "{asked}");
        let second = asked.find("B) <completion-").unwrap();
        assert!(asked[second..].contains("\n5\n</completion-"), "{asked}");
        assert!(judge.begin(json!({"input": "", "completion": ["a"]}).as_object().unwrap()).is_err());
        assert!(
            load(yaml, &Options { completions: None, ..options }).unwrap_err().to_string().contains("say how many")
        );
    }

    /// The two older and newer ways to say the same.
    #[test]
    fn other_versions_of_the_form() {
        let yaml = r#"
prompt: "Are these {n} alike in {respect}?\n{completion}"
choice_strings: ["Yes", "No"]
input_outputs: {input: completion}
output_template: "{i}. {output}\n"
"#;
        let arguments = BTreeMap::from([("respect".to_owned(), "tone".to_owned())]);
        let options = Options { completions: Some(2), eval_type: Some(EvalType::ClassifyCot), arguments };
        let judged = judge(yaml, &options);
        assert_eq!(judged.definition().inputs.len(), 1);
        let (asked, _) = asked_and_judged(&judged, json!({"completion": ["a", "b"]}), "Yes");
        assert!(asked.contains("Are these 2 alike in tone?\n1. <completion-"), "{asked}");
        let yaml =
            "prompt: Is it funny?\nformat_type: out_message\nchoice_strings: YN\ninput_outputs: {input: completion}";
        let options = Options { eval_type: Some(EvalType::Classify), ..Options::default() };
        let (asked, _) =
            asked_and_judged(&judge(yaml, &options), json!({"input": "Joke!", "completion": "Knock."}), "Y");
        let places = ["\nJoke!\n", "\nKnock.\n", "Is it funny?"].map(|text| asked.find(text).unwrap());
        assert!(places.is_sorted(), "{asked}");
    }

    #[test]
    fn scores_from_choices_and_messages() {
        let yaml = r#"
likert:
  prompt:
    - {role: system, content: "You rate jokes."}
    - {role: user, content: "Joke: {completion}"}
  choice_strings: ["1", "2", 10]
  choice_scores: from_strings
  eval_type: classify_cot
  append_answer_prompt: true
  input_outputs: {input: completion}
"#;
        let judge = judge(yaml, &Options::default());
        assert_eq!((judge.definition().instruction.as_str(), judge.range()), ("You rate jokes.", (1.0, 10.0)));
        let of = |says: &str| asked_and_judged(&judge, json!({"completion": "Knock."}), says).1.outcome;
        assert_eq!(of("2\n1 is too low").value(), Some(2.0));
        // Evals' own rule: a line that begins with the first choice of the list makes it.
        assert_eq!(of("10\nvery funny").value(), Some(1.0));
        assert!(!of("seven\nI laughed").is_told(), "no choice is no lowest score");
    }

    #[test]
    fn files_that_cannot_be_read() {
        let refused = |yaml: &str| load(yaml, &Options::default()).unwrap_err().to_string();
        let with =
            |prompt: &str, rest: &str| format!("prompt: '{prompt}'\nchoice_strings: 'YN'\ninput_outputs: {{}}\n{rest}");
        assert!(refused("- 1").contains("no mapping"));
        assert!(refused(&with("{x}", "")).contains("eval_type"));
        assert!(refused(&with("x", "eval_type: classify")).contains("nothing of an item"));
        assert!(refused(&with("{completion", "eval_type: classify")).contains("alone"));
        assert!(refused(&with("{a.b}", "eval_type: classify")).contains("no plain name"));
        assert!(refused(&with("{0:>3}", "eval_type: classify")).contains("no plain name"));
        assert!(refused(&with("{x}", "eval_type: classify\nchoice_scores: best")).contains("not known"));
        assert!(refused(&with("x", "eval_type: classify\nsurprise: 1")).contains("surprise"));
        let templates = "eval_type: classify\ncompletion_sample_templates: {other: x}";
        assert!(refused(&with("x", templates)).contains("no output"));
        assert!(refused(&with("x", "eval_type: classify").replace("YN", "A.")).contains("punctuation"));
        assert!(refused(&"x".repeat(MOST_FILE_BYTES + 1)).contains("bytes"));
        let bomb = "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\nprompt: [*f,*f,*f,*f,*f,*f,*f,*f,*f]";
        assert!(!refused(bomb).is_empty());
    }
}
