//! Silences: for a while, some rules tell nobody.

use qd_base::{AlertName, ProjectId, SilenceId, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::alert::Severity;
use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Result, limit, project};

/// One project has at most this many silences; ended ones are forgotten when another is made.
pub const MAX_SILENCES: usize = 1000;
/// The longest pattern.
pub const MAX_PATTERN_BYTES: usize = 128;
/// The longest reason.
pub const MAX_REASON_BYTES: usize = 1024;
/// The longest author.
const MAX_AUTHOR_BYTES: usize = 256;

/// What a silence is to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewSilence {
    /// The names of rules, in which `*` stands for any characters.
    pub pattern: String,
    /// Only rules of this severity.
    pub severity: Option<Severity>,
    /// Why.
    pub reason: String,
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// A silence.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Its identifier.
    pub id: SilenceId,
    /// The project whose rules it is about.
    pub project: ProjectId,
    /// What it is.
    pub spec: NewSilence,
    /// Who made it.
    pub author: String,
    /// When.
    pub created: Timestamp,
}

impl Silence {
    /// Whether it holds for a rule at a time.
    pub fn holds(&self, name: &AlertName, severity: Severity, at: Timestamp) -> bool {
        let spec = &self.spec;
        spec.from <= at
            && at < spec.until
            && spec.severity.is_none_or(|only| only == severity)
            && is_like(name.as_str(), &spec.pattern)
    }
}

/// Whether a name is like a pattern, in which `*` stands for any characters. Each part between two stars is looked for
/// after the one before, so the work is at most the product of both lengths.
fn is_like(name: &str, pattern: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return name == pattern };
    let Some(mut left) = name.strip_prefix(begin) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(end)
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, pattern, severity, reason, author, from_ns, until_ns, created_ns FROM alert_silence ",
            $rest
        )
    };
}

impl Catalog {
    /// Makes a silence.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::TooLarge`] beyond the limits of this module, [`Error::NotFound`] without the
    /// project.
    pub async fn create_silence(&self, project: ProjectId, spec: NewSilence, author: &str) -> Result<Silence> {
        const OPERATION: &str = "making a silence";
        check(&spec)?;
        limit::text("author", author, MAX_AUTHOR_BYTES)?;
        let mut tx = self.db().begin(OPERATION).await?;
        project::require(&mut tx, project).await?;
        // Nobody sees those that have ended; the audit log has them.
        sqlx::query("DELETE FROM alert_silence WHERE project_id = $1 AND until_ns <= $2")
            .bind(project.to_string())
            .bind(Timestamp::now().as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?;
        project::room_for_one(
            &mut tx,
            project,
            "number of silences",
            "SELECT COUNT(*) AS n FROM alert_silence WHERE project_id = $1",
            MAX_SILENCES,
        )
        .await?;
        let made =
            Silence { id: SilenceId::new(), project, spec, author: author.to_owned(), created: Timestamp::now() };
        insert(&mut tx, &made).await?;
        self.note(&mut tx, "create", "silence", &made.id.to_string(), json!(made.spec)).await?;
        commit(tx, OPERATION).await?;
        Ok(made)
    }

    /// The silences of a project that end after `after`, those that end first first.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn silences(&self, project: ProjectId, after: Timestamp) -> Result<Vec<Silence>> {
        let rows = sqlx::query(select!("WHERE project_id = $1 AND until_ns > $2 ORDER BY until_ns, id"))
            .bind(project.to_string())
            .bind(after.as_nanos())
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("listing silences"))?;
        column::all(&rows, read)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn remove_silence(&self, project: ProjectId, id: SilenceId) -> Result<()> {
        const OPERATION: &str = "ending a silence";
        let mut tx = self.db().begin(OPERATION).await?;
        let gone = sqlx::query("DELETE FROM alert_silence WHERE project_id = $1 AND id = $2")
            .bind(project.to_string())
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?
            .rows_affected();
        if gone == 0 {
            return Err(Error::not_found("silence", id));
        }
        self.note(&mut tx, "remove", "silence", &id.to_string(), json!({ "project": project })).await?;
        commit(tx, OPERATION).await
    }
}

/// Whether some silence holds for a rule.
pub(crate) async fn applies(
    tx: &mut Tx,
    project: ProjectId,
    name: &AlertName,
    severity: Severity,
    at: Timestamp,
) -> Result<bool> {
    let rows = sqlx::query(select!("WHERE project_id = $1 AND until_ns > $2"))
        .bind(project.to_string())
        .bind(at.as_nanos())
        .fetch_all(&mut **tx)
        .await
        .map_err(Error::database("listing silences"))?;
    Ok(column::all(&rows, read)?.iter().any(|silence| silence.holds(name, severity, at)))
}

