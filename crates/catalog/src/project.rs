//! Projects: the unit that keys, artifacts, jobs and traces belong to.

use qd_base::{ProjectId, ProjectName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Result, limit};

/// One catalog holds at most this many projects.
pub const MAX_PROJECTS: usize = 10_000;

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its identifier, which never changes.
    pub id: ProjectId,
    /// Its name, one of its kind.
    pub name: ProjectName,
    /// When it was made.
    pub created: Timestamp,
}

impl Project {
    pub(crate) fn new(name: ProjectName, created: Timestamp) -> Self {
        Self { id: ProjectId::new(), name, created }
    }

    pub(crate) fn read(row: Columns<'_>) -> Result<Self> {
        Ok(Self { id: row.parsed("id")?, name: row.parsed("name")?, created: row.time("created_ns")? })
    }
}

impl Catalog {
    /// Makes a project.
    ///
    /// # Errors
    /// [`Error::Exists`] when the name is taken, [`Error::TooLarge`] beyond [`MAX_PROJECTS`].
    pub async fn create_project(&self, name: &ProjectName) -> Result<Project> {
        const OPERATION: &str = "creating a project";
        let project = Project::new(name.clone(), Timestamp::now());
        let mut tx = self.db().begin(OPERATION).await?;
        limit::count("number of projects", count(&mut tx).await? + 1, MAX_PROJECTS)?;
        if !insert(&mut tx, &project).await? {
            return Err(Error::Exists { noun: "project", name: name.to_string() });
        }
        self.note(&mut tx, "create", "project", name.as_str(), json!({ "id": project.id })).await?;
        commit(tx, OPERATION).await?;
        Ok(project)
    }

    /// The project of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn project(&self, name: &ProjectName) -> Result<Project> {
        let row = sqlx::query("SELECT id, name, created_ns FROM project WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading a project"))?
            .ok_or_else(|| Error::not_found("project", name))?;
        Project::read(Columns(&row))
    }

    /// The project of this identifier.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn project_by_id(&self, id: ProjectId) -> Result<Project> {
        let row = sqlx::query("SELECT id, name, created_ns FROM project WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading a project"))?
            .ok_or_else(|| Error::not_found("project", id))?;
        Project::read(Columns(&row))
    }

    /// All projects, by name.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn projects(&self) -> Result<Vec<Project>> {
        let rows = sqlx::query("SELECT id, name, created_ns FROM project ORDER BY name")
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("listing projects"))?;
        column::all(&rows, Project::read)
    }
}

/// Fails with [`Error::NotFound`] when there is no such project.
pub(crate) async fn require(tx: &mut Tx, id: ProjectId) -> Result<()> {
    sqlx::query("SELECT id FROM project WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::database("reading a project"))?
        .map(drop)
        .ok_or_else(|| Error::not_found("project", id))
}

/// Fails with [`Error::TooLarge`] when a project has `most` of something already; `counting` gives them as `n`.
pub(crate) async fn room_for_one(
    tx: &mut Tx,
    project: ProjectId,
    what: &'static str,
    counting: &'static str,
    most: usize,
) -> Result<()> {
    let row = sqlx::query(counting)
        .bind(project.to_string())
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database("counting what a project has"))?;
    let found = usize::try_from(Columns(&row).count("n")?).unwrap_or(usize::MAX);
    limit::count(what, found.saturating_add(1), most)
}

async fn count(tx: &mut Tx) -> Result<usize> {
    let row = sqlx::query("SELECT COUNT(*) AS projects FROM project")
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database("counting projects"))?;
    Ok(usize::try_from(Columns(&row).count("projects")?).unwrap_or(usize::MAX))
}

async fn insert(tx: &mut Tx, project: &Project) -> Result<bool> {
    sqlx::query("INSERT INTO project (id, name, created_ns) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING")
        .bind(project.id.to_string())
        .bind(project.name.as_str())
        .bind(project.created.as_nanos())
        .execute(&mut **tx)
        .await
        .map(|done| done.rows_affected() == 1)
        .map_err(Error::database("creating a project"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::catalog;

    #[tokio::test]
    async fn a_project_is_found_by_name_and_id() {
        let (catalog, _dir) = catalog().await;
        let made = catalog.create_project(&"team-7".parse().unwrap()).await.unwrap();
        assert_eq!(catalog.project(&made.name).await.unwrap(), made);
        assert_eq!(catalog.project_by_id(made.id).await.unwrap(), made);
        let names: Vec<_> = catalog.projects().await.unwrap().into_iter().map(|project| project.name).collect();
        assert_eq!(names, ["default", "team-7"]);
    }

    #[tokio::test]
    async fn a_name_is_given_once() {
        let (catalog, _dir) = catalog().await;
        let again = catalog.create_project(&"default".parse().unwrap()).await;
        assert!(matches!(again, Err(Error::Exists { noun: "project", .. })));
        let missing = catalog.project(&"nowhere".parse().unwrap()).await;
        assert_eq!(missing.unwrap_err().to_string(), "there is no project nowhere");
    }
}
