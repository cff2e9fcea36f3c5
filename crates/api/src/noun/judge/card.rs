//! `/api/v1/judges/{name}/card`: what a judge's word is worth, as JSON.

use std::collections::BTreeMap;

use axum::extract::State;
use qd_base::id::JobId;
use qd_base::name::ArtifactName;
use qd_catalog::Scope;
use qd_catalog::WorkState as Stands;
use qd_judging::card::{Accuracy, Biases, Card, Confusion, Effort, People, Stat, TwoRaters, Worth};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::Result;
use crate::extract::{Path, Query};
use crate::noun::judge::find;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(super) fn routes() -> Vec<Route> {
    let read = Permission::Scope(Scope::Read);
    let card = Doc::new("Judges", "getJudgeCard", "What the word of a judge is worth")
        .text("Made of the rows of its latest calibration, or of the one on a dataset. What the judge did not tell is never 0: accuracy is given over the items that it told and over all, where those it did not tell are wrong; all other numbers are over what it told. Intervals hold the truth with 95 % confidence. A judge that was compared with nobody has no card.")
        .query::<CardQuery>()
        .gives::<JudgeCard>(200, "The card, or that there is none");
    vec![Route::get("/api/v1/judges/{name}/card", read, card, show)]
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<CardQuery>,
) -> Result<Json<JudgeCard>> {
    let stored = find(&surface, &caller, &name, query.version).await?;
    let card = surface.app.calibrations.judges.card_on(stored.info.id, query.dataset.as_deref()).await?;
    Ok(Json(JudgeCard { judge: stored.reference(), calibrated: card.is_some(), card: card.map(CardBody::from) }))
}

/// Which card is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CardQuery {
    /// The version of the judge; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
    /// The dataset, as `name` or `name@3`; that of the latest calibration when absent.
    dataset: Option<String>,
}

/// The card of a judge, if it has one.
#[derive(Serialize, ToSchema)]
pub struct JudgeCard {
    /// Which version of which judge, as `name@3`.
    pub judge: String,
    /// Whether it was compared with people. Otherwise take no word of it for a fact.
    pub calibrated: bool,
    /// What its word is worth.
    pub card: Option<CardBody>,
}

/// What a judge's word is worth, as far as people have said.
#[derive(Serialize, ToSchema)]
#[schema(as = Card)]
pub struct CardBody {
    /// The version of the dataset, as `name@3`.
    pub dataset: String,
    /// The columns with what people said.
    pub labels: Vec<String>,
    /// Where the calibration stands: a card of one that is not finished is of the items so far.
    #[schema(value_type = String)]
    pub state: Stands,
    /// Why it stopped or failed.
    pub why: Option<String>,
    /// Its last job.
    #[schema(value_type = String, format = Uuid)]
    pub job: JobId,
    /// Items that people decided and the judge was asked about.
    pub items: usize,
    /// Items on which people said two things equally often: they have no truth and are not asked.
    pub undecided: usize,
    /// The share of items that the judge `told`, could not tell (`cannot_tell`), gave no verdict on (`invalid`), and `failed` on.
    pub outcomes: BTreeMap<String, StatBody>,
    /// How often it says what people say.
    pub accuracy: AccuracyBody,
    /// Cohen's kappa.
    pub kappa: StatBody,
    /// The same with quadratic weights, where the scale has an order and three places or more.
    pub weighted_kappa: Option<StatBody>,
    /// Krippendorff's alpha of the judge and people's word.
    pub alpha: StatBody,
    /// `nominal`, `ordinal` or `interval`.
    pub alpha_scale: String,
    /// Spearman's rank correlation, where the scale has an order and three places or more.
    pub spearman: Option<StatBody>,
    /// Kendall's τ-b, there too.
    pub kendall: Option<StatBody>,
    /// By how much the judge's mean is above people's, where the scale has numbers.
    pub offset: Option<StatBody>,
    /// How often each class of people's got which class of the judge's.
    pub confusion: Option<ConfusionBody>,
    /// Biases, of a judge that says numbers of an answer, or judges pairs.
    pub biases: Option<BiasesBody>,
    /// How far people agree with each other, and the judge with each of them, where there are several.
    pub people: Option<PeopleBody>,
    /// How many labels of people the judge's word makes of those there are (PPI++).
    pub worth: Vec<WorthBody>,
    /// What it takes.
    pub effort: EffortBody,
    /// All of it in a sentence.
    pub sentence: String,
}

