//! Budgets: what a project means to spend at most in a day, a week or a month.

use std::fmt;
use std::str::FromStr;

use qd_base::{Period, Picodollars, ProjectId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::put::Put;
use crate::{Catalog, Error, Result, limit, project};

/// One project has at most this many budgets: each is added up whenever they are shown.
pub const MAX_BUDGETS: usize = 50;
/// The longest name of a budget.
pub const MAX_NAME_BYTES: usize = 100;
/// The longest name of what its calls agree in.
pub const MAX_VALUE_BYTES: usize = 256;

/// A limit on what calls come to in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// What it is called in its project.
    pub name: String,
    /// It begins anew with each.
    pub period: Period,
    /// The most that the calls should come to.
    pub limit: BudgetLimit,
    /// Which calls count; all of the project without it.
    pub scope: Option<BudgetScope>,
}

/// The most that calls should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetLimit {
    /// So much money.
    Money(Picodollars),
    /// So many tokens of prompts and answers.
    Tokens(u64),
}

/// What the calls that count agree in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetScope {
    /// In what.
    pub by: BudgetBy,
    /// For instance the model's name.
    pub value: String,
}

/// In what the calls of a budget may agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetBy {
    /// The model that answered.
    Model,
    /// Who ran it.
    Provider,
    /// The end user.
    User,
    /// The environment.
    Environment,
    /// The prompt artifact.
    Prompt,
}

impl BudgetBy {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Model, Self::Provider, Self::User, Self::Environment, Self::Prompt];

    /// The word for it, the same as where calls are told apart.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Provider => "provider",
            Self::User => "user",
            Self::Environment => "environment",
            Self::Prompt => "prompt",
        }
    }
}

impl fmt::Display for BudgetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for BudgetBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|by| by.as_str() == text);
        found.ok_or_else(|| Error::invalid("by", "must be model, provider, user, environment or prompt"))
    }
}

/// A budget as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredBudget {
    /// The project whose calls count.
    pub project: ProjectId,
    /// What it is.
    #[serde(flatten)]
    pub budget: Budget,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl Budget {
    /// Whether this budget can be kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::TooLarge`], which name the field.
    pub fn check(&self) -> Result<()> {
        limit::text("name", &self.name, MAX_NAME_BYTES)?;
        let (_, amount) = self.limit.parts();
        if amount <= 0 {
            return Err(Error::invalid("limit", "must be more than nothing"));
        }
        match &self.scope {
            Some(scope) => limit::text("value", &scope.value, MAX_VALUE_BYTES),
            None => Ok(()),
        }
    }
}

impl BudgetLimit {
    fn parts(self) -> (&'static str, i64) {
        match self {
            Self::Money(money) => ("money", money.get()),
            Self::Tokens(tokens) => ("tokens", column::stored(tokens)),
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT project_id, name, period, unit, amount, scope_by, scope_value, created_ns, updated_ns FROM budget ",
            $rest
        )
    };
}

impl Catalog {
    /// Makes a budget, or changes the one of this name.
    ///
    /// # Errors
    /// As [`Budget::check`]; [`Error::TooLarge`] beyond [`MAX_BUDGETS`], [`Error::NotFound`] without the project.
    pub async fn put_budget(&self, project: ProjectId, budget: Budget) -> Result<StoredBudget> {
        self.store_budget(project, budget, Put::Any).await
    }

    /// Makes a budget.
    ///
    /// # Errors
    /// As [`Catalog::put_budget`], and [`Error::Exists`] when there is one of this name.
    pub async fn create_budget(&self, project: ProjectId, budget: Budget) -> Result<StoredBudget> {
        self.store_budget(project, budget, Put::New).await
    }

