//! A task with its documents: which requests it makes, and what the answers say.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aggregate::{Aggregate, MAX_RESAMPLES, resamples_of};
use crate::builtin::{Builtin, wikitext_sizes};
use crate::config::TaskConfig;
use crate::documents::{Document, Documents};
use crate::filter::{Filtered, Pipeline};
use crate::metric::{Choices, Gold, Measure, Metric, OutputType};
use crate::prompt::{Contexts, Writer};
use crate::python::random::Random;
use crate::python::text::{count_split_on_space, str_of_json};
use crate::report::{DocumentResult, Report};
use crate::request::{Answer, Ask, DocumentRequests, Generation, Likelihood, Prompt};
use crate::template::Templates;
use crate::{Error, Result};

/// How a task is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Examples in each prompt; the task's own number where none is given. A task that sets 0 keeps it.
    pub num_fewshot: Option<usize>,
    /// The seed that examples are drawn by: 1234 is the harness's.
    pub seed: u64,
    /// Only the first documents.
    pub limit: Option<usize>,
    /// What is said before the task's description.
    pub system_instruction: Option<String>,
    /// Prompts as messages for the model's chat template.
    pub chat: Option<Chat>,
    /// Resamples for the standard errors of what is no mean; 0 for no standard errors at all.
    pub resamples: usize,
}

/// How examples stand in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chat {
    /// Each example is a message of the user and one of the assistant.
    Turns,
    /// All of them and the question are one message of the user.
    OneTurn,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            num_fewshot: None,
            seed: 1234,
            limit: None,
            system_instruction: None,
            chat: None,
            resamples: MAX_RESAMPLES,
        }
    }
}

/// A task with its documents.
pub struct Task {
    config: TaskConfig,
    settings: Settings,
    templates: Templates,
    documents: Vec<Document>,
    /// The documents that examples come from.
    shots: Vec<Document>,
    /// The fields of the documents.
    fields: Vec<String>,
    multiple_inputs: bool,
    multiple_targets: bool,
}

impl Task {
    /// A task that is ready to ask. `documents` has the splits that [`TaskConfig::splits`] names.
    ///
    /// # Errors
    /// [`Error::Field`] when a split or a part of it is missing, [`Error::Template`] for a template that cannot be read or
    /// fails on the first document.
    pub fn new(config: TaskConfig, documents: &Documents, settings: Settings) -> Result<Self> {
        let mut templates = Templates::new();
        for (field, source) in config.templates() {
            templates.read(source).map_err(|failure| Error::Template {
                task: config.name.clone(),
                field: field.to_owned(),
                why: failure.why,
                cause: failure.cause,
            })?;
        }
        let asked = processed(&config, split(&config, documents, config.split(), "test_split")?, config.process_docs)?;
        let shots = shots(&config, documents)?;
        let Some(first) = asked.first() else {
            return Err(Error::field(&config.name, "test_split", format!("the split {:?} is empty", config.split())));
        };
        let fields: Vec<String> = first.keys().cloned().collect();
        let mut task = Self {
            templates,
            shots,
            fields,
            settings,
            multiple_inputs: false,
            multiple_targets: false,
            documents: asked,
            config,
        };
        task.look_at_first()?;
        Ok(task)
    }

    /// What the first document shows about all: whether choices are inputs, and whether there are several targets.
    fn look_at_first(&mut self) -> Result<()> {
        let first = &self.documents[0];
        let writer = self.writer();
        let words = &self.config.words;
        let has_choices = words.choice.is_some();
        let inputs = has_choices && writer.text(words, first)?.is_i64();
        let targets = writer.target(words, first)?.is_array();
        (self.multiple_inputs, self.multiple_targets) = (inputs, targets);
        Ok(())
    }

