//! Items with what was said of them, those on which people disagree first, and deciding them.

use std::collections::BTreeMap;

use qd_base::{AccountName, Timestamp};
use qd_catalog::{AnnotationDecision, AnnotationLabel};
use serde_json::{Map, Value};

use crate::Result;
use crate::annotations::{Annotation, Annotations, read};
use crate::fits::Fitted;
use crate::scale::Scale;
use crate::verdict::{Verdict, Verdicts};

/// Items of one page at most.
pub const MOST_ITEMS: usize = 100;

/// An item with what was said of it.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its number.
    pub item: u32,
    /// By what its row is known in the dataset.
    pub row_id: String,
    /// What annotators see of it, and by the names `a` and `b` two answers.
    pub values: Map<String, Value>,
    /// What was said, by annotator.
    pub labels: Vec<AnnotationLabel>,
    /// Whether labels differ.
    pub differ: bool,
    /// How unsure it is: bits, or how far numbers lie apart.
    pub doubt: f64,
    /// What is true of it.
    pub verdict: Option<Verdict>,
    /// What was decided.
    pub decision: Option<AnnotationDecision>,
}

/// Which items are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Only those of which labels differ, the least sure first.
    pub disagreements: bool,
    /// Of those, only what nobody has decided.
    pub undecided: bool,
    /// How many to leave out.
    pub from: usize,
    /// How many at most.
    pub limit: usize,
}

impl Annotations {
    /// A page of items, where the next begins, and how many there are.
    ///
    /// # Errors
    /// [`Error::Catalog`] or [`Error::Data`] when something cannot be read.
    pub async fn items(&self, annotation: &Annotation, wanted: Wanted) -> Result<(Vec<Item>, Option<usize>, usize)> {
        let Fitted { verdicts: found, labels, decisions } = self.verdicts(annotation, "looking for items").await?;
        let mut decided: BTreeMap<u32, AnnotationDecision> =
            decisions.into_iter().map(|decision| (decision.item, decision)).collect();
        let chosen = chosen(&found, wanted, annotation.count(), &decided);
        let limit = wanted.limit.clamp(1, MOST_ITEMS);
        let page: Vec<u32> = chosen.iter().copied().skip(wanted.from).take(limit).collect();
        let next = Some(wanted.from + page.len()).filter(|&next| next < chosen.len() && !page.is_empty());
        let mut of_item: BTreeMap<u32, Vec<AnnotationLabel>> = BTreeMap::new();
        labels.into_iter().for_each(|label| of_item.entry(label.item).or_default().push(label));
        let values = self.values(annotation, &page).await?;
        let items = page.into_iter().zip(values).map(|(item, (row_id, values))| {
            let at = item as usize;
            let (verdict, differ, doubt) = (found.of[at].clone(), found.differ[at], found.doubt[at]);
            let (labels, decision) = (of_item.remove(&item).unwrap_or_default(), decided.remove(&item));
            Item { item, row_id, values, labels, differ, doubt, verdict, decision }
        });
        Ok((items.collect(), next, chosen.len()))
    }

    /// What is shown of items, with the identifiers of their rows.
    async fn values(&self, annotation: &Annotation, items: &[u32]) -> Result<Vec<(String, Map<String, Value>)>> {
        let definition = annotation.definition();
        let dataset = self.dataset(annotation.info.project, &definition.dataset).await?;
        let places: Vec<u64> = items.iter().map(|&item| annotation.content.places[item as usize]).collect();
        let rows = read(&dataset, &places).await?.into_iter().map(|mut row| {
            let mut values = Map::new();
            for column in &definition.show {
                values.insert(column.clone(), row.values.get(column).cloned().unwrap_or_default());
            }
            if let Scale::Pairwise { a, b, .. } = &definition.scale {
                for (name, column) in [(crate::scale::A, a), (crate::scale::B, b)] {
                    values.insert(name.to_owned(), row.values.remove(column).unwrap_or_default());
                }
            }
            (row.id, values)
        });
        Ok(rows.collect())
    }

    /// Decides an item, whatever was said or decided of it before.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] for who is not among the adjudicators, [`Error::NoItem`], [`Error::Definition`] for what cannot be said.
    pub async fn decide(
        &self,
        annotation: &Annotation,
        (item, value): (u32, &Value),
        reason: String,
        decider: &AccountName,
        actor: &str,
    ) -> Result<AnnotationDecision> {
        annotation.let_decide(decider)?;
        annotation.require(item)?;
        let value = annotation.definition().scale.read(value)?;
        let decided = Timestamp::now();
        let decision = AnnotationDecision { item, value, reason, decider: decider.to_string(), decided };
        self.catalog.acting(actor)?.decide_annotation(&annotation.info, &decision).await?;
        Ok(decision)
    }
}

fn chosen(found: &Verdicts, wanted: Wanted, items: u32, decided: &BTreeMap<u32, AnnotationDecision>) -> Vec<u32> {
    if !wanted.disagreements {
        return (0..items).collect();
    }
    let is_wanted = |item: &u32| found.differ[*item as usize] && !(wanted.undecided && decided.contains_key(item));
    let mut chosen: Vec<u32> = (0..items).filter(is_wanted).collect();
    chosen.sort_by(|&a, &b| found.doubt[b as usize].total_cmp(&found.doubt[a as usize]));
    chosen
}
