//! What a task file says: every field known, or an error that names it.
//!
//! The fields are those of `TaskConfig` and `FewshotConfig` of lm-evaluation-harness 0.4.13 (`lm_eval/config/task.py`).

use serde_json::Value;
use serde_yaml_ng::{Mapping, Value as Yaml};

use crate::builtin::Builtin;
use crate::fields::Fields;
use crate::filter::{self, Pipeline};
use crate::metric::{self, Metric, OutputType};
use crate::request::Generation;
use crate::{Result, yaml};

/// Answers to one prompt at most: each is a call that is paid.
const MOST_REPEATS: usize = 1_000;

/// A task as its file describes it.
#[derive(Debug, Clone)]
pub struct TaskConfig {
    /// Its name.
    pub name: String,
    /// The name that is shown.
    pub alias: Option<String>,
    /// Words that it is found by.
    pub tags: Vec<String>,
    /// Where its documents come from.
    pub source: Source,
    /// What it measures from.
    pub output: OutputType,
    /// The version of the task, by which results are comparable.
    pub version: Option<String>,
    /// What the file says that changes nothing here.
    pub notes: Vec<String>,
    pub(crate) splits: Splits,
    pub(crate) process_docs: Option<Builtin>,
    pub(crate) process_results: Option<Builtin>,
    pub(crate) words: Words,
    pub(crate) shots: Shots,
    pub(crate) num_fewshot: Option<usize>,
    pub(crate) description: String,
    pub(crate) target_delimiter: String,
    pub(crate) generation: Generation,
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) repeats: usize,
}

/// A metric after a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The metric: `acc`.
    pub metric: String,
    /// The filter: `none`.
    pub filter: String,
    /// Whether more is better.
    pub higher_is_better: bool,
}

/// Where a task's documents come from. Fetching them is the work of whoever runs the task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// `dataset_path`: a data set of the hub, or `json` and `csv` for local files.
    pub path: Option<String>,
    /// `dataset_name`: a part of it.
    pub name: Option<String>,
    /// `dataset_kwargs.data_files`: paths of files by split; without one they are `train`.
    pub data_files: Vec<(String, Vec<String>)>,
    /// `dataset_kwargs.field`: the field of a JSON file that holds the documents.
    pub field: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Splits {
    pub training: Option<String>,
    pub validation: Option<String>,
    pub test: Option<String>,
}

/// How a document becomes text: a template, the name of a field, a number, or values that are the same for all.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    Text(String),
    Fixed(Value),
    Function(Builtin),
}

/// What is asked, what would be right, and between what is chosen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    pub text: Option<Word>,
    pub target: Option<Word>,
    pub choice: Option<Word>,
    pub prefix: Option<String>,
}

/// The examples in a prompt, and where they are written differently from the question.
#[derive(Debug, Clone)]
pub(crate) struct Shots {
    pub first_n: bool,
    pub split: Option<String>,
    pub samples: Option<Vec<Value>>,
    pub process_docs: Option<Builtin>,
    pub words: Words,
    pub delimiter: String,
    pub target_delimiter: String,
    /// Between what is said before the examples and the description: the task's own `fewshot_delimiter`.
    pub task_delimiter: String,
}

const PYTHON_TASK: &str = "tasks that are Python classes are not run here; write the task as YAML";
const IMAGES: &str = "images and sounds are not asked about yet; remove the field or choose another task";

