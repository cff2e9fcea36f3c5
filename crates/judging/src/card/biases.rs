//! Does a judge of pairs go by the place of an answer, by its length, by who wrote it?

use qd_eval::bias::{self, LengthJudgement, Preference};
use qd_judge::Method;
use serde::Serialize;

use crate::Result;
use crate::card::stat::Stat;
use crate::card::{Case, Cases, SAMPLING};
use crate::place::Place;

/// The biases of a judge of pairs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Biases {
    /// The share of pairs of which the judge says something else when the answers change places.
    pub order_flips: Stat,
    /// How much more often the first place wins than the second: 1 is always, 0 is fair.
    pub first_place: Stat,
    /// By how much its log-odds for an answer rise when that is twice as long, while people's word stays the same.
    pub length: Stat,
    /// How much more often it prefers answers of its own model than people do, where it is known who wrote them.
    pub own: Option<Stat>,
}

impl Biases {
    /// Those of a judge of pairs; none of others. `own` is what authors' columns call the judge's model.
    pub(super) fn of(cases: &Cases<'_>, own: Option<&str>) -> Result<Option<Self>> {
        let definition = cases.judge.definition();
        let Method::Pairwise { first, second, .. } = &definition.method else { return Ok(None) };
        let orders: Vec<(Preference, Preference)> = cases.cases.iter().filter_map(orders).collect();
        let (order_flips, first_place) = match bias::order(&orders, SAMPLING)? {
            Ok(order) => (order.flips.into(), order.first_place.into()),
            Err(why) => (Stat::none(why), Stat::none(why)),
        };
        let lengths: Vec<LengthJudgement> = cases.cases.iter().filter_map(|case| length(case, first, second)).collect();
        let own = own.or(definition.model.as_ref().map(|model| model.as_str()));
        let authored = cases.cases.iter().any(|case| !case.row.authors.is_empty());
        let of_own: Vec<(Preference, Preference)> =
            cases.cases.iter().filter_map(|case| own_answers(case, own?)).collect();
        Ok(Some(Self {
            order_flips,
            first_place,
            length: bias::length(&lengths)?.into(),
            own: authored.then(|| bias::own(&of_own, SAMPLING)).transpose()?.map(Stat::from),
        }))
    }
}

fn preference(place: &Place) -> Option<Preference> {
    match place.value? {
        1.0 => Some(Preference::First),
        0.0 => Some(Preference::Second),
        _ => Some(Preference::Tie),
    }
}

/// What was said of the pair as it stands and of the pair exchanged, by place. A part names the answers as they stand in both.
fn orders(case: &Case<'_>) -> Option<(Preference, Preference)> {
    let [straight, exchanged] = case.row.judged.as_ref()?.judgement.parts.as_slice() else { return None };
    let of = |part: &qd_judge::Part| preference(&Place { label: None, value: Some(part.outcome.value()?) });
    Some((of(straight)?, of(exchanged)?.swapped()))
}

fn length(case: &Case<'_>, first: &str, second: &str) -> Option<LengthJudgement> {
    let length = |name: &str| case.row.lengths.get(name).map(|&chars| chars as f64);
    Some(LengthJudgement {
        judge: preference(case.said.as_ref()?)?,
        human: preference(&case.truth)?,
        lengths: (length(first)?, length(second)?),
    })
}

/// What the judge and people said of a pair of which one answer is the judge's own model's, which is called the first.
fn own_answers(case: &Case<'_>, own: &str) -> Option<(Preference, Preference)> {
    let [first, second] = case.row.authors.as_slice() else { return None };
    let (judge, human) = (preference(case.said.as_ref()?)?, preference(&case.truth)?);
    match (first.as_deref()? == own, second.as_deref()? == own) {
        (true, false) => Some((judge, human)),
        (false, true) => Some((judge.swapped(), human.swapped())),
        _ => None,
    }
}
