//! Looking for better words and better examples: a search that never sees the items by which it is judged in the end.
//!
//! The rows are drawn and parted once. Of the training rows a teacher's right answers become demonstrations, and a model
//! proposes instructions; combinations of both are tried at random on the validation rows; the best one becomes a version of
//! a prompt, and an experiment compares it with the prompt as it was on the rows that are left.
//!
//! Demonstrations by bootstrapping and random search: Khattab et al., "DSPy: Compiling Declarative Language Model Calls into
//! Self-Improving Pipelines" (2023), arXiv:2310.03714, section 4. Instructions proposed by a model: Zhou et al., "Large Language Models Are
//! Human-Level Prompt Engineers" (2022), arXiv:2211.01910.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_base::{ArtifactName, JobId, ProjectId, VersionId};
use qd_catalog::{ArtifactKind, Handler, JobContext, JobError, JobKind, VersionInfo};
use qd_data::Dataset;
use qd_eval::{Direction, ScorerSpec, Unit};
use qd_gateway::Endpoint;
use qd_prompt::{Example, Prompt, Stored, Strategy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::call::{Outcome, Request};
use crate::cell::{Cell, shuffled};
use crate::definition::{Budget, Definition, Examples, Items, MOST_CALLS, NO_PARAMETERS, Search};
use crate::experiments::Experiments;
use crate::plan::{Asked, Candidate, Item, examples_of};
use crate::proposal::{self, Proposed};
use crate::report::Results;
use crate::run::{Ask, RunRequest, Session, Stop};
use crate::shown::Shown;
use crate::variables::Mapping;
use crate::variation::{changed, with_slot};
use crate::{Error, Result};

/// The kind of these jobs.
pub const KIND: &str = "experiment.optimise";
/// Of each budget the search may use so much; the rest is for the comparison in the end.
const SEARCH_SHARE: f64 = 0.7;
/// Of the rows that are not held out, so many are trained on; the others choose.
const TRAIN_SHARE: f64 = 0.5;
/// A score from which on an answer is right enough to be shown.
const RIGHT: f64 = 0.999;
/// Combinations that are tried at most, demonstrations in one, instructions that are asked for.
const MOST_TRIALS: usize = 50;
const MOST_DEMONSTRATIONS: usize = 16;
const MOST_INSTRUCTIONS: usize = 20;
/// How often a combination is drawn for each that is wanted: some come again.
const DRAWS_PER_TRIAL: usize = 20;
/// Training rows that are shown to the model that proposes instructions.
const SHOWN_ROWS: usize = 5;
/// Rows in each part at least: with fewer nothing could be told.
const LEAST_ROWS: usize = 5;

/// What is to be improved, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimisation {
    /// The dataset, as `name`, `name@3` or `name@label`.
    pub dataset: String,
    /// Which of its rows: they are parted into those trained on, those that choose, and those held out.
    #[serde(default)]
    pub items: Items,
    /// The prompt to be improved.
    pub prompt: String,
    /// The model that is asked; the prompt's own when absent.
    #[serde(default)]
    pub model: Option<String>,
    /// Parameters of its calls.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// From which column a variable gets its value, where the names differ.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// What is to become better: a share of which more is better.
    pub scorer: ScorerSpec,
    /// The share of the rows that the search never sees.
    #[serde(default = "two_fifths")]
    pub held_out: f64,
    /// How many combinations are tried.
    #[serde(default = "ten")]
    pub trials: usize,
    /// Examples that a combination shows at most; 0 to look for instructions only.
    #[serde(default = "four")]
    pub demonstrations: usize,
    /// The model whose right answers are shown; the one that is asked when absent.
    #[serde(default)]
    pub teacher: Option<String>,
    /// The model that proposes instructions; none are proposed when absent.
    #[serde(default)]
    pub proposer: Option<String>,
    /// Parameters of the call that asks it; temperature 0 and 1,000 tokens at most when absent.
    #[serde(default)]
    pub proposer_parameters: Option<Map<String, Value>>,
    /// How many it proposes.
    #[serde(default = "four")]
    pub instructions: usize,
    /// The prompt that the best combination becomes a version of; the prompt's name with `-optimised` when absent.
    #[serde(default)]
    pub save_as: Option<ArtifactName>,
    /// What draws and parting follow from.
    #[serde(default)]
    pub seed: u64,
    /// Calls under way at once.
    #[serde(default = "four")]
    pub concurrency: usize,
    /// Where to stop; the search uses 70 % of it at most.
    #[serde(default)]
    pub budget: Budget,
}

