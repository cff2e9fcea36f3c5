//! How far do people agree with each other, and the judge with each of them?

use qd_eval::agreement::alpha::Ratings;
use qd_eval::agreement::{Pairs, Weights};
use serde::Serialize;

use crate::Result;
use crate::card::stat::Stat;
use crate::card::{Cases, SAMPLING};
use crate::place::Place;
use crate::table::JudgementRow;

/// What a judge is measured by: people do not always agree either.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct People {
    /// Krippendorff's alpha of all people, over all items, also those that they did not decide.
    pub alpha: Stat,
    /// Each two of them.
    pub pairs: Vec<TwoRaters>,
    /// The judge and each of them, over what the judge told.
    pub judge: Vec<TwoRaters>,
}

/// How far two agree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TwoRaters {
    /// One.
    pub one: String,
    /// The other.
    pub other: String,
    /// The share of items of which both say the same.
    pub alike: Stat,
    /// Cohen's kappa.
    pub kappa: Stat,
}

impl People {
    /// None of one person. `labels` are their columns.
    pub(super) fn of(cases: &Cases<'_>, labels: &[String]) -> Result<Option<Self>> {
        if labels.len() < 2 {
            return Ok(None);
        }
        let number = |place: &Option<Place>| place.as_ref().and_then(|place| cases.number(place));
        let ratings: Vec<Vec<Option<f64>>> =
            cases.rows.iter().map(|row| row.said.iter().map(number).collect()).collect();
        let mut pairs = Vec::new();
        for (one, first) in labels.iter().enumerate() {
            for (other, second) in labels.iter().enumerate().skip(one + 1) {
                let said = |row: &JudgementRow| Some((at(row, one)?, at(row, other)?));
                pairs.push(two(cases, (first, second), cases.rows.iter().filter_map(said))?);
            }
        }
        let mut judge = Vec::new();
        for (person, label) in labels.iter().enumerate() {
            let both = cases.cases.iter().filter_map(|case| Some((at(case.row, person)?, case.said.clone()?)));
            judge.push(two(cases, (label, "judge"), both)?);
        }
        Ok(Some(Self { alpha: Ratings::new(&ratings)?.alpha(cases.alpha_scale(), SAMPLING)?.into(), pairs, judge }))
    }
}

fn at(row: &JudgementRow, person: usize) -> Option<Place> {
    row.said.get(person)?.clone()
}

fn two(cases: &Cases<'_>, (one, other): (&str, &str), both: impl Iterator<Item = (Place, Place)>) -> Result<TwoRaters> {
    let of: Vec<(usize, usize)> = both.filter_map(|(a, b)| Some((cases.class(&a)?, cases.class(&b)?))).collect();
    let pairs = Pairs::new(&of, cases.classes.len())?;
    let kappa = pairs.kappa(Weights::Nominal, SAMPLING).into();
    Ok(TwoRaters { one: one.to_owned(), other: other.to_owned(), alike: pairs.accuracy().into(), kappa })
}