impl TaskConfig {
    pub(crate) fn read(name: &str, mapping: Mapping) -> Result<Self> {
        let mut fields = Fields::of_task(name, mapping);
        fields.take("task");
        for (field, why) in [
            ("class", PYTHON_TASK),
            ("task_list", "several tasks in one file are not read; write a file for each, with include"),
            ("custom_dataset", "documents are given by the caller; remove the field"),
            ("use_prompt", "promptsource's prompts are not here; write the template as doc_to_text"),
            ("doc_to_image", IMAGES),
            ("doc_to_audio", IMAGES),
            ("unsafe_code", "code of models is never run here; choose another task"),
        ] {
            fields.refuse(field, why)?;
        }
        let mut notes = Vec::new();
        read_decontamination(&mut fields, &mut notes)?;
        let output = OutputType::read(&mut fields)?;
        let process_results = function(&mut fields, "process_results")?;
        let metrics = metric::read(&mut fields, output, process_results.is_some())?;
        let pipelines = filter::read(&mut fields)?;
        if output != OutputType::GenerateUntil && !pipelines.iter().all(Pipeline::only_takes_first) {
            return Err(fields.wrong("filter_list", "log-likelihoods are not filtered; remove the field"));
        }
        let delimiter = fields.text("fewshot_delimiter")?.unwrap_or_else(|| "\n\n".to_owned());
        let target_delimiter = fields.text("target_delimiter")?.unwrap_or_else(|| " ".to_owned());
        let process_docs = function(&mut fields, "process_docs")?;
        let words = Words::read(&mut fields)?;
        let shots = Shots::read(&mut fields, &delimiter, &target_delimiter, process_docs, &words, &mut notes)?;
        let config = Self {
            name: name.to_owned(),
            alias: fields.text("task_alias")?,
            tags: fields.texts("tag")?.unwrap_or_default(),
            source: Source::read(&mut fields, &mut notes)?,
            output,
            version: version(&mut fields)?,
            splits: Splits {
                training: fields.text("training_split")?,
                validation: fields.text("validation_split")?,
                test: fields.text("test_split")?,
            },
            process_docs,
            process_results,
            words,
            num_fewshot: fields.count("num_fewshot")?,
            description: fields.text("description")?.unwrap_or_default(),
            target_delimiter,
            generation: read_generation(&mut fields, output, &delimiter, &mut notes)?,
            shots,
            pipelines,
            metrics,
            repeats: fields.count("repeats")?.unwrap_or(1),
            notes,
        };
        if !(1..=MOST_REPEATS).contains(&config.repeats) {
            return Err(fields.wrong("repeats", format!("write a whole number from 1 to {MOST_REPEATS}")));
        }
        config.check(&fields)?;
        fields.end()?;
        Ok(config)
    }

    /// What each output type cannot be without.
    fn check(&self, fields: &Fields) -> Result<()> {
        let needed = |field: &str, word: &Option<Word>| match word {
            Some(_) => Ok(()),
            None => Err(fields.wrong(field, "it is missing")),
        };
        needed("doc_to_text", &self.words.text)?;
        needed("doc_to_target", &self.words.target)?;
        if self.output == OutputType::MultipleChoice {
            needed("doc_to_choice", &self.words.choice)?;
        }
        if self.splits.test.is_none() && self.splits.validation.is_none() {
            return Err(fields.wrong("test_split", "name the split that is asked about, here or as validation_split"));
        }
        Ok(())
    }

    /// The split whose documents are asked about.
    pub fn split(&self) -> &str {
        self.splits.test.as_deref().or(self.splits.validation.as_deref()).unwrap_or_default()
    }

    /// The splits whose documents a run reads: what is asked about, and where examples come from.
    pub fn splits(&self) -> Vec<&str> {
        let mut splits = vec![self.split()];
        splits.extend(self.shots_split().filter(|split| *split != self.split()));
        splits
    }

    /// What is told of the task: each metric after each filter, the first of them first.
    pub fn measures(&self) -> Vec<Told> {
        let of = |pipeline: &Pipeline, metric: &Metric| Told {
            metric: metric.name.clone(),
            filter: pipeline.name.clone(),
            higher_is_better: metric.higher_is_better,
        };
        self.pipelines.iter().flat_map(|pipeline| self.metrics.iter().map(move |metric| of(pipeline, metric))).collect()
    }

    /// How many answers are asked for to each prompt.
    pub fn repeats(&self) -> usize {
        self.repeats
    }

    /// Examples in each prompt where nobody says otherwise.
    pub fn own_fewshot(&self) -> Option<usize> {
        self.num_fewshot
    }

