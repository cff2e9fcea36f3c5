//! Everything that a definition names, looked up: the rows, whose answers are looked at, and the judges.

use std::collections::BTreeMap;
use std::sync::Arc;

use qd_base::{ArtifactName, ProjectId, ProjectName, VersionId};
use qd_catalog::VersionInfo;
use qd_data::{Dataset, Role, Row};
use qd_eval::Direction;
use qd_experiment::cell::Cell;
use qd_experiment::definition::{Definition as Sweep, Examples, MOST_CALLS, Search};
use qd_experiment::plan::{Candidate, Item, Sources};
use qd_judge::Judge;
use qd_judging::place::Places;
use qd_judging::plan::inputs_of;
use qd_judging::{Judges, Stored};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::{AskedTarget, Definition, ONLY_TARGET, Target};
use crate::scorer::{ANSWER, Human, JudgeScorer, Look, Reader, TARGET_ANSWER};
use crate::{Error, Result};

/// An evaluation that can be run.
pub(crate) struct Plan {
    pub definition: Definition,
    pub readers: Vec<Reader>,
    /// Rows that are looked at, in order.
    pub items: Vec<Arc<Item>>,
    pub targets: Vec<Planned>,
    /// The judge of each scorer that has one.
    pub judges: BTreeMap<String, Arc<Bench>>,
    /// For each prompt that takes its examples from a dataset, the version of that.
    pub examples: BTreeMap<String, String>,
    /// What it is made of.
    pub parents: Vec<VersionId>,
}

/// Whose answers are looked at.
#[derive(Clone)]
pub(crate) struct Planned {
    pub name: String,
    pub from: From,
}

/// Where answers come from.
#[derive(Clone)]
pub(crate) enum From {
    Column(String),
    Model(Arc<Candidate>),
}

/// A judge with where it sits.
pub(crate) struct Bench {
    pub stored: Stored,
    seat: Seat,
}

/// Where a judge's inputs come from, and what people say.
struct Seat {
    /// What the judge, and people, can say.
    places: Places,
    inputs: Vec<(String, bool, Source)>,
    /// The column of what people say, by target.
    human: BTreeMap<String, String>,
}

#[derive(Clone)]
enum Source {
    Answer,
    Column(String),
}

/// What a report has to know of a judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgeFacts {
    /// The version.
    pub version: VersionId,
    /// `name@3`.
    pub reference: String,
    /// The lowest score that it gives.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
    /// Which way is better.
    pub better: Direction,
    /// The columns of what people say, by target.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub human: BTreeMap<String, String>,
}

/// Where definitions are looked up.
#[derive(Clone)]
pub struct Desk {
    /// Datasets and prompts.
    pub sources: Sources,
    /// Judges.
    pub judges: Judges,
}

impl Desk {
    /// Looks up everything that a definition names and pins its references to numbers. `pinned` says from which versions prompts take
    /// their examples, as far as that was found before.
    pub(crate) async fn plan(
        &self,
        project: ProjectId,
        (name, project_name): (&ArtifactName, ProjectName),
        mut definition: Definition,
        pinned: &BTreeMap<String, String>,
    ) -> Result<Plan> {
        definition.check()?;
        let dataset = self.sources.dataset(project, &definition.dataset, "dataset").await?;
        definition.dataset = reference(dataset.info());
        let mut parents = vec![dataset.info().id];
        let seats = self.seats(project, &definition, &dataset).await?;
        let items = self.sources.items(&dataset, definition.items).await?;
        seats.values().try_for_each(|seat| seat.check_labels(&items))?;
        let (mut targets, mut examples) = (Vec::new(), BTreeMap::new());
        for (target, asked) in definition.all_targets() {
            let from = match asked {
                Target::Column(column) => From::Column(known_column(&dataset, &column.column, &target)?),
                Target::Asked(asked) => {
                    let prompt = self.sources.prompt(project, &asked.prompt).await?;
                    let asked = AskedTarget { prompt: reference(&prompt.info), ..asked };
                    parents.push(prompt.info.id);
                    let info = VersionInfo { name: name.clone(), ..dataset.info().clone() };
                    let sweep = sweep(&definition, &asked);
                    let plan = self.sources.plan(info, project_name.clone(), sweep, pinned).await?;
                    examples.extend(plan.examples);
                    set_target(&mut definition, &target, Target::Asked(asked));
                    From::Model(named(plan.candidates, &target)?)
                }
            };
            targets.push(Planned { name: target, from });
        }
        let readers = definition.check()?;
        check_size(&readers, items.len(), &targets)?;
        check_columns(&readers, &dataset)?;
        // Last, since a ready judge becomes an artifact with it.
        let judges = self.judges(project, &mut definition, seats).await?;
        let readers = definition.check()?;
        parents.extend(judges.values().map(|bench| bench.stored.info.id));
        parents.sort_unstable();
        parents.dedup();
        Ok(Plan { definition, readers, items, targets, judges, examples, parents })
    }