    /// The task's description.
    pub fn config(&self) -> &TaskConfig {
        &self.config
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            config: &self.config,
            templates: &self.templates,
            fields: &self.fields,
            multiple_inputs: self.multiple_inputs,
            system_instruction: self.settings.system_instruction.as_deref(),
            chat: self.settings.chat,
        }
    }

    /// Examples in each prompt. A task that says 0 means it.
    pub fn num_fewshot(&self) -> usize {
        match (self.config.num_fewshot, self.settings.num_fewshot) {
            (Some(0), _) => 0,
            (own, asked) => asked.or(own).unwrap_or(0),
        }
    }

    /// What guessing gets where choices are scored by whether the right one was taken, or by the probability of the true ones: the mean
    /// over documents of the share of right choices. None for other tasks.
    ///
    /// # Errors
    /// As [`Task::requests`].
    pub fn chance(&self) -> Result<Option<f64>> {
        if self.config.output != OutputType::MultipleChoice || self.asked().is_empty() {
            return Ok(None);
        }
        let writer = self.writer();
        let mut sum = 0.0;
        for (index, document) in self.asked().iter().enumerate() {
            let scoring = Scoring { task: self, writer: self.writer(), document };
            let texts = writer.choices(&self.config.words, document)?;
            let right = scoring.right(&texts).map_err(|why| why.into_error(self, index))?;
            sum += right as f64 / texts.len().max(1) as f64;
        }
        Ok(Some(sum / self.asked().len() as f64))
    }

    /// The documents that are asked about.
    pub fn asked(&self) -> &[Document] {
        let limit = self.settings.limit.unwrap_or(usize::MAX).min(self.documents.len());
        &self.documents[..limit]
    }

    /// The requests of all documents, in order. Examples are drawn from one document to the next, so that a document's own
    /// depend on those before it, as in the harness.
    ///
    /// # Errors
    /// [`Error::Template`], [`Error::Field`] and [`Error::Document`] for a document that cannot be asked about.
    pub fn requests(&self) -> Result<Vec<DocumentRequests>> {
        self.requests_within(usize::MAX)
    }

    /// The same while their texts have no more bytes together.
    ///
    /// # Errors
    /// As [`Task::requests`], and [`Error::Field`] when they have more: what was made until then is let go of.
    pub fn requests_within(&self, most_bytes: usize) -> Result<Vec<DocumentRequests>> {
        let mut sampler = Sampler { task: self, random: Random::new(self.settings.seed) };
        let writer = self.writer();
        let mut left = most_bytes;
        let ask = |(index, document)| {
            let shots = sampler.sample(index, document)?;
            let asks = self.asks(&writer, document, writer.contexts(document, &shots)?)?;
            left = left.checked_sub(asks.iter().map(Ask::bytes).sum()).ok_or_else(|| {
                let why = format!("its requests have more than {most_bytes} bytes by document {index}; set a limit or show fewer examples");
                Error::field(&self.config.name, "num_fewshot", why)
            })?;
            Ok(DocumentRequests { document: index, asks })
        };
        self.asked().iter().enumerate().map(ask).collect()
    }

    /// The requests about one document. Of those before it the examples are drawn and nothing is written.
    ///
    /// # Errors
    /// As [`Task::requests`], and [`Error::Document`] when there is no such document.
    pub fn requests_of(&self, index: usize) -> Result<DocumentRequests> {
        let mut sampler = Sampler { task: self, random: Random::new(self.settings.seed) };
        let writer = self.writer();
        let there = self.asked().len();
        let document = self.asked().get(index).ok_or_else(|| {
            Error::document(&self.config.name, index, format!("the task has {there} documents, from 0 on"))
        })?;
        for (before, document) in self.asked().iter().enumerate().take(index) {
            sampler.sample(before, document)?;
        }
        let shots = sampler.sample(index, document)?;
        let asks = self.asks(&writer, document, writer.contexts(document, &shots)?)?;
        Ok(DocumentRequests { document: index, asks })
    }

    /// `construct_requests`.
    fn asks(&self, writer: &Writer<'_>, document: &Document, contexts: Contexts) -> Result<Vec<Ask>> {
        let contexts = match contexts {
            Contexts::One(prompt) => vec![prompt],
            Contexts::Several(prompts) => prompts,
        };
        let first = |contexts: Vec<Prompt>| contexts.into_iter().next().unwrap_or(Prompt::Text(String::new()));
        Ok(match self.config.output {
            OutputType::Loglikelihood => {
                vec![Ask::Choices { context: first(contexts), continuations: vec![writer.continuation(document)?] }]
            }
            OutputType::LoglikelihoodRolling => vec![Ask::Rolling { text: writer.continuation(document)? }],
            OutputType::MultipleChoice => self.choice_asks(writer, document, contexts)?,
            OutputType::GenerateUntil => {
                let generation: Generation = self.config.generation.clone();
                vec![Ask::Generate { prompt: first(contexts), generation, repeats: self.config.repeats }]
            }
        })
    }

    fn choice_asks(&self, writer: &Writer<'_>, document: &Document, contexts: Vec<Prompt>) -> Result<Vec<Ask>> {
        let delimiter = writer.choice_delimiter();
        let choices = writer.choices(&self.config.words, document)?;
        let after = |text: &String| format!("{delimiter}{text}");
        let all: Vec<String> = choices.iter().map(after).collect();
        let mut asks = Vec::new();
        if self.multiple_inputs {
            let continuation = after(&writer.continuation(document)?);
            let one = |context| Ask::Choices { context, continuations: vec![continuation.clone()] };
            asks.extend(contexts.into_iter().map(one));
        } else {
            let one = |context| Ask::Choices { context, continuations: all.clone() };
            asks.extend(contexts.into_iter().map(one));
        }
        if self.wants_unconditional() {
            asks.push(Ask::Choices { context: Prompt::Text(String::new()), continuations: all });
        }
        Ok(asks)
    }

    fn wants_unconditional(&self) -> bool {
        self.config.metrics.iter().any(|metric| metric.name == "acc_mutual_info")
    }

    /// The numbers that these answers come to. `answers` has a list for each document of [`Task::requests`], with an answer for each of its requests.
    ///
    /// # Errors
    /// [`Error::Answers`] when they do not fit the requests or cannot be aggregated, [`Error::Document`] when a document cannot be scored.
    pub fn score(&self, answers: &[Vec<Answer>]) -> Result<Report> {
        self.score_answered(&answers.iter().map(|answers| Some(answers.as_slice())).collect::<Vec<_>>())
    }

    /// The same where documents without answers are left out, which the report notes.
    ///
    /// # Errors
    /// As [`Task::score`].
    pub fn score_answered(&self, answers: &[Option<&[Answer]>]) -> Result<Report> {
        let asked = self.asked();
        let results = self.results(answers)?;
        let aggregates = self.aggregates(&results)?;
        let answered = answers.iter().flatten().count();
        let mut notes = self.notes();
        if answered < asked.len() {
            notes.push(format!(
                "{} of {} documents have no answer and are left out",
                asked.len() - answered,
                asked.len()
            ));
        }
        Ok(Report {
            task: self.config.name.clone(),
            version: self.config.version.clone(),
            num_fewshot: self.num_fewshot(),
            documents: answered,
            aggregates,
            results,
            notes,
        })
    }

    /// What was measured of each document, without the numbers that they come to.
    ///
    /// # Errors
    /// As [`Task::score`].
    pub fn results(&self, answers: &[Option<&[Answer]>]) -> Result<Vec<DocumentResult>> {
        let asked = self.asked();
        if answers.len() != asked.len() {
            let why =
                format!("there are answers for {} documents, and {} were asked about", answers.len(), asked.len());
            return Err(Error::answers(&self.config.name, why));
        }
        let mut results = Vec::new();
        for pipeline in &self.config.pipelines {
            for (index, (document, answers)) in asked.iter().zip(answers).enumerate() {
                let Some(answers) = answers else { continue };
                let scoring = Scoring { task: self, writer: self.writer(), document };
                let result = scoring.result(index, pipeline, answers).map_err(|why| why.into_error(self, index))?;
                results.push(result);
            }
        }
        Ok(results)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.config.notes.clone();
        if self.config.num_fewshot == Some(0) && self.settings.num_fewshot.is_some_and(|asked| asked > 0) {
            notes.push("the task sets num_fewshot to 0, so that no examples were given".to_owned());
        }
        if self.settings.limit.is_some_and(|limit| limit < self.documents.len()) {
            notes.push(format!(
                "only the first {} of {} documents were asked about",
                self.asked().len(),
                self.documents.len()
            ));
        }
        notes.extend(self.note_of_resamples());
        notes
    }

    fn note_of_resamples(&self) -> Option<String> {
        let (documents, asked) = (self.asked().len(), self.settings.resamples.min(MAX_RESAMPLES));
        let drawn = resamples_of(documents, asked);
        let resampled = self.config.metrics.iter().filter(|metric| metric.aggregation.is_resampled());
        let names: Vec<&str> = resampled.map(|metric| metric.name.as_str()).collect();
        (drawn < asked && !names.is_empty()).then(|| {
            format!(
                "standard errors of {} are of {drawn} resamples: more of {documents} documents take too long",
                names.join(", ")
            )
        })
    }

    fn aggregates(&self, results: &[DocumentResult]) -> Result<Vec<Aggregate>> {
        let mut aggregates = Vec::new();
        for pipeline in &self.config.pipelines {
            for metric in &self.config.metrics {
                let of = |result: &&DocumentResult| result.filter == pipeline.name;
                let named =
                    |result: &DocumentResult| result.measures.iter().find(|(name, _)| *name == metric.name).cloned();
                let measures: Vec<Measure> = results.iter().filter(of).filter_map(named).map(|(_, m)| m).collect();
                if !measures.is_empty() {
                    aggregates.push(self.aggregate(metric, pipeline, &measures)?);
                }
            }
        }
        Ok(aggregates)
    }

    fn aggregate(&self, metric: &Metric, pipeline: &Pipeline, measures: &[Measure]) -> Result<Aggregate> {
        let wrong = |why: String| Error::answers(&self.config.name, format!("{}: {why}", metric.name));
        Ok(Aggregate {
            metric: metric.name.clone(),
            filter: pipeline.name.clone(),
            value: metric.aggregation.of(measures).map_err(wrong)?,
            stderr: metric.aggregation.stderr(measures, self.settings.resamples).map_err(wrong)?,
            higher_is_better: metric.higher_is_better,
            documents: measures.len(),
        })
    }
}

