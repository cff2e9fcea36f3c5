//! Which of two versions of a prompt is better, as far as anybody knows: from experiments and from production.

use axum::extract::State;
use qd_base::id::VersionId;
use qd_base::name::ArtifactName;
use qd_base::time::Timestamp;
use qd_catalog::Scope;
use qd_catalog::WorkState as Stands;
use qd_experiment::Evidence;
use qd_experiment::evidence::Pair;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::Result;
use crate::extract::{Path, Query};
use crate::noun::experiment::report::ComparisonBody;
use crate::noun::prompt::metrics::{self, PromptMetrics, PromptVersionMetrics};
use crate::noun::prompt::version::which_of;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("Prompts", "getPromptEvidence", "Which of two versions is better, as far as is known")
        .text("From the latest experiment in which both were cells over one dataset: for each pair of cells that differ in the version alone, and each score, the paired difference with its interval, corrected for all pairs of the experiment's cells. And from production, side by side, which is no experiment. Where there is nothing, a sentence says how to come by it.")
        .query::<EvidenceQuery>()
        .gives::<PromptEvidence>(200, "What is known");
    vec![Route::get("/api/v1/prompts/{name}/evidence", Permission::Scope(Scope::Read), doc, show)]
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<EvidenceQuery>,
) -> Result<Json<PromptEvidence>> {
    let (from, to) = (which_of(name.clone(), &query.from)?, which_of(name.clone(), &query.to)?);
    let from = surface.prompts.get(caller.project(), &from).await?;
    let to = surface.prompts.get(caller.project(), &to).await?;
    let numbers = (from.info.number, to.info.number);
    let found = match numbers.0 == numbers.1 {
        true => None,
        false => surface.app.experiments.evidence(&from.info, &to.info).await?,
    };
    let mut production = metrics::of(&surface, &caller, &name, query.days).await?;
    production.data = [numbers.0, numbers.1].map(|number| taken(&mut production.data, number)).into();
    Ok(Json(PromptEvidence {
        from: numbers.0,
        to: numbers.1,
        experiment_sentence: experiment_sentence(&name, numbers, found.as_ref()),
        experiment: found.map(ExperimentEvidence::from),
        production_sentence: production_sentence(&name, &production.data),
        production,
    }))
}

/// The metrics of a version; of one that was not called, those of no calls.
fn taken(all: &mut Vec<PromptVersionMetrics>, number: u32) -> PromptVersionMetrics {
    match all.iter().position(|one| one.version == number) {
        Some(place) => all.swap_remove(place),
        None => PromptVersionMetrics::none(number),
    }
}

fn experiment_sentence(name: &ArtifactName, (from, to): (u32, u32), found: Option<&Evidence>) -> String {
    let Some(Evidence { experiment, pairs, metric, other_pairs }) = found else {
        return match from == to {
            true => "It is one version.".to_owned(),
            false => format!(
                "No experiment has asked version {from} and version {to} about the same items. `quarterdeck experiment run \
                 {name}-{from}-{to} --file experiment.json` makes one, with \"prompts\": [\"{name}@{from}\", \"{name}@{to}\"] and a dataset."
            ),
        };
    };
    let (dataset, label) = (&experiment.content.definition.dataset, &experiment.info);
    let by_metric = |pair: &Pair| {
        let of_metric = pair.compared.iter().find(|compared| compared.scorer == *metric);
        of_metric.or(pair.compared.first()).map(|compared| format!("{}: {}", compared.scorer, compared.sentence))
    };
    let told = match pairs.as_slice() {
        [pair] => by_metric(pair).unwrap_or_default(),
        _ => format!("both versions in {} settings", pairs.len() + other_pairs),
    };
    let state = match experiment.standing.state {
        Stands::Queued | Stands::Running => " It is still running.",
        Stands::Finished => "",
        Stands::Stopped | Stands::Cancelled | Stands::Failed => " It did not come to its end.",
    };
    format!("Experiment {}@{} on {dataset}: {told}.{state}", label.name, label.number)
}

fn production_sentence(name: &ArtifactName, versions: &[PromptVersionMetrics]) -> String {
    let uncalled: Vec<String> =
        versions.iter().filter(|one| one.calls == 0).map(|one| one.version.to_string()).collect();
    if !uncalled.is_empty() {
        return format!(
            "No call in this time said version {}. A label that callers go by brings some: `quarterdeck prompt label {name} \
             production {}`.",
            uncalled.join(" or version "),
            uncalled[uncalled.len() - 1]
        );
    }
    let caution =
        "Who called, and when, was not drawn at random: a difference here may have other reasons than the words.";
    match versions.iter().all(|one| one.scores.is_empty()) {
        true => format!("{caution} Nobody has scored the answers; `quarterdeck score add TRACE helpful yes` does."),
        false => caution.to_owned(),
    }
}

/// Which versions, and over how long production is looked at.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EvidenceQuery {
    /// The one version: a number, a label or `latest`.
    from: String,
    /// The other.
    to: String,
    /// Of production the last so many days; 7 when absent.
    #[param(minimum = 1, maximum = 365)]
    days: Option<u32>,
}

/// What is known of the difference between two versions.
#[derive(Serialize, ToSchema)]
pub struct PromptEvidence {
    /// The number of the one.
    pub from: u32,
    /// The number of the other.
    pub to: u32,
    /// What the latest experiment found that asked both the same; null when there is none.
    pub experiment: Option<ExperimentEvidence>,
    /// The same in a sentence, or how to come by an experiment.
    pub experiment_sentence: String,
    /// How both fare in production, in this order; without calls where there were none.
    pub production: PromptMetrics,
    /// What there is to say of that.
    pub production_sentence: String,
}

/// What an experiment found of two versions.
#[derive(Serialize, ToSchema)]
#[schema(as = PromptExperimentEvidence)]
pub struct ExperimentEvidence {
    /// The experiment.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// Its version.
    pub version: u32,
    /// The version's identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// `queued`, `running`, `finished`, `stopped`, `cancelled` or `failed`.
    #[schema(value_type = String)]
    pub state: Stands,
    /// The dataset whose items were asked about.
    pub dataset: String,
    /// The score that its cells are ranked by.
    pub metric: String,
    /// Pairs of cells that differ in the version alone, the first ones.
    pub pairs: Vec<PairEvidence>,
    /// Pairs that are not among them.
    pub other_pairs: usize,
}

/// What was found of two cells that differ in the version alone.
#[derive(Serialize, ToSchema)]
#[schema(as = PromptPairEvidence)]
pub struct PairEvidence {
    /// The cell of the one version.
    pub from_cell: String,
    /// The cell of the other.
    pub to_cell: String,
    /// What both have in common: the model, parameters, a number of examples.
    pub setting: String,
    /// One comparison a score; `a` is the one version and `b` the other.
    pub scores: Vec<ComparisonBody>,
}

impl From<Evidence> for ExperimentEvidence {
    fn from(evidence: Evidence) -> Self {
        let Evidence { experiment, pairs, metric, other_pairs } = evidence;
        let info = experiment.info;
        Self {
            name: info.name,
            version: info.number,
            id: info.id,
            created: info.created,
            state: experiment.standing.state,
            dataset: experiment.content.definition.dataset,
            metric,
            pairs: pairs.into_iter().map(PairEvidence::from).collect(),
            other_pairs,
        }
    }
}

impl From<Pair> for PairEvidence {
    fn from(pair: Pair) -> Self {
        let scores = pair.compared.into_iter().map(ComparisonBody::from).collect();
        Self { from_cell: pair.from.id, to_cell: pair.to.id, setting: pair.setting, scores }
    }
}