fn check(spec: &NewSilence) -> Result<()> {
    limit::text("pattern", &spec.pattern, MAX_PATTERN_BYTES)?;
    limit::text("reason", &spec.reason, MAX_REASON_BYTES)?;
    match spec.from < spec.until {
        true => Ok(()),
        false => Err(Error::invalid("until", "must be after the silence begins")),
    }
}

async fn insert(tx: &mut Tx, silence: &Silence) -> Result<()> {
    let Silence { id, project, spec, author, created } = silence;
    sqlx::query(
        "INSERT INTO alert_silence (id, project_id, pattern, severity, reason, author, from_ns, until_ns, created_ns) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id.to_string())
    .bind(project.to_string())
    .bind(&spec.pattern)
    .bind(spec.severity.map(Severity::as_str))
    .bind(&spec.reason)
    .bind(author)
    .bind(spec.from.as_nanos())
    .bind(spec.until.as_nanos())
    .bind(created.as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("making a silence"))
}

fn read(row: Columns<'_>) -> Result<Silence> {
    let spec = NewSilence {
        pattern: row.text("pattern")?,
        severity: row.parsed_opt("severity")?,
        reason: row.text("reason")?,
        from: row.time("from_ns")?,
        until: row.time("until_ns")?,
    };
    Ok(Silence {
        id: row.parsed("id")?,
        project: row.parsed("project_id")?,
        spec,
        author: row.text("author")?,
        created: row.time("created_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::catalog;

    fn silence(pattern: &str, severity: Option<Severity>) -> NewSilence {
        let (from, until) = (Timestamp::from_secs(10), Timestamp::from_secs(20));
        NewSilence { pattern: pattern.into(), severity, reason: "a migration".into(), from, until }
    }

    #[test]
    fn stars_stand_for_any_characters() {
        for (name, pattern, expected) in [
            ("slow", "slow", true),
            ("slow", "slo", false),
            ("slow", "*", true),
            ("slow-answers", "slow*", true),
            ("slow-answers", "*answers", true),
            ("slow-answers", "s*-*s", true),
            ("slow-answers", "*low*swer*", true),
            ("slow-answers", "answers*", false),
            ("slow-answers", "*slow", false),
            ("aba", "ab*ba", false),
            ("abba", "ab*ba", true),
            ("abc", "*c*b*", false),
        ] {
            assert_eq!(is_like(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[tokio::test]
    async fn a_silence_holds_for_its_time_and_its_rules() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        let made = catalog.create_silence(project, silence("slow*", Some(Severity::Warning)), "ann").await.unwrap();
        let name: AlertName = "slow-answers".parse().unwrap();
        let at = |secs| made.holds(&name, Severity::Warning, Timestamp::from_secs(secs));
        assert_eq!((at(9), at(10), at(19), at(20)), (false, true, true, false));
        assert!(!made.holds(&name, Severity::Critical, Timestamp::from_secs(10)));
        assert!(!made.holds(&"costly".parse().unwrap(), Severity::Warning, Timestamp::from_secs(10)));

        let listed = async |secs| catalog.silences(project, Timestamp::from_secs(secs)).await.unwrap();
        assert_eq!((listed(19).await, listed(20).await.len()), (vec![made.clone()], 0));
        let other = catalog.create_project(&"other".parse().unwrap()).await.unwrap().id;
        assert!(matches!(catalog.remove_silence(other, made.id).await, Err(Error::NotFound { .. })));
        catalog.remove_silence(project, made.id).await.unwrap();
        assert!(matches!(catalog.remove_silence(project, made.id).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn what_cannot_be_a_silence_is_refused() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        let good = silence("*", None);
        for wrong in [
            NewSilence { pattern: " ".into(), ..good.clone() },
            NewSilence { pattern: "x".repeat(MAX_PATTERN_BYTES + 1), ..good.clone() },
            NewSilence { reason: String::new(), ..good.clone() },
            NewSilence { until: good.from, ..good.clone() },
        ] {
            assert!(catalog.create_silence(project, wrong.clone(), "ann").await.is_err(), "{wrong:?}");
        }
        assert!(catalog.create_silence(project, good, "ann").await.is_ok());
    }
}