fn two_fifths() -> f64 {
    0.4
}

fn ten() -> usize {
    10
}

fn four() -> usize {
    4
}

/// What a job is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OptimiseRequest {
    /// The experiment that compares in the end.
    name: ArtifactName,
    /// Who asked.
    actor: String,
    wanted: Optimisation,
}

/// How the rows are parted, in the order in which they were drawn.
struct Parts {
    train: Vec<Arc<Item>>,
    choose: Vec<Arc<Item>>,
    held_out: Vec<Arc<Item>>,
}

impl Parts {
    /// The rows by which is judged, in the search and in the end.
    fn judging(&self) -> Vec<Arc<Item>> {
        self.choose.iter().chain(&self.held_out).cloned().collect()
    }
}

/// A combination that is tried.
struct Trial {
    candidate: Arc<Candidate>,
    instruction: Option<String>,
    score: Option<f64>,
}

impl Optimisation {
    fn check(&self) -> Result<()> {
        let within = |field: &str, found: usize, least: usize, most: usize| match (least..=most).contains(&found) {
            true => Ok(()),
            false => Err(Error::definition(field, format!("{found} is not between {least} and {most}"))),
        };
        within("trials", self.trials, 1, MOST_TRIALS)?;
        within("demonstrations", self.demonstrations, 0, MOST_DEMONSTRATIONS)?;
        within("instructions", self.instructions, 1, MOST_INSTRUCTIONS)?;
        if !(0.1..=0.8).contains(&self.held_out) {
            return Err(Error::definition("held_out", "it is between 0.1 and 0.8"));
        }
        if self.demonstrations == 0 && self.proposer.is_none() {
            return Err(Error::definition(
                "demonstrations",
                "with none and without a proposer there is nothing to try",
            ));
        }
        let own = self.proposer_parameters.iter().flat_map(Map::keys);
        if let Some(name) = own.into_iter().find(|name| NO_PARAMETERS.contains(&name.as_str())) {
            let why = "it is no parameter of calls, or not one of a search";
            return Err(Error::definition(format!("proposer_parameters.{name}"), why));
        }
        let scorer = qd_eval::Scorer::new(&self.scorer)?;
        match (scorer.unit(), scorer.direction()) {
            (Unit::Share, Direction::Higher) => Ok(()),
            _ => Err(Error::definition("scorer", "it must give a share of which more is better")),
        }
    }

    /// The same as an experiment on the rows that were not held out, with `prompts`.
    fn definition(&self, prompts: Vec<String>, items: Items, budget: Budget) -> Definition {
        Definition {
            dataset: self.dataset.clone(),
            items,
            prompts,
            models: self.model.iter().cloned().collect(),
            parameters: self.parameters.iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect(),
            shots: Vec::new(),
            examples: Examples::default(),
            variables: self.variables.clone(),
            repeats: 1,
            search: Search::Grid,
            scorers: vec![
                self.scorer.clone(),
                qd_eval::scorer::ScorerKind::Latency.into(),
                qd_eval::scorer::ScorerKind::Cost.into(),
            ],
            metric: None,
            count_failures_as_zero: true,
            cache: true,
            concurrency: self.concurrency,
            budget,
        }
    }
}

