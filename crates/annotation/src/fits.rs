//! Verdicts that were just made: whoever reads page after page does not have them made anew for each.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use qd_base::VersionId;
use qd_catalog::{AnnotationDecision, AnnotationLabel};

use crate::annotations::{Annotation, Annotations};
use crate::verdict::{Verdicts, verdicts};
use crate::{Error, Result};

/// Versions whose verdicts are kept at most.
const MOST_KEPT: usize = 8;

/// The last verdicts of some versions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fits(Arc<Mutex<VecDeque<Fit>>>);

#[derive(Debug)]
struct Fit {
    version: VersionId,
    /// What people had said and decided then.
    said: u64,
    verdicts: Arc<Verdicts>,
}

/// Verdicts with what they were made of.
pub(crate) struct Fitted {
    pub verdicts: Arc<Verdicts>,
    pub labels: Vec<AnnotationLabel>,
    pub decisions: Vec<AnnotationDecision>,
}

impl Fits {
    fn find(&self, version: VersionId, said: u64) -> Option<Arc<Verdicts>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|fit| fit.version == version && fit.said == said).map(|fit| Arc::clone(&fit.verdicts))
    }

    fn keep(&self, version: VersionId, said: u64, verdicts: &Arc<Verdicts>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|fit| fit.version != version);
        kept.push_front(Fit { version, said, verdicts: Arc::clone(verdicts) });
        kept.truncate(MOST_KEPT);
    }
}

impl Annotations {
    /// What is true of all items by what was said until now.
    pub(crate) async fn verdicts(&self, annotation: &Annotation, doing: &'static str) -> Result<Fitted> {
        let version = annotation.info.id;
        let labels = self.catalog.annotation_labels(version).await?;
        let decisions = self.catalog.annotation_decisions(version).await?;
        let (fits, scale, count) = (self.fits.clone(), annotation.definition().scale.clone(), annotation.items());
        let work = move || {
            let said = said(&labels, &decisions);
            let verdicts = match fits.find(version, said) {
                Some(known) => known,
                None => {
                    let made = Arc::new(verdicts(&scale, count, &labels, &decisions)?);
                    fits.keep(version, said, &made);
                    made
                }
            };
            Ok(Fitted { verdicts, labels, decisions })
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { doing })?
    }
}

/// The same as long as nobody says or decides anything else.
fn said(labels: &[AnnotationLabel], decisions: &[AnnotationDecision]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for label in labels {
        (label.item, &label.annotator, label.value.as_ref().map(ToString::to_string)).hash(&mut hasher);
    }
    for decision in decisions {
        (decision.item, decision.value.to_string()).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use qd_base::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn label(item: u32, value: Value) -> AnnotationLabel {
        AnnotationLabel {
            item,
            annotator: "ada".to_owned(),
            value: Some(value),
            skipped: None,
            comment: None,
            took_ms: None,
            changes: 0,
            sender: "key".to_owned(),
            labelled: Timestamp::from_secs(1),
        }
    }

    #[test]
    fn verdicts_are_made_anew_when_something_was_said() {
        let (fits, version) = (Fits::default(), VersionId::new());
        let scale = serde_json::from_value(json!({"kind": "boolean"})).unwrap();
        let before = [label(0, json!(true))];
        let made = Arc::new(verdicts(&scale, 2, &before, &[]).unwrap());
        fits.keep(version, said(&before, &[]), &made);
        assert!(fits.find(version, said(&before, &[])).is_some_and(|known| Arc::ptr_eq(&known, &made)));
        for after in [vec![label(0, json!(false))], vec![label(0, json!(true)), label(1, json!(true))], Vec::new()] {
            assert!(fits.find(version, said(&after, &[])).is_none(), "{after:?}");
        }
        let decision = AnnotationDecision {
            item: 1,
            value: json!(true),
            reason: "so".to_owned(),
            decider: "eve".to_owned(),
            decided: Timestamp::from_secs(2),
        };
        assert!(fits.find(version, said(&before, &[decision])).is_none());
        assert!(fits.find(VersionId::new(), said(&before, &[])).is_none());
        for _ in 0..MOST_KEPT {
            fits.keep(VersionId::new(), 0, &made);
        }
        assert!(fits.find(version, said(&before, &[])).is_none(), "no more than a few are kept");
    }
}