    /// How each scorer that is a judge fits the dataset. Nothing is made for that.
    async fn seats(
        &self,
        project: ProjectId,
        definition: &Definition,
        dataset: &Dataset,
    ) -> Result<BTreeMap<String, Seat>> {
        let columns = definition.all_targets();
        let columns: Vec<&String> =
            columns.iter().filter(|(_, target)| matches!(target, Target::Column(_))).map(|(name, _)| name).collect();
        let mut found = BTreeMap::new();
        for scorer in &definition.scorers {
            let reader = Reader::new(scorer)?;
            let Look::Judge(scorer) = &reader.look else { continue };
            let judge = self.judges.look_up(project, &scorer.judge).await?;
            let seat = Seat {
                inputs: inputs(scorer, &judge, dataset)?,
                human: humans(scorer, &columns, dataset)?,
                places: Places::of(&judge),
            };
            found.insert(reader.name().to_owned(), seat);
        }
        Ok(found)
    }

    /// The judge of each scorer that has one, pinned in the definition.
    async fn judges(
        &self,
        project: ProjectId,
        definition: &mut Definition,
        mut seats: BTreeMap<String, Seat>,
    ) -> Result<BTreeMap<String, Arc<Bench>>> {
        let mut found = BTreeMap::new();
        for scorer in &mut definition.scorers {
            let reader = Reader::new(scorer)?;
            let (Look::Judge(judge), Some(seat)) = (&reader.look, seats.remove(reader.name())) else { continue };
            let stored = self.judges.find(project, &judge.judge).await?;
            let pinned =
                JudgeScorer { judge: stored.reference(), name: Some(reader.name().to_owned()), ..judge.clone() };
            *scorer = crate::scorer::EvaluationScorer::Own(crate::scorer::OwnScorer::Judge(pinned));
            found.insert(reader.name().to_owned(), Arc::new(Bench { stored, seat }));
        }
        Ok(found)
    }
}

fn reference(info: &VersionInfo) -> String {
    format!("{}@{}", info.name, info.number)
}

fn set_target(definition: &mut Definition, name: &str, target: Target) {
    if name == ONLY_TARGET && definition.target.is_some() {
        definition.target = Some(target);
    } else {
        definition.targets.insert(name.to_owned(), target);
    }
}

/// An asked target as an experiment of one cell.
fn sweep(definition: &Definition, asked: &AskedTarget) -> Sweep {
    Sweep {
        dataset: definition.dataset.clone(),
        items: definition.items,
        prompts: vec![asked.prompt.clone()],
        models: asked.model.iter().cloned().collect(),
        parameters: asked.parameters.iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect(),
        shots: asked.shots.iter().cloned().collect(),
        examples: Examples::default(),
        variables: definition.variables.clone(),
        repeats: 1,
        search: Search::Grid,
        scorers: vec![qd_eval::scorer::ScorerKind::Latency.into()],
        metric: None,
        count_failures_as_zero: definition.count_failures_as_zero,
        cache: definition.cache,
        concurrency: definition.concurrency,
        budget: definition.budget,
    }
}

/// The only cell, called as the target is.
fn named(candidates: Vec<Arc<Candidate>>, target: &str) -> Result<Arc<Candidate>> {
    let only = candidates.into_iter().next().and_then(Arc::into_inner);
    let only = only.ok_or_else(|| Error::definition("targets", format!("{target} is not one way to ask")))?;
    Ok(Arc::new(Candidate { cell: Cell { id: target.to_owned(), label: target.to_owned(), ..only.cell }, ..only }))
}

fn known_column(dataset: &Dataset, column: &str, field: &str) -> Result<String> {
    match dataset.columns().iter().any(|known| known.name == column) {
        true => Ok(column.to_owned()),
        false => {
            let names: Vec<&str> = dataset.columns().iter().map(|column| column.name.as_str()).collect();
            let why =
                format!("the dataset {} has no column {column:?}; it has {}", dataset.info().name, names.join(", "));
            Err(Error::definition(field, why))
        }
    }
}

fn check_size(readers: &[Reader], items: usize, targets: &[Planned]) -> Result<()> {
    let paid = readers.iter().filter(|reader| reader.is_paid()).count();
    let rows = items * targets.len() * (1 + paid);
    if items > 0 && rows <= MOST_CALLS {
        return Ok(());
    }
    let why = format!(
        "{items} items, {} targets and {paid} scorers that ask models make {rows} rows, between 1 and {MOST_CALLS} are allowed",
        targets.len()
    );
    Err(Error::definition("items", why))
}

/// The columns that scorers name themselves.
fn check_columns(readers: &[Reader], dataset: &Dataset) -> Result<()> {
    for reader in readers {
        let Look::Classes(classes, _) = &reader.look else { continue };
        for column in [&classes.label, &classes.probability].into_iter().flatten() {
            known_column(dataset, column, reader.name())?;
        }
    }
    Ok(())
}