    async fn store_budget(&self, project: ProjectId, budget: Budget, put: Put) -> Result<StoredBudget> {
        const OPERATION: &str = "changing a budget";
        budget.check()?;
        let mut tx = self.db().begin(OPERATION).await?;
        project::require(&mut tx, project).await?;
        let before = find(&mut tx, project, &budget.name).await?;
        put.check("budget", &budget.name, before.is_some())?;
        if before.is_none() {
            project::room_for_one(
                &mut tx,
                project,
                "number of budgets",
                "SELECT COUNT(*) AS n FROM budget WHERE project_id = $1",
                MAX_BUDGETS,
            )
            .await?;
        }
        let now = Timestamp::now();
        let action = if before.is_some() { "update" } else { "create" };
        let created = before.map_or(now, |before| before.created);
        let stored = StoredBudget { project, budget, created, updated: now };
        write(&mut tx, &stored).await?;
        self.note(&mut tx, action, "budget", &stored.budget.name, json!(stored)).await?;
        commit(tx, OPERATION).await?;
        Ok(stored)
    }

    /// One budget of a project.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn budget(&self, project: ProjectId, name: &str) -> Result<StoredBudget> {
        let row = sqlx::query(select!("WHERE project_id = $1 AND name = $2"))
            .bind(project.to_string())
            .bind(name)
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading a budget"))?
            .ok_or_else(|| missing(name))?;
        read(Columns(&row))
    }

    /// The budgets of a project, or of all projects, by name.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn budgets(&self, project: Option<ProjectId>) -> Result<Vec<StoredBudget>> {
        let rows = sqlx::query(select!("WHERE $1 IS NULL OR project_id = $1 ORDER BY project_id, name"))
            .bind(project.map(|id| id.to_string()))
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("listing budgets"))?;
        column::all(&rows, read)
    }

    /// Removes a budget.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn remove_budget(&self, project: ProjectId, name: &str) -> Result<()> {
        const OPERATION: &str = "removing a budget";
        let mut tx = self.db().begin(OPERATION).await?;
        let gone = sqlx::query("DELETE FROM budget WHERE project_id = $1 AND name = $2")
            .bind(project.to_string())
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?
            .rows_affected();
        if gone == 0 {
            return Err(missing(name));
        }
        self.note(&mut tx, "remove", "budget", name, json!({ "project": project })).await?;
        commit(tx, OPERATION).await
    }
}

fn missing(name: &str) -> Error {
    Error::not_found("budget", limit::shorten(name, MAX_NAME_BYTES))
}

async fn find(tx: &mut Tx, project: ProjectId, name: &str) -> Result<Option<StoredBudget>> {
    let row = sqlx::query(select!("WHERE project_id = $1 AND name = $2"))
        .bind(project.to_string())
        .bind(name)
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::database("reading a budget"))?;
    row.map(|row| read(Columns(&row))).transpose()
}

async fn write(tx: &mut Tx, stored: &StoredBudget) -> Result<()> {
    let StoredBudget { project, budget, created, updated } = stored;
    let (unit, amount) = budget.limit.parts();
    sqlx::query(
        "INSERT INTO budget (project_id, name, period, unit, amount, scope_by, scope_value, created_ns, updated_ns) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (project_id, name) DO UPDATE SET \
         period = excluded.period, unit = excluded.unit, amount = excluded.amount, scope_by = excluded.scope_by, \
         scope_value = excluded.scope_value, updated_ns = excluded.updated_ns",
    )
    .bind(project.to_string())
    .bind(budget.name.as_str())
    .bind(budget.period.as_str())
    .bind(unit)
    .bind(amount)
    .bind(budget.scope.as_ref().map(|scope| scope.by.as_str()))
    .bind(budget.scope.as_ref().map(|scope| scope.value.as_str()))
    .bind(created.as_nanos())
    .bind(updated.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::database("writing a budget"))?;
    Ok(())
}