impl Experiments {
    /// Queues a search for a better version of a prompt; in the end the experiment `name` compares it with the prompt as it was.
    ///
    /// # Errors
    /// [`Error::Definition`] and others for what cannot be done.
    pub async fn optimise(
        &self,
        project: ProjectId,
        name: ArtifactName,
        mut wanted: Optimisation,
        actor: &str,
    ) -> Result<JobId> {
        wanted.check()?;
        let dataset = self.sources.dataset(project, &wanted.dataset, "dataset").await?;
        wanted.dataset = format!("{}@{}", dataset.info().name, dataset.info().number);
        let prompt = self.sources.prompt(project, &wanted.prompt).await?;
        wanted.prompt = format!("{}@{}", prompt.info.name, prompt.info.number);
        wanted.model = Some(wanted.model.or(prompt.prompt.model.clone()).ok_or_else(|| {
            Error::definition("model", format!("the prompt {} names no model, so say one", prompt.info.name))
        })?);
        if wanted.demonstrations > 0 {
            with_slot(&prompt.prompt)?;
        }
        if prompt.prompt.examples.as_ref().is_some_and(|slot| slot.strategy == Strategy::Similar) {
            let why =
                "it chooses examples by similarity, and the search looks for fixed ones; name a prompt with fixed ones";
            return Err(Error::definition("prompt", why));
        }
        let mapping = Mapping::new(&prompt.prompt, prompt.info.name.as_str(), &dataset, &wanted.variables)?;
        wanted.definition(vec![wanted.prompt.clone()], wanted.items, wanted.budget).check()?;
        let parts = self.part(&dataset, &wanted).await?;
        let own = self.own_examples(project, &prompt).await?;
        Asked::new(&mapping, &parts.judging()).refuse(&own, &prompt.info)?;
        let calls = parts.train.len() + parts.choose.len() * (wanted.trials + 1) + 2 * parts.held_out.len();
        if calls > MOST_CALLS {
            let why = format!("the search makes {calls} calls, {MOST_CALLS} at most; say a limit, or fewer trials");
            return Err(Error::definition("items", why));
        }
        let kind: JobKind = KIND.parse().expect("the word is a kind of job");
        let request = OptimiseRequest { name, actor: actor.to_owned(), wanted };
        Ok(self.catalog.enqueue(&kind, json!(request), project).await?)
    }

    /// Draws the rows and parts them: those held out come last, where the final experiment begins.
    async fn part(&self, dataset: &Dataset, wanted: &Optimisation) -> Result<Parts> {
        let definition = wanted.definition(Vec::new(), wanted.items, Budget::default());
        let mut train = self.sources.items(dataset, definition.items).await?;
        let rows = train.len();
        let held_out = train.split_off(rows - (rows as f64 * wanted.held_out).round() as usize);
        let choose = train.split_off((train.len() as f64 * TRAIN_SHARE).round() as usize);
        if held_out.len().min(train.len()).min(choose.len()) < LEAST_ROWS {
            let why = format!("{rows} rows are too few to be parted in three of {LEAST_ROWS} at least");
            return Err(Error::definition("items", why));
        }
        Ok(Parts { train, choose, held_out })
    }

