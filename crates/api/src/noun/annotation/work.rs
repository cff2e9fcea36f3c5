//! The work of annotators: the next item, and what they say of it.

use axum::extract::State;
use qd_annotation::work::{Next, Said};
use qd_annotation::{Annotation, shown};
use qd_base::name::{AccountName, ArtifactName};
use qd_base::time::Timestamp;
use qd_catalog::{AnnotationLabel, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{VersionQuery, find, speaker};
use crate::doc::Doc;
use crate::error::Result;
use crate::extract::{Json as JsonBody, Path, Query};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::Shared;

pub(super) fn routes() -> Vec<Route> {
    let write = Permission::Scope(Scope::Write);
    let given = Doc::new("Annotations", "nextAnnotationItem", "The next item for an annotator")
        .text("The item is kept for the annotator for as long as the definition says. Asked again it is the same until it is labelled. Of a row only the columns that are listed are told; two answers stand in an order that follows from the seed, the item and the annotator.")
        .query::<VersionQuery>()
        .takes::<Asking>()
        .gives::<NextBody>(200, "The item; null when there is none for them now");
    let said = Doc::new("Annotations", "putAnnotationLabel", "Say something of an item, or skip it")
        .text("It takes the place of what the same annotator said of the item before. An item that needs no label, and that the annotator was not given, is answered with 409.")
        .query::<VersionQuery>()
        .takes::<NewLabel>()
        .gives::<LabelBody>(201, "What is kept");
    vec![
        Route::post("/api/v1/annotations/{name}/next", write, given, next),
        Route::post("/api/v1/annotations/{name}/labels", write, said, label),
    ]
}

async fn next(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
    JsonBody(asking): JsonBody<Asking>,
) -> Result<Json<NextBody>> {
    let annotator = speaker(&caller, "annotator", asking.annotator)?;
    let found = find(&surface, &caller, &name, query.version).await?;
    let given = surface.app.annotations.next(&found, &annotator).await?;
    Ok(Json(NextBody::of(&found, annotator, given)))
}

async fn label(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
    JsonBody(new): JsonBody<NewLabel>,
) -> Result<Created<LabelBody>> {
    let annotator = speaker(&caller, "annotator", new.annotator)?;
    let found = find(&surface, &caller, &name, query.version).await?;
    let NewLabel { item, value, skipped, comment, seconds, .. } = new;
    let said = Said { item, value: value.clone(), skipped, comment, seconds };
    let kept = surface.app.annotations.label(&found, &annotator, said, &caller.actor()).await?;
    // Who labels is not told which of two answers it was.
    Ok(Created(LabelBody { value, ..LabelBody::of(&kept) }))
}

/// Who asks for an item.
#[derive(Deserialize, ToSchema)]
#[schema(as = AskForAnnotationItem)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// The annotator; needed with a key, and who is signed in otherwise.
    #[schema(value_type = Option<String>)]
    pub annotator: Option<AccountName>,
}

/// What an annotator says of an item.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewAnnotationLabel)]
#[serde(deny_unknown_fields)]
pub struct NewLabel {
    /// The annotator; needed with a key, and who is signed in otherwise.
    #[schema(value_type = Option<String>)]
    pub annotator: Option<AccountName>,
    /// The item's number.
    pub item: u32,
    /// What is said: one of the choices, or a number of the range; of two answers `first`, `second` or `tie`.
    pub value: Option<Value>,
    /// In the place of a value, why the item is skipped.
    pub skipped: Option<String>,
    /// What else there is to say, 4 KiB at most.
    pub comment: Option<String>,
    /// How long it took; the time since the item was given when absent.
    pub seconds: Option<f64>,
}

/// What an annotator gets.
#[derive(Serialize, ToSchema)]
#[schema(as = NextAnnotationItem)]
pub struct NextBody {
    /// The item; null when there is none for them now.
    pub item: Option<ShownBody>,
    /// Items that they have labelled or skipped.
    pub done: usize,
    /// Items that they may still get, those that others have in hand included.
    pub left: u32,
}

/// An item as an annotator sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationItemShown)]
pub struct ShownBody {
    /// Its number.
    pub item: u32,
    /// Who sees it.
    #[schema(value_type = String)]
    pub annotator: AccountName,
    /// Until when it is kept for them.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// What is asked.
    pub question: String,
    /// How it is to be answered.
    pub guidelines: Option<String>,
    /// The scale, without the names of columns that are compared.
    #[schema(value_type = Object)]
    pub scale: Value,
    /// What can be said; null where any number of a range can.
    pub choices: Option<Vec<Value>>,
    /// The columns that are listed.
    #[schema(value_type = Object)]
    pub columns: Map<String, Value>,
    /// Of two answers the one that stands first; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Value>,
    /// The one that stands second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Value>,
}

impl NextBody {
    fn of(annotation: &Annotation, annotator: AccountName, next: Next) -> Self {
        let definition = annotation.definition();
        let item = next.item.map(|(shown, until)| {
            let (first, second) = shown.answers.unzip();
            ShownBody {
                item: shown.item,
                annotator,
                until,
                question: definition.question.clone(),
                guidelines: definition.guidelines.clone(),
                scale: shown::scale(&definition.scale),
                choices: shown::choices(&definition.scale),
                columns: shown.columns,
                first,
                second,
            }
        });
        Self { item, done: next.done, left: next.left }
    }
}

/// What an annotator said of an item.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationLabel)]
pub struct LabelBody {
    /// The item's number.
    pub item: u32,
    /// Who said it.
    pub annotator: String,
    /// What.
    pub value: Option<Value>,
    /// Why the item was skipped.
    pub skipped: Option<String>,
    /// What else there is to say.
    pub comment: Option<String>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// How often the annotator said something else before.
    pub changes: u32,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
}

impl LabelBody {
    pub(super) fn of(label: &AnnotationLabel) -> Self {
        Self {
            item: label.item,
            annotator: label.annotator.clone(),
            value: label.value.clone(),
            skipped: label.skipped.clone(),
            comment: label.comment.clone(),
            seconds: label.took_ms.map(|took_ms| took_ms as f64 / 1_000.0),
            changes: label.changes,
            time: label.labelled,
        }
    }
}
