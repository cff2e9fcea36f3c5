//! The work of an annotator: the next item, and what they say of it.

use std::time::Duration;

use qd_base::{AccountName, Timestamp};
use qd_catalog::AnnotationLabel;
use serde::Deserialize;
use serde_json::Value;

use crate::annotations::{Annotation, Annotations, read};
use crate::shown::{self, Shown};
use crate::{Error, Result, assign};

/// The longest time that a label may be said to have taken: a day.
const MOST_SECONDS: f64 = 86_400.0;

/// What an annotator gets.
#[derive(Debug, Clone)]
pub struct Next {
    /// The item; none when there is none for them now.
    pub item: Option<(Shown, Timestamp)>,
    /// Items that they have labelled or skipped.
    pub done: usize,
    /// Items that they may still get, this one and those that others have in hand included.
    pub left: u32,
}

/// What an annotator says of an item.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The item's number.
    pub item: u32,
    /// What: of two answers `first`, `second` or `tie`.
    #[serde(default)]
    pub value: Option<Value>,
    /// Why the item is skipped, where it is.
    #[serde(default)]
    pub skipped: Option<String>,
    /// What else there is to say.
    #[serde(default)]
    pub comment: Option<String>,
    /// How long it took; the time since the item was given when absent.
    #[serde(default)]
    pub seconds: Option<f64>,
}

impl Annotations {
    /// The next item for an annotator. Asked again it is the same, until it is labelled or their time with it is over and others were
    /// quicker.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] for who is not among the annotators.
    pub async fn next(&self, annotation: &Annotation, annotator: &AccountName) -> Result<Next> {
        annotation.let_label(annotator)?;
        let definition = annotation.definition();
        let now = Timestamp::now();
        let until = now.saturating_add(Duration::from_secs(u64::from(definition.lease_minutes) * 60));
        let (mut done, mut left) = (0, 0);
        let choose = |stand: &qd_catalog::AnnotationStand| {
            (done, left) = (stand.own.len(), assign::left(stand, definition.overlap, annotation.count()));
            assign::next(stand, definition.overlap, annotation.count(), now)
        };
        let version = annotation.info.id;
        let lease = self.catalog.lease_annotation_item(version, annotator.as_str(), (now, until), choose).await?;
        let item = match lease {
            Some(lease) => Some((self.shown(annotation, lease.item, annotator).await?, lease.until)),
            None => None,
        };
        Ok(Next { item, done, left })
    }

    async fn shown(&self, annotation: &Annotation, item: u32, annotator: &AccountName) -> Result<Shown> {
        let definition = annotation.definition();
        let dataset = self.dataset(annotation.info.project, &definition.dataset).await?;
        let rows = read(&dataset, &annotation.content.places[item as usize..][..1]).await?;
        Ok(shown::show(definition, item, annotator.as_str(), &rows[0].values))
    }

    /// Keeps what an annotator says of an item, in the place of what they said of it before.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] for who is not among the annotators, [`Error::NoItem`], [`Error::Definition`] for what cannot be said,
    /// [`Error::Full`] for an item that they were not given and that needs no label.
    pub async fn label(
        &self,
        annotation: &Annotation,
        annotator: &AccountName,
        said: Said,
        sender: &str,
    ) -> Result<AnnotationLabel> {
        annotation.let_label(annotator)?;
        annotation.require(said.item)?;
        let definition = annotation.definition();
        let value = match (&said.value, &said.skipped) {
            (Some(value), None) => Some(shown::meant(definition, said.item, annotator.as_str(), value)?),
            (None, Some(_)) => None,
            _ => {
                return Err(Error::definition(
                    "value",
                    "give either a value or, in `skipped`, why the item is skipped",
                ));
            }
        };
        let label = AnnotationLabel {
            item: said.item,
            annotator: annotator.to_string(),
            value,
            skipped: said.skipped,
            comment: said.comment,
            took_ms: said.seconds.map(milliseconds).transpose()?,
            changes: 0,
            sender: sender.to_owned(),
            labelled: Timestamp::now(),
        };
        let needed = definition.overlap.needed(said.item);
        let kept = self.catalog.put_annotation_label(annotation.info.id, label, |item| assign::takes(item, needed));
        kept.await?.ok_or(Error::Full { item: said.item })
    }
}

fn milliseconds(seconds: f64) -> Result<u64> {
    match (0.0..=MOST_SECONDS).contains(&seconds) {
        true => Ok((seconds * 1_000.0).round() as u64),
        false => Err(Error::definition("seconds", format!("{seconds} is not between 0 and {MOST_SECONDS}"))),
    }
}