    async fn search(&self, context: JobContext, request: OptimiseRequest) -> Result<Value> {
        let OptimiseRequest { name, actor, wanted } = request;
        let (project, job) = (context.project(), context.job().id);
        let dataset = self.sources.dataset(project, &wanted.dataset, "dataset").await?;
        let prompt = self.sources.prompt(project, &wanted.prompt).await?;
        let parts = self.part(&dataset, &wanted).await?;
        let definition =
            wanted.definition(vec![wanted.prompt.clone()], wanted.items, wanted.budget.share(SEARCH_SHARE));
        let info = searched(&prompt, job)?;
        let project_name = self.catalog.project_by_id(project).await?.name;
        let run = RunRequest { experiment: info.id, retry_failed: false, budget: None };
        let session = Session::open(self, context, &run, (info, project_name, &definition)).await?;
        let mapping = Mapping::new(&prompt.prompt, prompt.info.name.as_str(), &dataset, &wanted.variables)?;
        let base = Base {
            wanted: &wanted,
            own: self.own_examples(project, &prompt).await?,
            judging: Asked::new(&mapping, &parts.judging()),
            mapping,
            prompt,
        };
        session.expect(parts.train.len() + parts.choose.len() * (wanted.trials + 1));
        let (demonstrations, stopped) = base.bootstrap(&session, &parts.train).await?;
        if let Some(why) = stopped {
            return Ok(stopped_early(&why, told(&[], demonstrations.len(), &Proposed::default(), Some(why.clone()))));
        }
        let proposed = match base.propose(&session, &parts.train).await? {
            Ok(proposed) => proposed,
            Err(why) => {
                let told = told(&[], demonstrations.len(), &Proposed::default(), Some(why.clone()));
                return Ok(stopped_early(&why, told));
            }
        };
        let trials = base.trials(&demonstrations, &proposed.kept)?;
        if trials.len() == 1 {
            let words = "there was nothing to try: no training row was answered right, and no instruction was proposed that could be used";
            return Ok(
                json!({"found": null, "words": words, "search": told(&[], demonstrations.len(), &proposed, None)}),
            );
        }
        let (trials, stopped) = base.choose(&session, trials, &parts.choose, &definition).await?;
        let told = told(&trials, demonstrations.len(), &proposed, stopped);
        let Some(best) = better(&trials) else {
            let words = "no combination was better than the prompt as it is on the rows that choose; no held-out row was asked about";
            return Ok(json!({"found": null, "words": words, "search": told}));
        };
        let spent = session.spent();
        let kept = self.keep(project, &base, best, &actor).await?;
        let rest = Items {
            skip: wanted.items.skip + parts.train.len() + parts.choose.len(),
            limit: Some(parts.held_out.len()),
            ..wanted.items
        };
        let prompts = vec![wanted.prompt.clone(), format!("{}@{}", kept.name, kept.number)];
        let last = wanted.definition(prompts, rest, left(wanted.budget, spent));
        let made = self.make(project, &name, last, json!({"search": job}), &actor).await?;
        Ok(json!({
            "found": {"prompt": kept.name, "version": kept.number},
            "experiment": {"name": made.info.name, "version": made.info.number, "job": made.standing.job},
            "words": "the experiment compares c1, the prompt as it is, with c2, the best combination, on rows that were held out",
            "search": told,
        }))
    }

    /// The examples that every call with the prompt shows.
    async fn own_examples(&self, project: ProjectId, prompt: &Stored) -> Result<Vec<Example>> {
        let slot = prompt.prompt.examples.as_ref();
        match (slot, self.sources.source(project, prompt, &BTreeMap::new()).await?) {
            (Some(slot), Some(source)) => Ok(slot.pick(&examples_of(&source).await?)),
            _ => Ok(prompt.prompt.own_examples()),
        }
    }

    /// The best combination as a version of a prompt, made from the one it is to replace.
    async fn keep(&self, project: ProjectId, base: &Base<'_>, best: &Trial, actor: &str) -> Result<VersionInfo> {
        let name = match &base.wanted.save_as {
            Some(name) => name.clone(),
            None => format!("{}-optimised", base.prompt.info.name)
                .parse()
                .map_err(|cause: qd_base::Error| Error::definition("save_as", cause.to_string()))?,
        };
        let prompt = &best.candidate.prompt.prompt;
        prompt.check()?;
        let message = format!("found from {} by optimising", base.wanted.prompt);
        let metadata = json!({"message": message, "author": actor});
        let catalog = self.catalog.acting(actor)?;
        let parents = [base.prompt.info.id];
        let kept =
            catalog.put_version(project, ArtifactKind::Prompt, &name, &prompt.to_content(), metadata, &parents).await?;
        Ok(kept.info)
    }
}

