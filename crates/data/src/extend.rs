//! Columns that come to rows: a version with the same rows, under the same identifiers, that has more columns.
//!
//! All rows are written anew, since a file of rows never changes. What is written follows from the rows and the columns alone, so that who
//! does it twice makes one version.

use std::collections::{HashMap, HashSet};

use qd_base::{ArtifactName, VersionId};
use qd_catalog::NewVersion;
use qd_lake::Writing;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::column::{Column, MAX_COLUMNS, check_name, check_roles};
use crate::dataset::{Dataset, Datasets, KIND, written};
use crate::edit::Edited;
use crate::encode::{Encoder, decode};
use crate::version::{Content, Origin, Part};
use crate::write;
use crate::{Error, Result};

/// Columns that come to rows.
#[derive(Debug, Clone, Default)]
pub struct Extension {
    /// The columns, each in the place of one of the same name if there is one.
    pub columns: Vec<Column>,
    /// What rows have in them, by identifier, in the order of the columns.
    pub values: HashMap<String, Vec<Value>>,
    /// Which rows the version has, by identifier; all when there is none.
    pub only: Option<HashSet<String>>,
    /// Which rows the columns tell of, by identifier; all when there is none. Where others have something in a column of one of these
    /// names nothing is made: it would be lost.
    pub about: Option<HashSet<String>>,
}

impl Datasets {
    /// Makes a version of `source` with more columns: of the same dataset, if `source` is still its latest version, or of another, whatever
    /// is the latest there. Beside `source` it is made of `origin`'s version `of`.
    ///
    /// # Errors
    /// [`Error::Catalog`] with [`qd_catalog::Error::Moved`] when `source` is not the latest version any more, [`Error::Invalid`] for
    /// columns that cannot be or in which something would be lost, [`Error::Cancelled`].
    pub async fn extend(
        &self,
        source: &Dataset,
        target: &ArtifactName,
        extension: Extension,
        (origin, of): (&Origin, VersionId),
        report: impl Fn(u64, u64) + Send + 'static,
        stop: CancellationToken,
    ) -> Result<Edited> {
        let project = source.info().project;
        let columns = columns(source.columns(), &extension)?;
        let (datasets, of_rows) = (self.clone(), source.clone());
        let work = move || {
            let writing = datasets.files.writing();
            let part = datasets.write_extended(&of_rows, &columns, &extension, &writing, &report, &stop)?;
            let content = Content { columns, rows: part.rows, bytes: part.bytes, files: vec![part] };
            Ok((content, writing))
        };
        let (content, writing) = self.behind("adding columns", work).await?;
        let (bytes, metadata) = written(&content, origin)?;
        let parents = [source.info().id, of];
        let new = NewVersion { content: &bytes, metadata, parents: &parents };
        let _only = self.alone(project, target).await;
        let put = if *target == source.info().name {
            self.catalog.put_version_after(project, KIND, target, Some(source.info().number), new).await
        } else {
            self.catalog.put_version(project, KIND, target, new.content, new.metadata, new.parents).await
        };
        drop(writing);
        let version = put.map(|version| version.info).map_err(Error::catalog("keeping a version of a dataset"))?;
        Ok(Edited { version, rows: content.rows, added: 0, known: content.rows, replaced: 0, removed: 0 })
    }

    fn write_extended(
        &self,
        source: &Dataset,
        columns: &[Column],
        extension: &Extension,
        writing: &Writing,
        report: &dyn Fn(u64, u64),
        stop: &CancellationToken,
    ) -> Result<Part> {
        let (mut file, mut encoder, mut at) = (write::copy(&self.files, columns)?, Encoder::new(columns), 0);
        for batch in source.batches(vec![0..u64::MAX], None) {
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let batch = batch?;
            let count = batch.num_rows() as u64;
            for mut row in decode(source.columns(), &batch, at..at + count)? {
                if extension.only.as_ref().is_some_and(|only| !only.contains(&row.id)) {
                    continue;
                }
                extension.check(&row.id, &row.values)?;
                extension.apply(&row.id, &mut row.values);
                let id = row.id;
                encoder.push(&row.values, |_| id);
                if encoder.is_full() {
                    take(&mut encoder, &mut file)?;
                }
            }
            at += count;
            report(at, source.len());
        }
        take(&mut encoder, &mut file)?;
        write::finish(file, writing)
    }
}

fn take(encoder: &mut Encoder, file: &mut qd_lake::NewRowFile<'_>) -> Result<()> {
    match encoder.take()? {
        Some(batch) => file.push(&batch).map_err(Error::lake("writing rows")),
        None => Ok(()),
    }
}

impl Extension {
    fn check(&self, id: &str, values: &serde_json::Map<String, Value>) -> Result<()> {
        let Some(about) = self.about.as_ref().filter(|about| !about.contains(id)) else { return Ok(()) };
        let has_other = |column: &&Column| values.get(&column.name).is_some_and(|value| !value.is_null());
        match self.columns.iter().find(has_other) {
            Some(column) => {
                let (name, rows) = (&column.name, about.len());
                let why = format!(
                    "row {id} has something in {name} that would be lost: it is none of the {rows} rows that this is about; take another name"
                );
                Err(Error::invalid("column", why))
            }
            None => Ok(()),
        }
    }

    fn apply(&self, id: &str, values: &mut serde_json::Map<String, Value>) {
        let given = self.values.get(id);
        for (at, column) in self.columns.iter().enumerate() {
            let value = given.and_then(|given| given.get(at)).cloned().unwrap_or_default();
            values.insert(column.name.clone(), value);
        }
    }
}

fn columns(before: &[Column], extension: &Extension) -> Result<Vec<Column>> {
    let mut columns = before.to_vec();
    for new in &extension.columns {
        check_name(&new.name).map_err(|why| Error::invalid("column", why))?;
        match columns.iter_mut().find(|column| column.name == new.name) {
            Some(column) => *column = new.clone(),
            None => columns.push(new.clone()),
        }
    }
    if columns.len() > MAX_COLUMNS {
        return Err(Error::TooLarge { what: "columns", limit: MAX_COLUMNS.to_string() });
    }
    check_roles(&columns)?;
    Ok(columns)
}