impl From<Card> for CardBody {
    fn from(card: Card) -> Self {
        let scale = serde_json::to_value(card.alpha_scale).unwrap_or_default();
        Self {
            dataset: card.dataset,
            labels: card.labels,
            state: card.state,
            why: card.why,
            job: card.job,
            items: card.items,
            undecided: card.undecided,
            outcomes: card.outcomes.into_iter().map(|(name, stat)| (name.to_owned(), stat.into())).collect(),
            accuracy: card.accuracy.into(),
            kappa: card.kappa.into(),
            weighted_kappa: card.weighted_kappa.map(StatBody::from),
            alpha: card.alpha.into(),
            alpha_scale: scale.as_str().unwrap_or_default().to_owned(),
            spearman: card.spearman.map(StatBody::from),
            kendall: card.kendall.map(StatBody::from),
            offset: card.offset.map(StatBody::from),
            confusion: card.confusion.map(ConfusionBody::from),
            biases: card.biases.map(BiasesBody::from),
            people: card.people.map(PeopleBody::from),
            worth: card.worth.into_iter().map(WorthBody::from).collect(),
            effort: card.effort.into(),
            sentence: card.sentence,
        }
    }
}

/// A statistic with its 95 % interval, or why there is none.
#[derive(Serialize, ToSchema)]
#[schema(as = CardStat)]
pub struct StatBody {
    /// The number.
    pub value: Option<f64>,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Items that it is of.
    pub items: usize,
    /// Why there is no number.
    pub undefined: Option<String>,
}

impl From<Stat> for StatBody {
    fn from(Stat { value, low, high, items, undefined }: Stat) -> Self {
        Self { value, low, high, items, undefined }
    }
}

/// How often a judge says what people say.
#[derive(Serialize, ToSchema)]
#[schema(as = CardAccuracy)]
pub struct AccuracyBody {
    /// Over the items that the judge told.
    pub told: StatBody,
    /// Over all items; what the judge did not tell is wrong.
    pub all: StatBody,
    /// What people say most often.
    pub most_common: Option<String>,
    /// How often who always says that is right.
    pub base_rate: StatBody,
    /// By how much the judge is right more often than that, over all items.
    pub gain: StatBody,
}

impl From<Accuracy> for AccuracyBody {
    fn from(Accuracy { told, all, most_common, base_rate, gain }: Accuracy) -> Self {
        Self { told: told.into(), all: all.into(), most_common, base_rate: base_rate.into(), gain: gain.into() }
    }
}

/// How often each class of people's got which class of the judge's.
#[derive(Serialize, ToSchema)]
#[schema(as = CardConfusion)]
pub struct ConfusionBody {
    /// The classes, in their order.
    pub classes: Vec<String>,
    /// For each class of people's how often the judge said each class.
    pub counts: Vec<Vec<u64>>,
    /// For each class of people's how often the judge told none.
    pub untold: Vec<u64>,
}

impl From<Confusion> for ConfusionBody {
    fn from(Confusion { classes, counts, untold }: Confusion) -> Self {
        Self { classes, counts, untold }
    }
}