fn split<'d>(config: &TaskConfig, documents: &'d Documents, name: &str, field: &str) -> Result<&'d [Document]> {
    documents.split(name).ok_or_else(|| {
        let there: Vec<&str> = documents.names().collect();
        let why = format!("no documents of the split {name:?} were given; there are {}", there.join(", "));
        Error::field(&config.name, field, why)
    })
}

fn processed(config: &TaskConfig, documents: &[Document], function: Option<Builtin>) -> Result<Vec<Document>> {
    let Some(function) = function else { return Ok(documents.to_vec()) };
    let one = |(index, document)| {
        let made =
            function.document(document).unwrap_or_else(|| Err("this function does not change documents".to_owned()));
        made.map_err(|why| Error::document(&config.name, index, format!("process_docs: {why}")))
    };
    documents.iter().enumerate().map(one).collect()
}

/// The documents that examples come from (`fewshot_docs`). A split that was not given counts only when examples are drawn.
fn shots(config: &TaskConfig, documents: &Documents) -> Result<Vec<Document>> {
    if let Some(samples) = &config.shots.samples {
        return Ok(samples.iter().filter_map(Value::as_object).cloned().collect());
    }
    let Some(name) = config.shots_split() else { return Ok(Vec::new()) };
    let function = if config.shots.split.is_some() { config.shots.process_docs } else { config.process_docs };
    processed(config, documents.split(name).unwrap_or_default(), function)
}