fn read(row: Columns<'_>) -> Result<StoredBudget> {
    let limit = match row.text("unit")?.as_str() {
        "money" => BudgetLimit::Money(Picodollars::new(row.signed("amount")?)),
        _ => BudgetLimit::Tokens(row.count("amount")?),
    };
    let scope = match row.text_opt("scope_by")? {
        Some(_) => Some(BudgetScope { by: row.parsed("scope_by")?, value: row.text("scope_value")? }),
        None => None,
    };
    let budget = Budget { name: row.text("name")?, period: row.parsed("period")?, limit, scope };
    Ok(StoredBudget {
        project: row.parsed("project_id")?,
        budget,
        created: row.time("created_ns")?,
        updated: row.time("updated_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{catalog, reopen};

    fn budget(name: &str) -> Budget {
        let scope = BudgetScope { by: BudgetBy::Model, value: "gpt-4o".to_owned() };
        let limit = BudgetLimit::Money(Picodollars::new(5 * Picodollars::PER_DOLLAR));
        Budget { name: name.to_owned(), period: Period::Month, limit, scope: Some(scope) }
    }

    #[tokio::test]
    async fn a_budget_is_kept_changed_and_removed() {
        let (catalog, dir) = catalog().await;
        let catalog = catalog.acting("operator").unwrap();
        let project = catalog.default_project().id;
        let made = catalog.create_budget(project, budget("team")).await.unwrap();
        assert!(matches!(catalog.create_budget(project, budget("team")).await, Err(Error::Exists { .. })));
        let tokens =
            Budget { limit: BudgetLimit::Tokens(u64::MAX >> 1), scope: None, period: Period::Day, ..budget("team") };
        let changed = catalog.put_budget(project, tokens.clone()).await.unwrap();
        assert_eq!((changed.created, &changed.budget), (made.created, &tokens));
        catalog.close().await;

        let catalog = reopen(dir.path()).await.acting("operator").unwrap();
        assert_eq!(catalog.budgets(Some(project)).await.unwrap(), std::slice::from_ref(&changed));
        assert_eq!(catalog.budget(project, "team").await.unwrap(), changed);
        catalog.remove_budget(project, "team").await.unwrap();
        assert!(matches!(catalog.remove_budget(project, "team").await, Err(Error::NotFound { .. })));
        assert!(matches!(catalog.budget(project, "team").await, Err(Error::NotFound { .. })));
        let noted = catalog.audit_log(&crate::AuditFilter::default(), crate::Page::first(50)).await.unwrap().items;
        let mut actions: Vec<_> =
            noted.iter().filter(|entry| entry.noun == "budget").map(|entry| entry.action.clone()).collect();
        actions.sort();
        assert_eq!(actions, ["create", "remove", "update"]);
    }

    #[tokio::test]
    async fn budgets_belong_to_a_project_and_are_counted() {
        let (catalog, _dir) = catalog().await;
        let (project, other) =
            (catalog.default_project().id, catalog.create_project(&"other".parse().unwrap()).await.unwrap().id);
        catalog.put_budget(other, budget("team")).await.unwrap();
        assert!(catalog.budgets(Some(project)).await.unwrap().is_empty());
        assert_eq!(catalog.budgets(None).await.unwrap().len(), 1);
        for number in 0..MAX_BUDGETS {
            catalog.put_budget(project, budget(&number.to_string())).await.unwrap();
        }
        assert!(matches!(catalog.put_budget(project, budget("more")).await, Err(Error::TooLarge { .. })));
        catalog.put_budget(project, budget("7")).await.unwrap();
    }

    #[test]
    fn what_cannot_be_a_budget_is_refused() {
        assert!(budget("a b").check().is_ok());
        let scope = |value: &str| Some(BudgetScope { by: BudgetBy::User, value: value.to_owned() });
        for wrong in [
            budget(""),
            budget("a\nb"),
            budget(&"x".repeat(MAX_NAME_BYTES + 1)),
            Budget { limit: BudgetLimit::Tokens(0), ..budget("x") },
            Budget { limit: BudgetLimit::Money(Picodollars::new(-1)), ..budget("x") },
            Budget { scope: scope(""), ..budget("x") },
            Budget { scope: scope(&"x".repeat(MAX_VALUE_BYTES + 1)), ..budget("x") },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
