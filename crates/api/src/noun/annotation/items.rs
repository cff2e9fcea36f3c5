//! Items with what was said of them, and deciding them.

use axum::extract::State;
use qd_annotation::items::{Item, Wanted};
use qd_annotation::verdict::How;
use qd_base::name::{AccountName, ArtifactName};
use qd_base::time::Timestamp;
use qd_catalog::{AnnotationDecision, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::work::LabelBody;
use super::{VersionQuery, find, let_see, speaker};
use crate::doc::Doc;
use crate::error::Result;
use crate::extract::{Json as JsonBody, Path, Query};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(super) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let items = Doc::new("Annotations", "listAnnotationItems", "Items with what was said of them and what is true by that")
        .text("An annotator who is signed in sees none of it. A verdict is what was decided, else what all or more than half said, else what Dawid and Skene's model finds likeliest; of numbers of a range the middle one. Of two answers, `a` and `b` are those of the two columns.")
        .query::<ItemsQuery>()
        .gives::<ItemPage>(200, "One page of them");
    let decide = Doc::new("Annotations", "adjudicateAnnotationItem", "Decide what is true of an item")
        .text("Whatever was said or decided before. The audit log keeps every decision.")
        .query::<VersionQuery>()
        .takes::<NewDecision>()
        .gives::<DecisionBody>(200, "The decision");
    vec![
        Route::get("/api/v1/annotations/{name}/items", read, items, list),
        Route::put("/api/v1/annotations/{name}/items/{item}/decision", write, decide, adjudicate),
    ]
}

async fn list(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<ItemsQuery>,
) -> Result<Json<ItemPage>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let_see(&caller, &found)?;
    let wanted = Wanted {
        disagreements: query.disagreements.unwrap_or(false) || query.undecided.unwrap_or(false),
        undecided: query.undecided.unwrap_or(false),
        from: query.cursor.unwrap_or(0),
        limit: query.limit.unwrap_or(20) as usize,
    };
    let (items, next, total) = surface.app.annotations.items(&found, wanted).await?;
    let data = items.into_iter().map(ItemBody::from).collect();
    Ok(Json(ItemPage { data, next_cursor: next.map(|next| next.to_string()), total }))
}

async fn adjudicate(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, item)): Path<(ArtifactName, u32)>,
    Query(query): Query<VersionQuery>,
    JsonBody(new): JsonBody<NewDecision>,
) -> Result<Json<DecisionBody>> {
    let adjudicator = speaker(&caller, "adjudicator", new.adjudicator)?;
    let found = find(&surface, &caller, &name, query.version).await?;
    let_see(&caller, &found)?;
    let (what, actor) = ((item, &new.value), caller.actor());
    let decision = surface.app.annotations.decide(&found, what, new.reason, &adjudicator, &actor).await?;
    Ok(Json(decision.into()))
}

/// Which items are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ItemsQuery {
    /// Whether only items of which labels differ, the least sure first; false when absent.
    disagreements: Option<bool>,
    /// Whether only those of them that nobody has decided; false when absent.
    undecided: Option<bool>,
    /// Where the page begins, as the one before says.
    cursor: Option<usize>,
    /// How many at most, of 100; 20 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The version of the annotation; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// A decision to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewAnnotationDecision)]
#[serde(deny_unknown_fields)]
pub struct NewDecision {
    /// Who decides; needed with a key, and who is signed in otherwise.
    #[schema(value_type = Option<String>)]
    pub adjudicator: Option<AccountName>,
    /// What is true: a value of the scale; of two answers `a`, `b` or `tie`, by their columns.
    pub value: Value,
    /// Why, 4 KiB at most.
    pub reason: String,
}

/// Items.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationItemPage)]
pub struct ItemPage {
    /// The items.
    pub data: Vec<ItemBody>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
    /// How many there are in all pages.
    pub total: usize,
}

/// An item with what was said of it.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationItem)]
pub struct ItemBody {
    /// Its number.
    pub item: u32,
    /// By what its row is known in the dataset.
    pub row_id: String,
    /// The columns that annotators see, and as `a` and `b` two answers.
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// What was said, by annotator.
    pub labels: Vec<LabelBody>,
    /// Whether labels differ.
    pub differ: bool,
    /// How unsure the item is: bits of Dawid and Skene's model, or how far numbers lie apart.
    pub doubt: f64,
    /// What is true of it; null where nobody said anything, or nothing tells what was said apart.
    pub verdict: Option<VerdictBody>,
    /// What was decided; null when nobody did.
    pub decision: Option<DecisionBody>,
}

/// What is true of an item.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationVerdict)]
pub struct VerdictBody {
    /// What.
    pub value: Value,
    /// By what: `adjudicated`, `single`, `unanimous`, `majority`, `dawid_skene` or `median`.
    #[schema(value_type = String)]
    pub by: How,
    /// How probable Dawid and Skene's model finds it.
    pub probability: Option<f64>,
}

/// What was decided of an item.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationDecision)]
pub struct DecisionBody {
    /// What.
    pub value: Value,
    /// Why.
    pub reason: String,
    /// By whom.
    pub adjudicator: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
}

impl From<AnnotationDecision> for DecisionBody {
    fn from(decision: AnnotationDecision) -> Self {
        let AnnotationDecision { value, reason, decider, decided, .. } = decision;
        Self { value, reason, adjudicator: decider, time: decided }
    }
}

impl From<Item> for ItemBody {
    fn from(item: Item) -> Self {
        Self {
            item: item.item,
            row_id: item.row_id,
            values: item.values,
            labels: item.labels.iter().map(LabelBody::of).collect(),
            differ: item.differ,
            doubt: item.doubt,
            verdict: item.verdict.map(|verdict| VerdictBody {
                value: verdict.value,
                by: verdict.how,
                probability: verdict.probability,
            }),
            decision: item.decision.map(DecisionBody::from),
        }
    }
}