/// Draws examples, one document after another (`ContextSampler` and `FirstNSampler` in `lm_eval/api/samplers.py`).
struct Sampler<'t> {
    task: &'t Task,
    random: Random,
}

impl<'t> Sampler<'t> {
    fn sample(&mut self, index: usize, document: &Document) -> Result<Vec<&'t Document>> {
        let n = self.task.num_fewshot();
        if n == 0 {
            return Ok(Vec::new());
        }
        let config = &self.task.config;
        let pool = &self.task.shots;
        // The harness compares the two names, which are equal also where neither is given.
        let own = (config.shots.split == config.splits.test).then_some(document);
        let drawn = if config.shots.first_n { first_n(pool, own, n) } else { self.any(pool, own, n) };
        drawn.ok_or_else(|| {
            let why = format!("{n} examples are asked for and there are {} documents to take them from", pool.len());
            Error::document(&config.name, index, why)
        })
    }

    /// One more than is needed, so that the document itself can be left out; all again without its copies where that is not
    /// enough.
    fn any(&mut self, pool: &'t [Document], own: Option<&Document>, n: usize) -> Option<Vec<&'t Document>> {
        let Some(own) = own else {
            return self.random.sample(pool.len(), n).map(|places| places.into_iter().map(|at| &pool[at]).collect());
        };
        let drawn = self.random.sample(pool.len(), n + 1)?;
        let others: Vec<&Document> =
            drawn.into_iter().map(|at| &pool[at]).filter(|other| *other != own).take(n).collect();
        if others.len() == n {
            return Some(others);
        }
        let without: Vec<&Document> = pool.iter().filter(|other| *other != own).collect();
        Some(self.random.sample(without.len(), n)?.into_iter().map(|at| without[at]).collect())
    }
}

