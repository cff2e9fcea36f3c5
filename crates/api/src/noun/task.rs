//! `/api/v1/tasks`: benchmark tasks that come with Quarterdeck, and what they ask.

use axum::extract::State;
use qd_catalog::Scope;
use qd_leaderboard::source::Need;
use qd_leaderboard::tasks::{self, Described, Named, Rendered, Showing};
use qd_task::Chat;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::Result;
use crate::extract::{Path, Query};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let read = Permission::Scope(Scope::Read);
    let all = Doc::new("Tasks", "listTasks", "The tasks and groups that come with Quarterdeck")
        .gives::<TaskList>(200, "All of them, in the order of their files");
    let one = Doc::new("Tasks", "getTask", "What a task measures, and which documents it needs")
        .text("The name of a group or a tag is all of its tasks.")
        .gives::<TaskDescriptions>(200, "The task, or the tasks");
    let document = Doc::new("Tasks", "getTaskDocument", "What a task asks about one document")
        .text("The very words that every model is asked, examples included. The task's documents have to be here as datasets of their usual names.")
        .query::<DocumentQuery>()
        .gives::<TaskDocument>(200, "The document and the requests about it");
    vec![
        Route::get("/api/v1/tasks", read, all, list),
        Route::get("/api/v1/tasks/{name}", read, one, show),
        Route::get("/api/v1/tasks/{name}/documents/{document}", read, document, render),
    ]
}

async fn list(_: Caller) -> Json<TaskList> {
    Json(TaskList { data: tasks::list().into_iter().map(TaskName::from).collect() })
}

async fn show(_: Caller, Path(name): Path<String>) -> Result<Json<TaskDescriptions>> {
    Ok(Json(TaskDescriptions { data: tasks::describe(&name).await?.into_iter().map(TaskDescription::from).collect() }))
}

async fn render(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, document)): Path<(String, usize)>,
    Query(query): Query<DocumentQuery>,
) -> Result<Json<TaskDocument>> {
    let showing = Showing { document, num_fewshot: query.num_fewshot, chat: query.chat, documents: Default::default() };
    let rendered = tasks::render(&surface.app.datasets, caller.project(), &name, showing).await?;
    Ok(Json(rendered.into()))
}

/// How a document is asked about.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DocumentQuery {
    /// Examples in the prompt; the task's own number when absent.
    num_fewshot: Option<usize>,
    /// `turns` or `one_turn`: as messages.
    #[param(value_type = Option<String>)]
    chat: Option<Chat>,
}

/// Tasks by their names.
#[derive(Serialize, ToSchema)]
pub struct TaskList {
    /// The names.
    pub data: Vec<TaskName>,
}

/// The name of a task.
#[derive(Serialize, ToSchema)]
pub struct TaskName {
    /// The name.
    pub name: String,
    /// Whether it is a group of tasks.
    pub is_group: bool,
    /// Words that it is found by.
    pub tags: Vec<String>,
}

impl From<Named> for TaskName {
    fn from(Named { name, is_group, tags }: Named) -> Self {
        Self { name, is_group, tags }
    }
}

/// What tasks are.
#[derive(Serialize, ToSchema)]
pub struct TaskDescriptions {
    /// One for each task.
    pub data: Vec<TaskDescription>,
}

/// What a task is.
#[derive(Serialize, ToSchema)]
pub struct TaskDescription {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// `multiple_choice`, `loglikelihood`, `loglikelihood_rolling` or `generate_until`.
    pub output_type: String,
    /// Examples in each prompt where nobody says otherwise.
    pub num_fewshot: Option<usize>,
    /// Metrics with their filters, as `exact_match,strict-match`; the first counts where nobody says otherwise.
    pub metrics: Vec<String>,
    /// The documents that it needs.
    pub needs: Vec<TaskNeed>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

impl From<Described> for TaskDescription {
    fn from(told: Described) -> Self {
        Self {
            name: told.name,
            version: told.version,
            output_type: json!(told.output_type).as_str().unwrap_or_default().to_owned(),
            num_fewshot: told.num_fewshot,
            metrics: told.metrics,
            needs: told.needs.into_iter().map(TaskNeed::from).collect(),
            notes: told.notes,
        }
    }
}

/// Documents that a task needs.
#[derive(Serialize, ToSchema)]
pub struct TaskNeed {
    /// What definitions of leaderboards name them by: `openai/gsm8k:main#test`.
    pub key: String,
    /// The data set of the hub, where the task names one.
    pub path: Option<String>,
    /// The part of it.
    pub name: Option<String>,
    /// The split.
    pub split: String,
    /// The dataset here that they are looked for in where nobody says otherwise.
    pub dataset: String,
}

impl From<Need> for TaskNeed {
    fn from(Need { key, path, name, split, dataset }: Need) -> Self {
        Self { key, path, name, split, dataset }
    }
}

/// What a task asks about a document.
#[derive(Serialize, ToSchema)]
pub struct TaskDocument {
    /// The task.
    pub task: String,
    /// The document's place, from 0.
    pub document: usize,
    /// Its fields.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
    /// What is asked: contexts with continuations, whole texts, or prompts from which texts go on.
    #[schema(value_type = Vec<Object>)]
    pub asks: Vec<Value>,
}

impl From<Rendered> for TaskDocument {
    fn from(Rendered { task, document, fields, asks }: Rendered) -> Self {
        Self { task, document, fields, asks: asks.into_iter().map(|ask| json!(ask)).collect() }
    }
}