    /// The split that examples come from, where they are not written in the file (`fewshot_docs`).
    pub(crate) fn shots_split(&self) -> Option<&str> {
        let own = self.shots.split.as_deref();
        if own.is_some() || self.shots.samples.is_some() {
            return own;
        }
        self.splits.training.as_deref().or(self.splits.validation.as_deref()).or(self.splits.test.as_deref())
    }

    /// Every template of the task.
    pub(crate) fn templates(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [&self.words, &self.shots.words]
            .into_iter()
            .flat_map(|words| {
                [
                    ("doc_to_text", words.text.as_ref().and_then(Word::as_text)),
                    ("doc_to_target", words.target.as_ref().and_then(Word::as_text)),
                    ("doc_to_choice", words.choice.as_ref().and_then(Word::as_text)),
                    ("gen_prefix", words.prefix.as_deref()),
                ]
            })
            .chain([("description", Some(self.description.as_str()))])
            .filter_map(|(field, source)| Some((field, source?)))
    }
}

impl Word {
    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn function(fields: &mut Fields, field: &str) -> Result<Option<Builtin>> {
    let Some(value) = fields.take(field) else { return Ok(None) };
    let path = yaml::function(&value).ok_or_else(|| fields.wrong(field, "write !function and a name"))?;
    Builtin::named(path).map(Some).map_err(|why| fields.wrong(field, why))
}

fn read_decontamination(fields: &mut Fields, notes: &mut Vec<String>) -> Result<()> {
    fields.take("doc_to_decontamination_query");
    if fields.truth("should_decontaminate")? == Some(true) {
        notes.push(
            "should_decontaminate is not read: whether a model has seen the documents is not looked at".to_owned(),
        );
    }
    Ok(())
}

/// `metadata.version`; other metadata is for people.
fn version(fields: &mut Fields) -> Result<Option<String>> {
    let Some(metadata) = fields.take("metadata") else { return Ok(None) };
    let version = metadata.get("version").and_then(yaml::to_json);
    Ok(version.map(|version| crate::python::text::str_of_json(&version)))
}

impl Words {
    fn read(fields: &mut Fields) -> Result<Self> {
        let text = word(fields, "doc_to_text")?;
        let target = word(fields, "doc_to_target")?;
        let choice = word(fields, "doc_to_choice")?;
        if let Some(Word::Fixed(value)) = &text
            && !value.is_i64()
        {
            return Err(fields.wrong("doc_to_text", "write a template, the name of a field, or a whole number"));
        }
        if let Some(Word::Fixed(value)) = &choice
            && !value.is_array()
        {
            return Err(fields.wrong("doc_to_choice", "write a template, the name of a field, a list or a mapping"));
        }
        Ok(Self { text, target, choice, prefix: fields.text("gen_prefix")? })
    }
}

fn word(fields: &mut Fields, field: &str) -> Result<Option<Word>> {
    let Some(value) = fields.take(field) else { return Ok(None) };
    Ok(Some(match value {
        Yaml::String(text) => Word::Text(text),
        Yaml::Tagged(_) => {
            let path = yaml::function(&value).unwrap_or_default();
            Word::Function(Builtin::named(path).map_err(|why| fields.wrong(field, why))?)
        }
        // The values of a mapping are the choices, in its order.
        Yaml::Mapping(pairs) => {
            let values = pairs.values().map(yaml::to_json).collect::<Option<Vec<_>>>();
            Word::Fixed(Value::Array(values.ok_or_else(|| fields.wrong(field, "write texts as values"))?))
        }
        Yaml::Sequence(_) | Yaml::Number(_) => {
            Word::Fixed(yaml::to_json(&value).ok_or_else(|| fields.wrong(field, "write texts and numbers"))?)
        }
        _ => return Err(fields.wrong(field, "write a template, the name of a field, a number or a list")),
    }))
}

impl Shots {
    fn read(
        fields: &mut Fields,
        delimiter: &str,
        target_delimiter: &str,
        process_docs: Option<Builtin>,
        task: &Words,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let mapping = fields.take("fewshot_config").unwrap_or_else(|| Yaml::Mapping(Mapping::new()));
        let task_split = fields.text("fewshot_split")?;
        let mut own = fields.within("fewshot_config", mapping)?;
        own.refuse(
            "fewshot_indices",
            "lm-evaluation-harness 0.4.13 reads it and does nothing with it; write the examples as samples",
        )?;
        let words = Words::read(&mut own)?;
        let split = own.text("split")?.or(task_split);
        let samples = samples(&mut own)?;
        if split.is_some() && samples.is_some() {
            notes.push("fewshot_config has both split and samples; the split is used".to_owned());
        }
        let shots = Self {
            first_n: sampler(&mut own)?,
            samples: samples.filter(|_| split.is_none()),
            split,
            process_docs: function(&mut own, "process_docs")?.or(process_docs),
            words: Words {
                text: words.text.or_else(|| task.text.clone()),
                target: words.target.or_else(|| task.target.clone()),
                choice: words.choice.or_else(|| task.choice.clone()),
                prefix: words.prefix.or_else(|| task.prefix.clone()),
            },
            delimiter: own.text("fewshot_delimiter")?.unwrap_or_else(|| delimiter.to_owned()),
            target_delimiter: own.text("target_delimiter")?.unwrap_or_else(|| target_delimiter.to_owned()),
            task_delimiter: delimiter.to_owned(),
        };
        own.end()?;
        Ok(shots)
    }
}

/// Whether the sampler takes the first documents, not any.
fn sampler(fields: &mut Fields) -> Result<bool> {
    match fields.text("sampler")?.as_deref() {
        None | Some("default") => Ok(false),
        Some("first_n") => Ok(true),
        Some(other) => {
            let why = format!("the sampler {other:?} is not known; known are default (random by the seed) and first_n");
            Err(fields.wrong("sampler", why))
        }
    }
}

fn samples(fields: &mut Fields) -> Result<Option<Vec<Value>>> {
    match fields.json("samples")? {
        None => Ok(None),
        Some(Value::Array(samples)) if samples.iter().all(Value::is_object) => Ok(Some(samples)),
        Some(_) => Err(fields.wrong("samples", "write a list of documents")),
    }
}

impl Source {
    fn read(fields: &mut Fields, notes: &mut Vec<String>) -> Result<Self> {
        let mut source =
            Self { path: fields.text("dataset_path")?, name: fields.text("dataset_name")?, ..Self::default() };
        let Some(value) = fields.take("dataset_kwargs") else { return Ok(source) };
        let mut kwargs = fields.within("dataset_kwargs", value)?;
        source.field = kwargs.text("field")?;
        for ignored in ["trust_remote_code", "revision", "streaming"] {
            if kwargs.take(ignored).is_some() {
                notes.push(format!("dataset_kwargs.{ignored} is not read: the documents are given by the caller"));
            }
        }
        match kwargs.json("data_files")? {
            None => {}
            Some(Value::Object(splits)) => {
                for (split, files) in splits {
                    source.data_files.push((split, file_names(files, &kwargs)?));
                }
            }
            Some(files) => source.data_files.push(("train".to_owned(), file_names(files, &kwargs)?)),
        }
        kwargs.end()?;
        Ok(source)
    }
}

fn file_names(value: Value, fields: &Fields) -> Result<Vec<String>> {
    let items = match value {
        Value::Array(items) => items,
        one => vec![one],
    };
    let name =
        |item: Value| match item {
            Value::String(name) => Ok(name),
            _ => Err(fields
                .wrong("data_files", "write the path of a file, a list of paths, or a mapping of splits to paths")),
        };
    items.into_iter().map(name).collect()
}

/// `generation_kwargs`, as `TaskConfig.__post_init__` completes them.
fn read_generation(
    fields: &mut Fields,
    output: OutputType,
    delimiter: &str,
    notes: &mut Vec<String>,
) -> Result<Generation> {
    let mut generation =
        Generation { until: vec![delimiter.to_owned()], max_tokens: None, temperature: 0.0, top_p: None, top_k: None };
    let Some(value) = fields.take("generation_kwargs") else {
        generation.max_tokens = Some(crate::request::DEFAULT_MAX_TOKENS);
        return Ok(generation);
    };
    if output != OutputType::GenerateUntil {
        notes.push("generation_kwargs is not read: nothing is generated for this output_type".to_owned());
    }
    let mut own = fields.within("generation_kwargs", value)?;
    if let Some(until) = own.texts("until")? {
        generation.until = until;
    }
    for name in ["max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"] {
        generation.max_tokens = generation.max_tokens.or(own.count(name)?);
    }
    generation.top_p = own.number("top_p")?;
    generation.top_k = own.count("top_k")?;
    let temperature = own.number("temperature")?;
    if temperature.is_some_and(|t| !(0.0..=100.0).contains(&t)) {
        return Err(own.wrong("temperature", "write a number from 0"));
    }
    // Without sampling the temperature is not used; sampling without one is what each model makes of it.
    generation.temperature = match (own.truth("do_sample")?, temperature) {
        (Some(false), _) => 0.0,
        (Some(true), None) => return Err(own.wrong("do_sample", "sampling needs a temperature; write it beside")),
        (_, temperature) => temperature.unwrap_or(0.0),
    };
    own.end()?;
    Ok(generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Library;

    const TASK: &str = "task: t\noutput_type: multiple_choice\ntest_split: test\ndoc_to_text: '{{q}}'\ndoc_to_target: 0\ndoc_to_choice: [a, b]\n";
    const TEXTS: &str = "task: t\ntest_split: test\ndoc_to_text: '{{q}}'\ndoc_to_target: a\n";

    fn read(text: &str) -> Result<TaskConfig> {
        let entries = Library::new().with("t.yaml", text).load("t")?;
        Ok(entries[0].tasks()[0].clone())
    }

    #[track_caller]
    fn refused(text: &str, field: &str, why: &str) {
        let error = read(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("task t, {field}: ")) && error.contains(why), "{error}");
    }

    #[test]
    fn what_is_not_known_is_named() {
        let with = |more: &str| format!("{TASK}{more}");
        let texts = |more: &str| format!("{TEXTS}{more}");
        refused(&with("dock_to_text: a"), "dock_to_text", "not known");
        refused(&with("class: !function task.X"), "class", "Python classes");
        refused(&with("custom_dataset: !function utils.f"), "custom_dataset", "given by the caller");
        refused(
            &with("process_docs: !function utils.process_docs"),
            "process_docs",
            "is Python, which is not run here",
        );
        refused(&with("use_prompt: all"), "use_prompt", "promptsource");
        refused(&with("unsafe_code: true"), "unsafe_code", "never run");
        refused(&with("task_list: []"), "task_list", "several tasks");
        refused(&with("fewshot_config: {sampler: balanced}"), "fewshot_config.sampler", "first_n");
        refused(&with("fewshot_config: {fewshot_indices: [1]}"), "fewshot_config.fewshot_indices", "does nothing");
        refused(&with("fewshot_config: {shots: 1}"), "fewshot_config.shots", "not known");
        refused(&with("filter_list: [{name: x, filter: [{function: lowercase}]}]"), "filter_list", "not filtered");
        refused(&with("metric_list: [{metric: bleu}]"), "metric_list[0].metric", "is not here yet");
        refused(&with("metric_list: [{metric: accuracy}]"), "metric_list[0].metric", "is not known");
        refused(&with("metric_list: [{metric: perplexity}]"), "metric_list[0].metric", "output_type");
        refused(&with("metric_list: [{metric: acc, ignore_case: true}]"), "metric_list[0].ignore_case", "not known");
        refused(
            &with("metric_list: [{metric: acc, aggregation: sum}]"),
            "metric_list[0].aggregation",
            "matthews_corrcoef",
        );
        refused(&with("metric_list: [{metric: acc}, {metric: acc}]"), "metric_list", "twice");
        refused(&texts("metric_list: [{metric: exact_match, hf_evaluate: true}]"), "metric_list[0].hf_evaluate", "hub");
        refused(
            &texts("filter_list: [{name: x, filter: [{function: custom}]}]"),
            "filter_list[0].filter[0].function",
            "majority_vote",
        );
        refused(
            &texts("filter_list: [{name: x, filter: [{function: regex, pattern: a}]}]"),
            "filter_list[0].filter[0].pattern",
            "not known",
        );
        refused(
            &texts("filter_list: [{name: x, filter: [{function: regex, regex_pattern: (}]}]"),
            "filter_list[0].filter[0].regex_pattern",
            "not a regular expression",
        );
        refused(
            &texts("filter_list: [{name: x, filter: [{function: take_first}, {function: lowercase}]}]"),
            "filter_list[0].filter",
            "put it last",
        );
        refused(&texts("generation_kwargs: {beams: 2}"), "generation_kwargs.beams", "not known");
        refused(&texts("generation_kwargs: {do_sample: true}"), "generation_kwargs.do_sample", "temperature");
        refused(&texts("repeats: 0"), "repeats", "from 1");
        refused(&texts("repeats: 1001"), "repeats", "to 1000");
        refused(&texts("num_fewshot: -1"), "num_fewshot", "whole number");
        refused(&TASK.replace("test_split: test\n", ""), "test_split", "name the split");
        refused(&TASK.replace("doc_to_choice: [a, b]\n", ""), "doc_to_choice", "missing");
        refused(&TASK.replace("multiple_choice", "choice"), "output_type", "loglikelihood_rolling");
    }

    #[test]
    fn what_changes_nothing_is_noted() {
        let task = read(&format!(
            "{TASK}should_decontaminate: true\ndoc_to_decontamination_query: q\nmetadata: {{version: 2.0, by: me}}"
        ))
        .unwrap();
        assert!(task.notes[0].starts_with("should_decontaminate is not read"));
        assert_eq!(task.version.as_deref(), Some("2.0"));
    }

    /// As `TaskConfig.__post_init__` of the harness completes them.
    #[test]
    fn generation_is_greedy_unless_it_samples() {
        let generation = |more: &str| read(&format!("{TEXTS}{more}")).unwrap().generation;
        let plain = generation("");
        assert_eq!((plain.until, plain.max_tokens, plain.temperature), (vec!["\n\n".to_owned()], Some(256), 0.0));
        let given = generation(
            "fewshot_delimiter: '|'\ngeneration_kwargs: {max_gen_toks: 5, do_sample: no, temperature: 1e-1}",
        );
        assert_eq!((given.until, given.max_tokens, given.temperature), (vec!["|".to_owned()], Some(5), 0.0));
        let sampled =
            generation("generation_kwargs: {until: a, do_sample: yes, temperature: 0.5, top_p: 0.9, top_k: 3}");
        assert_eq!((sampled.temperature, sampled.top_p, sampled.top_k), (0.5, Some(0.9), Some(3)));
    }

    #[test]
    fn the_files_of_its_documents_are_told() {
        let source =
            |kwargs: &str| read(&format!("{TASK}dataset_path: json\ndataset_kwargs: {kwargs}")).unwrap().source;
        let one = source("{data_files: a.jsonl}");
        assert_eq!(one.data_files, [("train".to_owned(), vec!["a.jsonl".to_owned()])]);
        let split = source("{data_files: {test: [a.json, b.json]}, field: examples}");
        assert_eq!(split.data_files, [("test".to_owned(), vec!["a.json".to_owned(), "b.json".to_owned()])]);
        assert_eq!(split.field.as_deref(), Some("examples"));
        refused(&format!("{TASK}dataset_kwargs: {{folder: x}}"), "dataset_kwargs.folder", "not known");
    }
}