/// The biases of a judge.
#[derive(Serialize, ToSchema)]
#[schema(as = CardBiases)]
pub struct BiasesBody {
    /// The share of pairs of which the judge says something else when the answers change places.
    pub order_flips: Option<StatBody>,
    /// How much more often the first place of a pair wins than the second: 1 is always, 0 is fair.
    pub first_place: Option<StatBody>,
    /// For an answer that is twice as long, while people's word stays the same: by how much its log-odds to be preferred rise, of pairs;
    /// how much more it is given, of single answers, in points of the scale.
    pub length: StatBody,
    /// Where it is known who wrote the answers: how much more often it prefers those of its own model than people do, of pairs; how much more
    /// it gives them, of single answers.
    pub own: Option<StatBody>,
}

impl From<Biases> for BiasesBody {
    fn from(Biases { order_flips, first_place, length, own }: Biases) -> Self {
        Self {
            order_flips: order_flips.map(StatBody::from),
            first_place: first_place.map(StatBody::from),
            length: length.into(),
            own: own.map(StatBody::from),
        }
    }
}

/// How far people agree with each other, and the judge with each of them.
#[derive(Serialize, ToSchema)]
#[schema(as = CardPeople)]
pub struct PeopleBody {
    /// Krippendorff's alpha of all people, over all items, also those that they did not decide.
    pub alpha: StatBody,
    /// Each two of them.
    pub pairs: Vec<TwoRatersBody>,
    /// The judge and each of them, over what the judge told.
    pub judge: Vec<TwoRatersBody>,
}

impl From<People> for PeopleBody {
    fn from(People { alpha, pairs, judge }: People) -> Self {
        let of = |two: Vec<TwoRaters>| two.into_iter().map(TwoRatersBody::from).collect();
        Self { alpha: alpha.into(), pairs: of(pairs), judge: of(judge) }
    }
}

/// How far two agree.
#[derive(Serialize, ToSchema)]
#[schema(as = CardTwoRaters)]
pub struct TwoRatersBody {
    /// One.
    pub one: String,
    /// The other.
    pub other: String,
    /// The share of items of which both say the same.
    pub alike: StatBody,
    /// Cohen's kappa.
    pub kappa: StatBody,
}

impl From<TwoRaters> for TwoRatersBody {
    fn from(TwoRaters { one, other, alike, kappa }: TwoRaters) -> Self {
        Self { one, other, alike: alike.into(), kappa: kappa.into() }
    }
}

/// What labels of people are worth together with the judge's word on further items.
#[derive(Serialize, ToSchema)]
#[schema(as = CardWorth)]
pub struct WorthBody {
    /// Labels of people.
    pub labels: usize,
    /// Further items that only the judge would see.
    pub further: usize,
    /// How many labels people alone would need.
    pub effective_labels: StatBody,
}

impl From<Worth> for WorthBody {
    fn from(Worth { labels, further, effective_labels }: Worth) -> Self {
        Self { labels, further, effective_labels: effective_labels.into() }
    }
}

/// What a judgement takes.
#[derive(Serialize, ToSchema)]
#[schema(as = CardEffort)]
pub struct EffortBody {
    /// Dollars for a thousand items, where prices are known.
    pub usd_per_1000: Option<StatBody>,
    /// Items of which a price is not known.
    pub unpriced: usize,
    /// Milliseconds that half of the items take at most.
    pub latency_p50_ms: StatBody,
    /// Milliseconds that 95 of 100 take at most.
    pub latency_p95_ms: StatBody,
    /// Calls of an item on average.
    pub calls: StatBody,
    /// Tokens in of an item on average.
    pub input_tokens: StatBody,
    /// Tokens out of an item on average.
    pub output_tokens: StatBody,
}

impl From<Effort> for EffortBody {
    fn from(effort: Effort) -> Self {
        Self {
            usd_per_1000: effort.usd_per_1000.map(StatBody::from),
            unpriced: effort.unpriced,
            latency_p50_ms: effort.latency_p50_ms.into(),
            latency_p95_ms: effort.latency_p95_ms.into(),
            calls: effort.calls.into(),
            input_tokens: effort.input_tokens.into(),
            output_tokens: effort.output_tokens.into(),
        }
    }
}
