//! Comments: what people say about a version of an artifact.

use qd_base::{ArtifactName, CommentId, ProjectId, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::artifact::VersionInfo;
use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::label::require_version;
use crate::{ArtifactKind, Catalog, Error, Result, limit};

/// One artifact has at most this many comments.
pub const MAX_COMMENTS: usize = 1000;
/// The longest comment.
pub const MAX_COMMENT_BYTES: usize = 16 << 10;
/// The longest author.
const MAX_AUTHOR_BYTES: usize = 256;

/// What somebody said about a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comment {
    /// Its identifier.
    pub id: CommentId,
    /// The number of the version it is about.
    pub number: u32,
    /// Who said it.
    pub author: String,
    /// What.
    pub text: String,
    /// When.
    pub created: Timestamp,
}

impl Catalog {
    /// Adds a comment to a version.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the version, [`Error::Invalid`] for an empty text, [`Error::TooLarge`] beyond the
    /// limits of this module.
    pub async fn add_comment(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
        name: &ArtifactName,
        number: u32,
        author: &str,
        text: &str,
    ) -> Result<Comment> {
        const OPERATION: &str = "adding a comment";
        limit::text("author", author, MAX_AUTHOR_BYTES)?;
        limit::bytes("comment", text.len(), MAX_COMMENT_BYTES)?;
        if text.trim().is_empty() {
            return Err(Error::invalid("comment", "must not be empty"));
        }
        let mut tx = self.db().begin(OPERATION).await?;
        let about = require_version(&mut tx, project, kind, name, number).await?;
        limit::count("number of comments", count(&mut tx, &about).await? + 1, MAX_COMMENTS)?;
        let made = Comment {
            id: CommentId::new(),
            number,
            author: author.to_owned(),
            text: text.to_owned(),
            created: Timestamp::now(),
        };
        insert(&mut tx, &about, &made).await?;
        self.note_artifact(&mut tx, "comment", &about, json!({ "number": number, "comment": made.id })).await?;
        commit(tx, OPERATION).await?;
        Ok(made)
    }

    /// The comments on an artifact's versions, the oldest first.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn comments(&self, project: ProjectId, kind: ArtifactKind, name: &ArtifactName) -> Result<Vec<Comment>> {
        let rows = sqlx::query(
            "SELECT id, number, author, text, created_ns FROM comment \
             WHERE project_id = $1 AND kind = $2 AND name = $3 ORDER BY id",
        )
        .bind(project.to_string())
        .bind(kind.as_str())
        .bind(name.as_str())
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("listing comments"))?;
        column::all(&rows, read)
    }

    /// Removes a comment.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn remove_comment(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
        name: &ArtifactName,
        id: CommentId,
    ) -> Result<()> {
        const OPERATION: &str = "removing a comment";
        let mut tx = self.db().begin(OPERATION).await?;
        let gone = sqlx::query("DELETE FROM comment WHERE project_id = $1 AND kind = $2 AND name = $3 AND id = $4")
            .bind(project.to_string())
            .bind(kind.as_str())
            .bind(name.as_str())
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?
            .rows_affected();
        if gone == 0 {
            return Err(Error::not_found("comment", id));
        }
        let detail = json!({ "project": project, "comment": id });
        self.note(&mut tx, "uncomment", kind.as_str(), name.as_str(), detail).await?;
        commit(tx, OPERATION).await
    }
}

/// Comments go with their artifact.
pub(crate) async fn remove_all(tx: &mut Tx, project: ProjectId, kind: ArtifactKind, name: &ArtifactName) -> Result<()> {
    sqlx::query("DELETE FROM comment WHERE project_id = $1 AND kind = $2 AND name = $3")
        .bind(project.to_string())
        .bind(kind.as_str())
        .bind(name.as_str())
        .execute(&mut **tx)
        .await
        .map_err(Error::database("removing comments"))?;
    Ok(())
}

async fn count(tx: &mut Tx, about: &VersionInfo) -> Result<usize> {
    let row = sqlx::query("SELECT COUNT(*) AS n FROM comment WHERE project_id = $1 AND kind = $2 AND name = $3")
        .bind(about.project.to_string())
        .bind(about.kind.as_str())
        .bind(about.name.as_str())
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database("counting comments"))?;
    Ok(usize::try_from(Columns(&row).count("n")?).unwrap_or(usize::MAX))
}

async fn insert(tx: &mut Tx, about: &VersionInfo, made: &Comment) -> Result<()> {
    sqlx::query(
        "INSERT INTO comment (id, project_id, kind, name, number, author, text, created_ns) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(made.id.to_string())
    .bind(about.project.to_string())
    .bind(about.kind.as_str())
    .bind(about.name.as_str())
    .bind(made.number)
    .bind(made.author.as_str())
    .bind(made.text.as_str())
    .bind(made.created.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::database("writing a comment"))?;
    Ok(())
}

fn read(row: Columns<'_>) -> Result<Comment> {
    Ok(Comment {
        id: row.parsed("id")?,
        number: row.number("number")?,
        author: row.text("author")?,
        text: row.text("text")?,
        created: row.time("created_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::catalog;

    #[tokio::test]
    async fn comments_are_about_a_version_and_go_with_it() {
        let (catalog, _dir) = catalog().await;
        let (project, kind, name) = (catalog.default_project().id, ArtifactKind::Prompt, "greeting".parse().unwrap());
        let add = |number, text| catalog.add_comment(project, kind, &name, number, "ada", text);
        assert!(matches!(add(1, "early").await, Err(Error::NotFound { .. })));
        catalog.put_version(project, kind, &name, b"1", json!({}), &[]).await.unwrap();
        let first = add(1, "too long\nby half").await.unwrap();
        let second = add(1, "better").await.unwrap();
        assert!(matches!(add(1, " \n").await, Err(Error::Invalid { .. })));
        assert!(matches!(add(2, "late").await, Err(Error::NotFound { .. })));
        assert_eq!(catalog.comments(project, kind, &name).await.unwrap(), [first.clone(), second.clone()]);
        catalog.remove_comment(project, kind, &name, first.id).await.unwrap();
        assert!(matches!(catalog.remove_comment(project, kind, &name, first.id).await, Err(Error::NotFound { .. })));
        assert_eq!(catalog.comments(project, kind, &name).await.unwrap(), [second]);
        catalog.remove_artifact(project, kind, &name).await.unwrap();
        assert!(catalog.comments(project, kind, &name).await.unwrap().is_empty());
    }
}