fn first_n<'t>(pool: &'t [Document], own: Option<&Document>, n: usize) -> Option<Vec<&'t Document>> {
    let first: Vec<&Document> = pool.iter().filter(|other| Some(*other) != own).take(n).collect();
    (first.len() == n).then_some(first)
}

/// One document while it is scored.
struct Scoring<'t> {
    task: &'t Task,
    writer: Writer<'t>,
    document: &'t Document,
}

/// Why a document was not scored.
enum Unscored {
    Because(String),
    Error(Error),
}

impl Unscored {
    fn into_error(self, task: &Task, document: usize) -> Error {
        match self {
            Self::Because(why) => Error::document(&task.config.name, document, why),
            Self::Error(error) => error,
        }
    }
}

impl From<String> for Unscored {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

impl From<&str> for Unscored {
    fn from(why: &str) -> Self {
        Self::Because(why.to_owned())
    }
}

impl From<Error> for Unscored {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

type Scored<T> = std::result::Result<T, Unscored>;

impl Scoring<'_> {
    fn result(&self, index: usize, pipeline: &Pipeline, answers: &[Answer]) -> Scored<DocumentResult> {
        let mut answer = Value::Null;
        let measures = match self.task.config.output {
            OutputType::MultipleChoice => self.of_choices(answers)?,
            OutputType::Loglikelihood => self.of_continuation(answers)?,
            OutputType::LoglikelihoodRolling => self.of_text(answers)?,
            OutputType::GenerateUntil => {
                let filtered = self.filtered(pipeline, answers)?;
                let measures = self.of_generation(&filtered)?;
                answer = match filtered {
                    Filtered::One(value) => value,
                    Filtered::Many(values) => Value::Array(values),
                };
                measures
            }
        };
        let target = self.writer.target(&self.task.config.words, self.document)?;
        Ok(DocumentResult { document: index, filter: pipeline.name.clone(), target, answer, measures })
    }

    fn each_metric(&self, measure: impl Fn(&Metric) -> Scored<Option<Measure>>) -> Scored<Vec<(String, Measure)>> {
        let mut measures = Vec::new();
        for metric in &self.task.config.metrics {
            measures.extend(measure(metric)?.map(|measure| (metric.name.clone(), measure)));
        }
        Ok(measures)
    }

    /// The likelihoods of all choices, and those of the choices by themselves.
    fn likelihoods(&self, answers: &[Answer], choices: usize) -> Scored<(Vec<Likelihood>, Option<Vec<Likelihood>>)> {
        let mut all = Vec::new();
        for answer in answers {
            let Answer::Choices(likelihoods) = answer else { return Err("an answer has no log-likelihoods".into()) };
            all.extend_from_slice(likelihoods);
        }
        let expected = if self.task.wants_unconditional() { 2 * choices } else { choices };
        if all.len() != expected {
            return Err(format!("{expected} log-likelihoods were asked for and {} came", all.len()).into());
        }
        let alone = (expected > choices).then(|| all.split_off(choices));
        Ok((all, alone))
    }

    fn of_choices(&self, answers: &[Answer]) -> Scored<Vec<(String, Measure)>> {
        let words = &self.task.config.words;
        let texts = self.writer.choices(words, self.document)?;
        let (likelihoods, unconditional) = self.likelihoods(answers, texts.len())?;
        let target = if self.task.multiple_inputs {
            self.writer.text(words, self.document)?
        } else {
            self.writer.target(words, self.document)?
        };
        let gold = Gold::of(&target, &texts)?;
        if matches!(gold, Gold::Any(_)) != self.task.multiple_targets && !self.task.multiple_inputs {
            return Err("doc_to_target gives a list for some documents and not for others".into());
        }
        let choices =
            Choices { texts: &texts, likelihoods: &likelihoods, unconditional: unconditional.as_deref(), gold };
        if self.task.config.process_results == Some(Builtin::TruthfulMc2) {
            let share = Measure::Number(choices.true_share(&self.labels()?));
            return Ok(vec![("acc".to_owned(), share)]);
        }
        self.each_metric(|metric| Ok(Some(choices.measure(&metric.name)?)))
    }