/// What a search says that ended before anything was tried.
fn stopped_early(why: &str, told: Value) -> Value {
    json!({"found": null, "words": format!("the search stopped before anything was tried: {why}"), "search": told})
}

/// What is left of a budget for the comparison in the end.
fn left(budget: Budget, spent: qd_gateway::batch::Spent) -> Budget {
    Budget {
        usd: budget.usd.map(|usd| (usd - spent.cost.as_dollars()).max(1e-9)),
        tokens: budget.tokens.map(|tokens| tokens.saturating_sub(spent.tokens)),
        seconds: budget.seconds.map(|seconds| (seconds as f64 * (1.0 - SEARCH_SHARE)).ceil() as u64),
    }
}

/// What a search is called in the table of items: by its job.
fn searched(prompt: &Stored, job: JobId) -> Result<VersionInfo> {
    let id: VersionId =
        job.to_string().parse().map_err(|cause: qd_base::Error| Error::definition("job", cause.to_string()))?;
    Ok(VersionInfo { id, ..prompt.info.clone() })
}

/// The best trial, if it is better than the first, which is the prompt as it is.
fn better(trials: &[Trial]) -> Option<&Trial> {
    let first = trials.first()?.score?;
    let best = trials.iter().filter(|trial| trial.score.is_some()).max_by(|a, b| {
        // Of those that are the same the one tried first, so the later is "less".
        a.score.unwrap_or(0.0).total_cmp(&b.score.unwrap_or(0.0)).then(std::cmp::Ordering::Greater)
    })?;
    Some(best).filter(|best| best.score.is_some_and(|score| score > first))
}

fn told(trials: &[Trial], demonstrations: usize, proposed: &Proposed, stopped: Option<String>) -> Value {
    let tried: Vec<Value> = trials
        .iter()
        .map(|trial| {
            json!({"trial": trial.candidate.cell.id, "score": trial.score, "demonstrations": trial.candidate.examples.of(0).len(),
                   "instruction": trial.instruction})
        })
        .collect();
    json!({"demonstrations": demonstrations, "instructions": proposed.kept.len(), "proposed": proposed, "stopped": stopped, "trials": tried})
}

/// What every trial begins with.
struct Base<'a> {
    wanted: &'a Optimisation,
    prompt: Arc<Stored>,
    mapping: Mapping,
    /// The examples that the prompt itself shows.
    own: Vec<Example>,
    /// The rows by which is judged, none of which is ever shown.
    judging: Asked,
}

