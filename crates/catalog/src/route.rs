//! Routes: model names of a project's own, each with the targets that may answer, best first.

use qd_base::{ProjectId, ProviderName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::provider::MAX_TIMEOUT_MS;
use crate::put::Put;
use crate::{Catalog, Error, Result, limit, project};

/// One project has at most this many routes.
pub const MAX_ROUTES: usize = 1000;
/// The longest name of a route, and of a model at a provider.
pub const MAX_MODEL_BYTES: usize = 256;
/// One route has at most this many targets: a caller waits for each that fails.
pub const MAX_TARGETS: usize = 16;
/// Further attempts at one target.
pub const MAX_RETRIES: u32 = 10;

/// A model name that callers ask for, and the targets that may answer, best first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRoute {
    /// The name in a request's `model`.
    pub name: String,
    /// Tried in this order.
    pub targets: Vec<Target>,
    /// Retries of each target after its first attempt; the gateway's limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long one attempt may take; the provider's, else the gateway's limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u32>,
}

/// A model at a provider. The provider `local` is the engine in this process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Who serves it.
    pub provider: ProviderName,
    /// The provider's own name of the model.
    pub model: String,
}

/// A route as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredRoute {
    /// The project whose callers may ask for it.
    pub project: ProjectId,
    /// What it is.
    #[serde(flatten)]
    pub route: ModelRoute,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl ModelRoute {
    /// Whether this route can be kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::TooLarge`], which name the field.
    pub fn check(&self) -> Result<()> {
        limit::text("name", &self.name, MAX_MODEL_BYTES)?;
        if self.targets.is_empty() {
            return Err(Error::invalid("targets", "must name at least one target"));
        }
        limit::count("targets", self.targets.len(), MAX_TARGETS)?;
        for (place, target) in self.targets.iter().enumerate() {
            limit::text("targets", &target.model, MAX_MODEL_BYTES)?;
            if self.targets[..place].contains(target) {
                let twin =
                    format!("name {}/{} twice; retries say how often it is asked", target.provider, target.model);
                return Err(Error::invalid("targets", twin));
            }
        }
        if self.retries.is_some_and(|retries| retries > MAX_RETRIES) {
            return Err(Error::invalid("retries", format!("must be at most {MAX_RETRIES}")));
        }
        match self.timeout_ms {
            Some(timeout_ms) if !(1..=MAX_TIMEOUT_MS).contains(&timeout_ms) => {
                Err(Error::invalid("timeout_ms", format!("must be between 1 and {MAX_TIMEOUT_MS}")))
            }
            _ => Ok(()),
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT project_id, name, targets, retries, timeout_ms, created_ns, updated_ns FROM route ", $rest)
    };
}

impl Catalog {
    /// Makes a route, or changes the one of this name. Its targets need not exist yet: a provider may come later.
    ///
    /// # Errors
    /// As [`ModelRoute::check`]; [`Error::TooLarge`] beyond [`MAX_ROUTES`], [`Error::NotFound`] without the project.
    pub async fn put_route(&self, project: ProjectId, route: ModelRoute) -> Result<StoredRoute> {
        self.store_route(project, route, Put::Any).await
    }

    /// Makes a route. Of several who make one of the same name at once, one succeeds.
    ///
    /// # Errors
    /// As [`Catalog::put_route`], and [`Error::Exists`] when there is one of this name.
    pub async fn create_route(&self, project: ProjectId, route: ModelRoute) -> Result<StoredRoute> {
        self.store_route(project, route, Put::New).await
    }

    async fn store_route(&self, project: ProjectId, route: ModelRoute, put: Put) -> Result<StoredRoute> {
        const OPERATION: &str = "changing a route";
        route.check()?;
        let mut tx = self.db().begin(OPERATION).await?;
        project::require(&mut tx, project).await?;
        let before = find(&mut tx, project, &route.name).await?;
        put.check("route", &route.name, before.is_some())?;
        if before.is_none() {
            project::room_for_one(
                &mut tx,
                project,
                "number of routes",
                "SELECT COUNT(*) AS n FROM route WHERE project_id = $1",
                MAX_ROUTES,
            )
            .await?;
        }
        let now = Timestamp::now();
        let action = if before.is_some() { "update" } else { "create" };
        let created = before.map_or(now, |before| before.created);
        let stored = StoredRoute { project, route, created, updated: now };
        write(&mut tx, &stored).await?;
        self.note(&mut tx, action, "route", &stored.route.name, json!(stored)).await?;
        commit(tx, OPERATION).await?;
        self.routing_changed();
        Ok(stored)
    }

    /// One route of a project.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn route(&self, project: ProjectId, name: &str) -> Result<StoredRoute> {
        let row = sqlx::query(select!("WHERE project_id = $1 AND name = $2"))
            .bind(project.to_string())
            .bind(name)
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading a route"))?
            .ok_or_else(|| missing(name))?;
        read(Columns(&row))
    }

    /// The routes of a project, or of all projects, by name.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn routes(&self, project: Option<ProjectId>) -> Result<Vec<StoredRoute>> {
        let rows = sqlx::query(select!("WHERE $1 IS NULL OR project_id = $1 ORDER BY project_id, name"))
            .bind(project.map(|id| id.to_string()))
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("listing routes"))?;
        column::all(&rows, read)
    }

    /// Removes a route.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn remove_route(&self, project: ProjectId, name: &str) -> Result<()> {
        const OPERATION: &str = "removing a route";
        let mut tx = self.db().begin(OPERATION).await?;
        let gone = sqlx::query("DELETE FROM route WHERE project_id = $1 AND name = $2")
            .bind(project.to_string())
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?
            .rows_affected();
        if gone == 0 {
            return Err(missing(name));
        }
        self.note(&mut tx, "remove", "route", name, json!({ "project": project })).await?;
        commit(tx, OPERATION).await?;
        self.routing_changed();
        Ok(())
    }
}