    /// How many of the choices are right.
    fn right(&self, texts: &[String]) -> Scored<usize> {
        if self.task.config.process_results == Some(Builtin::TruthfulMc2) {
            return Ok(self.labels()?.iter().filter(|&&label| label == 1).count());
        }
        let words = &self.task.config.words;
        let target = if self.task.multiple_inputs {
            self.writer.text(words, self.document)?
        } else {
            self.writer.target(words, self.document)?
        };
        Ok(match Gold::of(&target, texts)? {
            Gold::One(_) => 1,
            Gold::Any(several) => several.len(),
        })
    }

    fn labels(&self) -> Scored<Vec<i64>> {
        let labels =
            self.document.get("mc2_targets").and_then(|targets| targets.get("labels")).and_then(Value::as_array);
        let labels = labels.and_then(|labels| labels.iter().map(Value::as_i64).collect::<Option<Vec<_>>>());
        labels.ok_or_else(|| "the document has no mc2_targets.labels".into())
    }

    fn of_continuation(&self, answers: &[Answer]) -> Scored<Vec<(String, Measure)>> {
        let (likelihoods, _) = self.likelihoods(answers, 1)?;
        let likelihood = likelihoods[0];
        self.each_metric(|metric| {
            Ok(match metric.name.as_str() {
                "perplexity" => Some(Measure::Number(likelihood.sum)),
                "acc" => Some(Measure::Number(f64::from(u8::from(likelihood.is_greedy)))),
                _ => None,
            })
        })
    }

    fn of_text(&self, answers: &[Answer]) -> Scored<Vec<(String, Measure)>> {
        let [Answer::Rolling(likelihood)] = answers else {
            return Err("one log-likelihood of the text was asked for".into());
        };
        let (words, bytes) = match self.task.config.process_results {
            Some(Builtin::WikitextResults) => wikitext_sizes(self.document)?,
            _ => {
                let text = self.writer.continuation(self.document)?;
                (count_split_on_space(&text), text.len())
            }
        };
        self.each_metric(|metric| {
            Ok(match metric.name.as_str() {
                "word_perplexity" => Some(Measure::Ratio(likelihood.sum, words as f64)),
                "byte_perplexity" | "bits_per_byte" => Some(Measure::Ratio(likelihood.sum, bytes as f64)),
                _ => None,
            })
        })
    }

    fn filtered(&self, pipeline: &Pipeline, answers: &[Answer]) -> Scored<Filtered> {
        let [Answer::Texts(texts)] = answers else { return Err("one answer of texts was asked for".into()) };
        let repeats = self.task.config.repeats;
        if texts.len() != repeats {
            return Err(format!("{repeats} texts were asked for and {} came", texts.len()).into());
        }
        pipeline.apply(texts, self.document).map_err(|why| format!("filter {}: {why}", pipeline.name).into())
    }

    /// What would be right, as texts: one, or several any of which is.
    fn targets(&self) -> Scored<Vec<String>> {
        let words = &self.task.config.words;
        let target = self.writer.target(words, self.document)?;
        if words.choice.is_some() {
            let choices = self.writer.choices(words, self.document)?;
            let at = target.as_i64().and_then(|at| usize::try_from(at).ok());
            let choice = at
                .and_then(|at| choices.get(at))
                .ok_or("with doc_to_choice, doc_to_target is the number of a choice")?;
            return Ok(vec![choice.clone()]);
        }
        match target {
            Value::Array(several) if self.task.multiple_targets => Ok(several.iter().map(str_of_json).collect()),
            one => Ok(vec![str_of_json(&one)]),
        }
    }