/// Where each input of a judge comes from: what the scorer says, the answer for the input `answer`, the column of its name, or
/// the one whose role it is called by.
fn inputs(scorer: &JudgeScorer, judge: &Judge, dataset: &Dataset) -> Result<Vec<(String, bool, Source)>> {
    let inputs = inputs_of(judge.definition());
    if let Some(unknown) = scorer.values.keys().find(|name| !inputs.contains_key(*name)) {
        let names: Vec<&str> = inputs.keys().map(String::as_str).collect();
        let why = format!("the judge {} takes no {unknown:?}; it takes {}", scorer.judge, names.join(", "));
        return Err(Error::definition("scorers.values", why));
    }
    let by_role = |name: &str| match name {
        "question" | "input" | "prompt" | "request" => dataset.column(Role::Input),
        "reference" | "correct" | "expected" | "ideal" => dataset.column(Role::Reference),
        "context" | "contexts" | "document" | "source" => dataset.column(Role::Context),
        _ => None,
    };
    let mut found = Vec::new();
    for input in inputs.values() {
        let said = scorer.values.get(&input.name).map(String::as_str);
        let source = match said {
            Some(TARGET_ANSWER) => Some(Source::Answer),
            Some(column) => Some(Source::Column(known_column(dataset, column, "scorers.values")?)),
            None if input.name == ANSWER && !scorer.values.values().any(|value| value == TARGET_ANSWER) => {
                Some(Source::Answer)
            }
            None => dataset
                .columns()
                .iter()
                .find(|column| column.name == input.name)
                .or_else(|| by_role(&input.name))
                .map(|column| Source::Column(column.name.clone())),
        };
        match source {
            Some(source) => found.push((input.name.clone(), input.list, source)),
            None if input.required => {
                let why = format!(
                    "the judge {} takes {:?}, and the dataset {} has no such column; say {{\"values\": {{\"{}\": \"COLUMN\"}}}}",
                    scorer.judge,
                    input.name,
                    dataset.info().name,
                    input.name
                );
                return Err(Error::definition("scorers.values", why));
            }
            None => {}
        }
    }
    if !found.iter().any(|(_, _, source)| matches!(source, Source::Answer)) {
        let why = format!(
            "no input of the judge {} gets the answer; say {{\"values\": {{\"INPUT\": \"{TARGET_ANSWER}\"}}}}",
            scorer.judge
        );
        return Err(Error::definition("scorers.values", why));
    }
    Ok(found)
}

/// The columns of people's labels, by target. They are about answers that are in the dataset, and say nothing of new ones.
fn humans(scorer: &JudgeScorer, columns: &[&String], dataset: &Dataset) -> Result<BTreeMap<String, String>> {
    let found: BTreeMap<String, String> = match &scorer.human {
        None => return Ok(BTreeMap::new()),
        Some(Human::Column(column)) => match columns {
            [only] => BTreeMap::from([((*only).clone(), column.clone())]),
            _ => {
                let why = "people's labels are about answers of one column; say {\"human\": {\"TARGET\": \"COLUMN\"}} for targets that are columns";
                return Err(Error::definition("scorers.human", why));
            }
        },
        Some(Human::ByTarget(by_target)) => by_target.clone(),
    };
    for (target, column) in &found {
        known_column(dataset, column, "scorers.human")?;
        if !columns.contains(&target) {
            let why =
                format!("{target:?} is no target whose answers are in the dataset: labels say nothing of new answers");
            return Err(Error::definition("scorers.human", why));
        }
    }
    Ok(found)
}

impl Bench {
    /// What a report has to know.
    pub fn facts(&self) -> JudgeFacts {
        let (lowest, highest) = self.stored.judge.range();
        JudgeFacts {
            version: self.stored.info.id,
            reference: self.stored.reference(),
            lowest,
            highest,
            better: self.stored.judge.better(),
            human: self.seat.human.clone(),
        }
    }

    /// What the judge is shown.
    pub fn values(&self, row: &Row, answer: &str) -> Map<String, Value> {
        let value = |source: &Source, list: bool| match source {
            Source::Answer => Some(Value::from(answer)),
            Source::Column(column) => match row.values.get(column).filter(|value| !value.is_null())? {
                Value::Array(texts) => Some(Value::Array(texts.clone())),
                other if list => Some(Value::Array(vec![other.clone()])),
                other => Some(other.clone()),
            },
        };
        let inputs = self.seat.inputs.iter();
        inputs.filter_map(|(name, list, source)| Some((name.clone(), value(source, *list)?))).collect()
    }

    /// What people say of the answer of a target, on the judge's scale. What cannot be read was refused before anybody was asked.
    pub fn human(&self, row: &Row, target: &str) -> Option<f64> {
        self.seat.places.number(row.values.get(self.seat.human.get(target)?)?).ok().flatten()
    }
}

impl Seat {
    /// Refuses labels of people that are none of the judge's places.
    fn check_labels(&self, items: &[Arc<Item>]) -> Result<()> {
        for (column, item) in self.human.values().flat_map(|column| items.iter().map(move |item| (column, item))) {
            let said = item.row.values.get(column).unwrap_or(&Value::Null);
            self.places.number(said).map_err(|error| {
                let why = match error {
                    qd_judging::Error::Request { why, .. } => why,
                    other => other.to_string(),
                };
                Error::definition("scorers.human", format!("in the column {column:?} of the row {} {why}", item.row.id))
            })?;
        }
        Ok(())
    }
}