impl Base<'_> {
    fn candidate(
        &self,
        id: String,
        prompt: Arc<Stored>,
        examples: Vec<Example>,
        model: &str,
        as_stored: bool,
    ) -> Arc<Candidate> {
        let cell = Cell {
            label: id.clone(),
            id,
            place: 0,
            prompt: self.prompt.info.name.to_string(),
            version: self.prompt.info.number,
            model: model.to_owned(),
            parameters: self.wanted.parameters.clone(),
            shots: None,
            choose: None,
        };
        let (mapping, examples) = (self.mapping.clone(), Shown::Same(examples));
        Arc::new(Candidate { cell, prompt, mapping, examples, as_stored })
    }

    fn model(&self) -> &str {
        self.wanted.model.as_deref().unwrap_or_default()
    }

    /// Right answers of the teacher to training rows.
    async fn bootstrap(&self, session: &Session, train: &[Arc<Item>]) -> Result<(Vec<Example>, Option<String>)> {
        if self.wanted.demonstrations == 0 {
            return Ok((Vec::new(), None));
        }
        let teacher = self.wanted.teacher.as_deref().unwrap_or(self.model());
        let candidate = self.candidate("teacher".to_owned(), self.prompt.clone(), self.own.clone(), teacher, true);
        let asks = train.iter().map(|item| Ask { candidate: candidate.clone(), item: item.clone(), repeat: 0 });
        // A row that the teacher was not reached with is one that nothing is learned from.
        let stopped = session.ask_all(asks.collect()).await?.filter(|_| session.is_over()).map(Stop::into_why);
        let scorer = self.wanted.scorer.name.as_deref().unwrap_or(self.wanted.scorer.kind.word());
        let right: HashSet<u64> = session
            .rows()
            .iter()
            .filter(|row| {
                row.cell == "teacher" && row.scores.get(scorer).copied().flatten().is_some_and(|score| score >= RIGHT)
            })
            .map(|row| row.item)
            .collect();
        let said = session.outputs("teacher", train).await?;
        let demonstration = |item: &Arc<Item>| {
            let output = said.get(&item.row.index).filter(|_| right.contains(&item.row.index))?;
            Some(Example { variables: self.mapping.values(&item.row), output: Value::String(output.clone()) })
                .filter(|example| !self.judging.has(&example.variables))
        };
        Ok((train.iter().filter_map(demonstration).collect(), stopped))
    }

    /// Instructions that the proposer thinks of, having seen the prompt and some training rows; or why a budget does not allow for it.
    /// It may answer rubbish: that leaves the search with fewer instructions to try, or with none.
    async fn propose(&self, session: &Session, train: &[Arc<Item>]) -> Result<std::result::Result<Proposed, String>> {
        let Some(proposer) = &self.wanted.proposer else { return Ok(Ok(Proposed::default())) };
        let shown: Vec<Value> = train
            .iter()
            .take(SHOWN_ROWS)
            .map(|item| json!({"input": self.mapping.values(&item.row), "wanted": item.references}))
            .collect();
        let words = format!(
            "Here is a prompt for a language model:\n\n{}\n\nHere are inputs with the answers that are wanted:\n\n{}\n\nWrite {} different \
             instructions (system messages) that would make the model answer such inputs right more often. Each says what to do and \
             in which form to answer. Answer with the instructions only, each on a line of its own, without numbers.",
            self.prompt.prompt.to_text(),
            json!(shown),
            self.wanted.instructions
        );
        let usual = || Map::from_iter([("temperature".to_owned(), json!(0)), ("max_tokens".to_owned(), json!(1_000))]);
        let parameters = self.wanted.proposer_parameters.clone().unwrap_or_else(usual);
        let mut body: BTreeMap<String, Value> = parameters.into_iter().collect();
        body.insert("model".to_owned(), json!(proposer));
        body.insert("messages".to_owned(), json!([{"role": "user", "content": &words}]));
        let key = qd_base::Sha256Hex::of(json!(body).to_string().as_bytes());
        let request = Request { endpoint: Endpoint::Chat, body, key, target: None };
        let Outcome { output, error, refusal, unreached, .. } = match session.ask_once(&request).await? {
            Ok(outcome) => outcome,
            Err(why) => return Ok(Err(why)),
        };
        if unreached || refusal.is_some() {
            let why = format!("{proposer}, which is to propose instructions: {}", error.unwrap_or_default());
            return Err(Error::Unanswered { why });
        }
        let Prompt { messages, text, .. } = &self.prompt.prompt;
        let own: Vec<String> =
            messages.iter().filter_map(|message| message.content.clone()).chain(text.clone()).collect();
        Ok(Ok(proposal::read(&output.unwrap_or_default(), self.wanted.instructions, &words, &own)))
    }

    /// The prompt as it is, and combinations drawn at random, each once.
    fn trials(&self, demonstrations: &[Example], instructions: &[String]) -> Result<Vec<Trial>> {
        let first = self.candidate("as-it-is".to_owned(), self.prompt.clone(), self.own.clone(), self.model(), true);
        let mut trials = vec![Trial { candidate: first, instruction: None, score: None }];
        let mut seen = HashSet::new();
        // Draws that came before are drawn anew, so that as many are tried as are wanted, if there are as many.
        for draw in 0..self.wanted.trials * DRAWS_PER_TRIAL {
            if trials.len() > self.wanted.trials {
                break;
            }
            // Three draws from three seeds: which words, how many examples, and which.
            let seed = self.wanted.seed.wrapping_add(1 + draw as u64);
            let which = shuffled(instructions.len() + 1, seed, 1)[0];
            let instruction = which.checked_sub(1).map(|place| instructions[place].clone());
            let most = self.wanted.demonstrations.min(demonstrations.len());
            let least = usize::from(instruction.is_none()).min(most);
            let count = least + shuffled(most - least + 1, seed ^ 0x9e37_79b9, 1)[0];
            let places = shuffled(demonstrations.len(), seed ^ 0x85eb_ca6b_0000, count);
            if !seen.insert((which, places.clone())) || (instruction.is_none() && count == 0) {
                continue;
            }
            let examples: Vec<Example> = places.iter().map(|&place| demonstrations[place].clone()).collect();
            let prompt = changed(&self.prompt.prompt, instruction.as_deref(), &examples)?;
            // What cannot be kept in the end need not be paid for.
            prompt.check()?;
            let stored = Arc::new(Stored { info: self.prompt.info.clone(), prompt });
            let id = format!("t{}", trials.len());
            let candidate = self.candidate(id, stored, examples, self.model(), false);
            trials.push(Trial { candidate, instruction, score: None });
        }
        Ok(trials)
    }

    /// Scores each trial on the rows that choose. One that lacks an answer has no score, as when a budget cut it short.
    async fn choose(
        &self,
        session: &Session,
        mut trials: Vec<Trial>,
        rows: &[Arc<Item>],
        definition: &Definition,
    ) -> Result<(Vec<Trial>, Option<String>)> {
        let mut stopped = None;
        for trial in &mut trials {
            let asks =
                rows.iter().map(|item| Ask { candidate: trial.candidate.clone(), item: item.clone(), repeat: 0 });
            let stop = session.ask_all(asks.collect()).await?;
            // Without a score of the prompt as it is nothing could be called better.
            if let (Some(Stop::Failed(why)), "as-it-is") = (&stop, trial.candidate.cell.id.as_str()) {
                return Err(Error::Unanswered { why: why.clone() });
            }
            stopped = stop.map(Stop::into_why);
            match stopped {
                Some(_) if session.is_over() => break,
                Some(_) => continue,
                None => {}
            }
            let (scored, scorers) = (session.rows(), definition.check()?);
            let cells = [trial.candidate.cell.clone()];
            let order: Vec<u64> = rows.iter().map(|item| item.row.index).collect();
            let results = Results::new(definition, &scorers, &cells, &order, &scored);
            trial.score = results.column(&cells[0], scorers.first(), &order.iter().copied().collect()).mean();
        }
        Ok((trials, stopped))
    }
}

/// Runs `experiment.optimise` jobs; their result tells what was tried, what was found, and which experiment judges it.
#[derive(Clone)]
pub struct OptimiseHandler {
    experiments: Experiments,
}

impl OptimiseHandler {
    /// A handler that searches with `experiments`.
    pub fn new(experiments: Experiments) -> Self {
        Self { experiments }
    }

    async fn run(self, context: JobContext) -> std::result::Result<Value, JobError> {
        let request: OptimiseRequest = context.payload()?;
        match self.experiments.search(context, request).await {
            Ok(found) => Ok(found),
            Err(Error::Cancelled) => Err(JobError::Cancelled),
            Err(error) => Err(JobError::failed(&error)),
        }
    }
}

impl Handler for OptimiseHandler {
    fn kind(&self) -> JobKind {
        KIND.parse().expect("the word is a kind of job")
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, std::result::Result<Value, JobError>> {
        self.clone().run(context).boxed()
    }
}
