//! `/api/v1/projects`: the units that keys, artifacts and traces belong to.

use axum::extract::State;
use qd_base::id::ProjectId;
use qd_base::name::ProjectName;
use qd_base::time::Timestamp;
use qd_catalog::{Project, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::Json as JsonBody;
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let admin = Permission::Scope(Scope::Admin);
    let all = Doc::new("Projects", "listProjects", "The projects that the caller reaches")
        .text("A key reaches its own project; the operator, by the local token, every project.")
        .gives::<ProjectList>(200, "The projects");
    let new = Doc::new("Projects", "createProject", "Make a project")
        .text("For the operator only: a key cannot leave its project.")
        .takes::<NewProject>()
        .gives::<ProjectBody>(201, "The project");
    vec![Route::get("/api/v1/projects", admin, all, list), Route::post("/api/v1/projects", admin, new, create)]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<ProjectList>> {
    let projects = surface.app.catalog.projects().await?;
    let reached = projects.into_iter().filter(|project| caller.reaches(project.id)).map(ProjectBody::from);
    Ok(Json(ProjectList { data: reached.collect() }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewProject>,
) -> Result<Created<ProjectBody>> {
    if !caller.is_operator() {
        return Err(Error::OperatorOnly { what: "make projects" });
    }
    let project = surface.app.catalog.acting(&caller.actor())?.create_project(&new.name).await?;
    Ok(Created(project.into()))
}

/// A project to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Its name: 1 to 64 lower-case letters, digits, `-`, `_` and `.`.
    #[schema(value_type = String)]
    pub name: ProjectName,
}

/// A project.
#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
pub struct ProjectBody {
    /// Its identifier, which never changes.
    #[schema(value_type = String, format = Uuid)]
    pub id: ProjectId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: ProjectName,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

/// Projects.
#[derive(Serialize, ToSchema)]
pub struct ProjectList {
    /// The projects, by name.
    pub data: Vec<ProjectBody>,
}

impl From<Project> for ProjectBody {
    fn from(project: Project) -> Self {
        Self { id: project.id, name: project.name, created: project.created }
    }
}