    fn of_generation(&self, filtered: &Filtered) -> Scored<Vec<(String, Measure)>> {
        let targets = self.targets()?;
        let answers: Vec<String> = match filtered {
            Filtered::One(value) => vec![str_of_json(value)],
            Filtered::Many(values) => values.iter().map(str_of_json).collect(),
        };
        self.each_metric(|metric| {
            if matches!(filtered, Filtered::Many(_)) && metric.has_ignored_patterns() {
                return Err(
                    "the filter leaves a list, which regexes_to_ignore cannot change; end it with take_first".into()
                );
            }
            Ok(Some(Measure::Number(metric.exact_match(&answers, &targets)?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Library, truthfulqa};

    fn documents(split: &str, rows: Value) -> Documents {
        let rows = rows.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone());
        Documents::new().with(split, rows.collect())
    }

    fn task(text: &str, rows: Value, settings: Settings) -> Result<Task> {
        let config = Library::new().with("t.yaml", &format!("task: t\ntest_split: test\n{text}")).load("t")?;
        Task::new(config[0].tasks()[0].clone(), &documents("test", rows), settings)
    }

    const CHOICES: &str = "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: label\ndoc_to_choice: [a, b]\n";

    fn fails<T>(result: Result<T>) -> String {
        result.err().unwrap().to_string()
    }

    #[test]
    fn choices_of_one_context_stand_together() {
        let task = task(CHOICES, json!([{"q": "Q", "label": 1}]), Settings::default()).unwrap();
        let asks = &task.requests().unwrap()[0].asks;
        let context = Prompt::Text("Q".to_owned());
        assert_eq!(*asks, [Ask::Choices { context, continuations: vec![" a".to_owned(), " b".to_owned()] }]);
    }

    /// Examples are drawn from one document to the next: of one alone they are what they are among all.
    #[test]
    fn one_document_is_asked_about_as_among_all_and_requests_have_a_limit() {
        let rows = json!((0..9).map(|n| json!({"q": format!("Q{n}"), "a": n})).collect::<Vec<_>>());
        let text = "fewshot_split: test\nnum_fewshot: 2\noutput_type: generate_until\n\
                    doc_to_text: \"{{q}}\"\ndoc_to_target: \"{{a}}\"\n";
        let task = task(text, rows, Settings::default()).unwrap();
        let all = task.requests().unwrap();
        assert_eq!(task.requests_of(6).unwrap(), all[6]);
        assert!(
            fails(task.requests_of(9)).contains("9 documents") && fails(task.requests_of(usize::MAX)).contains("9")
        );
        let bytes = all.iter().flat_map(|one| &one.asks).map(Ask::bytes).sum();
        assert_eq!(task.requests_within(bytes).unwrap(), all);
        assert!(fails(task.requests_within(bytes - 1)).contains("document 8"));
    }

    #[test]
    fn documents_that_cannot_be_asked_about_are_named() {
        let one = || json!([{"q": "Q", "label": 0}]);
        let settings = |num_fewshot| Settings { num_fewshot: Some(num_fewshot), ..Settings::default() };
        assert!(fails(task(CHOICES, json!([]), Settings::default())).contains("is empty"));
        assert!(
            fails(task(&CHOICES.replace("q\n", "'{{missing}}'\n"), one(), Settings::default())).contains("undefined")
        );
        assert!(fails(task(&CHOICES.replace("q\n", "'{{q'\n"), one(), Settings::default())).contains("doc_to_text"));
        let alone = task(CHOICES, one(), settings(2)).unwrap();
        assert!(fails(alone.requests()).contains("there are 1 documents to take them from"));
        let config =
            Library::new().with("t.yaml", &format!("task: t\nvalidation_split: dev\n{CHOICES}")).load("t").unwrap();
        let error = fails(Task::new(config[0].tasks()[0].clone(), &documents("test", one()), Settings::default()));
        assert!(error.contains("no documents of the split \"dev\" were given; there are test"), "{error}");
    }

    #[test]
    fn a_task_that_sets_no_examples_keeps_to_it() {
        let settings = Settings { num_fewshot: Some(2), ..Settings::default() };
        let rows = json!([{"q": "Q", "label": 0}, {"q": "R", "label": 1}]);
        let task = task(&format!("{CHOICES}num_fewshot: 0"), rows, settings).unwrap();
        assert_eq!(task.num_fewshot(), 0);
        let likelihood = |sum| Likelihood { sum, is_greedy: false, tokens: 1 };
        let answers = vec![vec![Answer::Choices(vec![likelihood(-1.0), likelihood(-2.0)])]; 2];
        let report = task.score(&answers).unwrap();
        assert!(report.notes[0].contains("num_fewshot to 0"));
        // One of two is right: mean 1/2, s = √(1/2), s/√2 = 1/2.
        assert_eq!((report.aggregates[0].value, report.aggregates[0].stderr), (0.5, Some(0.5)));
    }

    /// Two choices of which one is right, and of the second document's answer nothing is known: 1 of 1 is right.
    #[test]
    fn documents_without_answers_are_left_out_and_guessing_gets_its_share() {
        let task = task(CHOICES, json!([{"q": "Q", "label": 0}, {"q": "R", "label": 1}]), Settings::default()).unwrap();
        assert_eq!(task.chance().unwrap(), Some(0.5));
        let likelihood = |sum| Likelihood { sum, is_greedy: false, tokens: 1 };
        let answers = [Answer::Choices(vec![likelihood(-1.0), likelihood(-2.0)])];
        let report = task.score_answered(&[Some(&answers), None]).unwrap();
        assert_eq!((report.documents, report.aggregates[0].value), (1, 1.0));
        assert!(report.notes[0].contains("1 of 2 documents"), "{:?}", report.notes);
    }

    /// A thousand million documents are drawn at most: 83,000 times 12,000 of them.
    #[test]
    fn fewer_resamples_are_noted() {
        let rows = |n: usize| Value::from(vec![json!({"q": "Q", "label": 0}); n]);
        let choices = format!("{CHOICES}metric_list: [{{metric: acc}}, {{metric: mcc}}]\n");
        let note = |n: usize, settings: Settings| task(&choices, rows(n), settings).unwrap().note_of_resamples();
        let found = note(12_000, Settings::default()).unwrap();
        assert!(found.contains("of mcc are of 83000 resamples"), "{found}");
        assert_eq!(note(12_000, Settings { resamples: 1_000, ..Settings::default() }), None);
        assert_eq!(note(10, Settings::default()), None);
        let means = task(CHOICES, rows(12_000), Settings::default()).unwrap();
        assert_eq!(means.note_of_resamples(), None);
    }

    #[test]
    fn answers_that_do_not_fit_are_refused() {
        let task = task(CHOICES, json!([{"q": "Q", "label": 0}]), Settings::default()).unwrap();
        let one = Likelihood { sum: -1.0, is_greedy: false, tokens: 1 };
        assert!(fails(task.score(&[])).contains("answers for 0 documents"));
        assert!(
            fails(task.score(&[vec![Answer::Choices(vec![one])]]))
                .contains("2 log-likelihoods were asked for and 1 came")
        );
        assert!(fails(task.score(&[vec![Answer::Texts(vec![])]])).contains("no log-likelihoods"));
    }

    fn shared(name: &str) -> Option<Vec<u8>> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
        let read = std::fs::read(path).ok();
        if read.is_none() {
            eprintln!("skipped: ../shared/data/{name} is not there");
        }
        read
    }

    fn shipped(name: &str, documents: &Documents) -> Task {
        let entries = Library::shipped().load(name).unwrap();
        Task::new(entries[0].tasks()[0].clone(), documents, Settings::default()).unwrap()
    }

    /// The sizes that the data sets' authors tell; choices as a program in Python counts them in the CSV.
    #[test]
    fn the_shipped_tasks_ask_about_every_document() {
        use crate::documents::{Format, read};
        if let Some(csv) = shared("truthfulqa/TruthfulQA.csv") {
            let documents = Documents::new().with("validation", truthfulqa::multiple_choice(&csv).unwrap());
            for (name, expected) in [("truthfulqa_mc1", 4115), ("truthfulqa_mc2", 5887)] {
                let requests = shipped(name, &documents).requests().unwrap();
                let continuations = requests.iter().flat_map(|r| &r.asks).map(|ask| match ask {
                    Ask::Choices { continuations, .. } => continuations.len(),
                    _ => 0,
                });
                assert_eq!((requests.len(), continuations.sum::<usize>()), (817, expected), "{name}");
            }
        }
        if let (Some(train), Some(test)) = (shared("gsm8k/train.jsonl"), shared("gsm8k/test.jsonl")) {
            let lines = |bytes: &[u8]| read(Format::JsonLines, bytes, None).unwrap();
            let documents = Documents::new().with("train", lines(&train)).with("test", lines(&test));
            for name in ["gsm8k", "gsm8k_cot", "gsm8k_cot_zeroshot"] {
                assert_eq!(shipped(name, &documents).requests().unwrap().len(), 1319, "{name}");
            }
        }
        for name in [
            "boolean_expressions",
            "causal_judgement",
            "date_understanding",
            "navigate",
            "object_counting",
            "sports_understanding",
            "word_sorting",
        ] {
            let Some(json) = shared(&format!("bbh/{name}.json")) else { continue };
            let documents = Documents::new().with("test", read(Format::Json, &json, Some("examples")).unwrap());
            let expected = if name == "causal_judgement" { 187 } else { 250 };
            for form in ["zeroshot", "fewshot", "cot_zeroshot", "cot_fewshot"] {
                assert_eq!(
                    shipped(&format!("bbh_{form}_{name}"), &documents).requests().unwrap().len(),
                    expected,
                    "{form} {name}"
                );
            }
        }
    }
}