fn missing(name: &str) -> Error {
    Error::not_found("route", limit::shorten(name, MAX_MODEL_BYTES))
}

async fn find(tx: &mut Tx, project: ProjectId, name: &str) -> Result<Option<StoredRoute>> {
    let row = sqlx::query(select!("WHERE project_id = $1 AND name = $2"))
        .bind(project.to_string())
        .bind(name)
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::database("reading a route"))?;
    row.map(|row| read(Columns(&row))).transpose()
}

async fn write(tx: &mut Tx, stored: &StoredRoute) -> Result<()> {
    let StoredRoute { project, route, created, updated } = stored;
    sqlx::query(
        "INSERT INTO route (project_id, name, targets, retries, timeout_ms, created_ns, updated_ns) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (project_id, name) DO UPDATE SET \
         targets = excluded.targets, retries = excluded.retries, timeout_ms = excluded.timeout_ms, \
         updated_ns = excluded.updated_ns",
    )
    .bind(project.to_string())
    .bind(route.name.as_str())
    .bind(json!(route.targets).to_string())
    .bind(route.retries)
    .bind(route.timeout_ms)
    .bind(created.as_nanos())
    .bind(updated.as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("changing a route"))
}

fn read(row: Columns<'_>) -> Result<StoredRoute> {
    let route = ModelRoute {
        name: row.text("name")?,
        targets: row.json("targets")?,
        retries: row.number_opt("retries")?,
        timeout_ms: row.number_opt("timeout_ms")?,
    };
    Ok(StoredRoute {
        project: row.parsed("project_id")?,
        route,
        created: row.time("created_ns")?,
        updated: row.time("updated_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{catalog, reopen};

    fn target(provider: &str, model: &str) -> Target {
        Target { provider: provider.parse().unwrap(), model: model.to_owned() }
    }

    fn route(name: &str) -> ModelRoute {
        let targets = vec![target("acme", "large"), target("local", "small")];
        ModelRoute { name: name.to_owned(), targets, retries: Some(1), timeout_ms: None }
    }

    #[tokio::test]
    async fn a_route_is_kept_changed_and_removed() {
        let (catalog, dir) = catalog().await;
        let project = catalog.default_project().id;
        let made = catalog.create_route(project, route("fast")).await.unwrap();
        assert!(matches!(catalog.create_route(project, route("fast")).await, Err(Error::Exists { .. })));
        let slower = ModelRoute { timeout_ms: Some(9), retries: None, ..route("fast") };
        let changed = catalog.put_route(project, slower.clone()).await.unwrap();
        assert_eq!((changed.created, &changed.route), (made.created, &slower));
        catalog.close().await;

        let catalog = reopen(dir.path()).await;
        assert_eq!(catalog.routes(Some(project)).await.unwrap(), std::slice::from_ref(&changed));
        assert_eq!(catalog.route(project, "fast").await.unwrap(), changed);
        catalog.remove_route(project, "fast").await.unwrap();
        assert!(matches!(catalog.remove_route(project, "fast").await, Err(Error::NotFound { .. })));
        assert!(matches!(catalog.route(project, "fast").await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn routes_belong_to_a_project_and_tell_of_changes() {
        let (catalog, _dir) = catalog().await;
        let other = catalog.create_project(&"other".parse().unwrap()).await.unwrap().id;
        let mut changes = catalog.watch_routing();
        catalog.put_route(other, route("fast")).await.unwrap();
        assert_eq!(*changes.borrow_and_update(), 1);
        assert!(catalog.route(catalog.default_project().id, "fast").await.is_err());
        assert!(catalog.routes(Some(catalog.default_project().id)).await.unwrap().is_empty());
        assert_eq!(catalog.routes(None).await.unwrap().len(), 1);
        catalog.remove_route(other, "fast").await.unwrap();
        assert_eq!(*changes.borrow_and_update(), 2);
    }

    #[test]
    fn what_cannot_be_a_route_is_refused() {
        assert!(route("gpt-4o/fast").check().is_ok(), "a route may stand before a provider's own name");
        let many = (0..=MAX_TARGETS).map(|number| target("acme", &number.to_string())).collect();
        for wrong in [
            route(" "),
            route("a\nb"),
            route(&"x".repeat(MAX_MODEL_BYTES + 1)),
            ModelRoute { targets: vec![], ..route("x") },
            ModelRoute { targets: many, ..route("x") },
            ModelRoute { targets: vec![target("acme", "")], ..route("x") },
            ModelRoute { targets: vec![target("acme", "m"), target("acme", "m")], ..route("x") },
            ModelRoute { retries: Some(MAX_RETRIES + 1), ..route("x") },
            ModelRoute { timeout_ms: Some(0), ..route("x") },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
