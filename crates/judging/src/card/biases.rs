//! Does a judge go by the place of an answer, by its length, by who wrote it?

use qd_eval::bias::{self, GradedJudgement, LengthJudgement, Preference};
use qd_judge::Method;
use serde::Serialize;

use crate::Result;
use crate::card::stat::Stat;
use crate::card::{Case, Cases, SAMPLING};
use crate::place::Place;

/// What an answer is called among a judge's inputs.
const ANSWER: &str = "answer";

/// The biases of a judge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Biases {
    /// The share of pairs of which the judge says something else when the answers change places.
    pub order_flips: Option<Stat>,
    /// How much more often the first place of a pair wins than the second: 1 is always, 0 is fair.
    pub first_place: Option<Stat>,
    /// For an answer that is twice as long, while people's word stays the same: by how much its log-odds to be preferred rise, of pairs;
    /// how much more it is given, of single answers, in points of the scale.
    pub length: Stat,
    /// Where it is known who wrote the answers: how much more often it prefers those of its own model than people do, of pairs; how much
    /// more it gives them, of single answers.
    pub own: Option<Stat>,
}

impl Biases {
    /// Those of a judge; none where it says no numbers, or nothing of an answer. `own` is what authors' columns call the judge's model.
    pub(super) fn of(cases: &Cases<'_>, own: Option<&str>) -> Result<Option<Self>> {
        let definition = cases.judge.definition();
        let own = own.or(definition.model.as_ref().map(|model| model.as_str()));
        match &definition.method {
            Method::Pairwise { first, second, .. } => Self::of_pairs(cases, (first, second), own).map(Some),
            Method::Claims { of, .. } => Self::of_answers(cases, of, own),
            _ => Self::of_answers(cases, ANSWER, own),
        }
    }

    fn of_answers(cases: &Cases<'_>, answer: &str, own: Option<&str>) -> Result<Option<Self>> {
        if cases.places.has_words() && !cases.places.ordered {
            return Ok(None);
        }
        let graded: Vec<GradedJudgement> = cases.cases.iter().filter_map(|case| graded(case, answer, own)).collect();
        if graded.is_empty() {
            return Ok(None);
        }
        let found = bias::graded(&graded)?;
        Ok(Some(Self {
            order_flips: None,
            first_place: None,
            length: found.length.into(),
            own: found.own.map(Stat::from),
        }))
    }

    fn of_pairs(cases: &Cases<'_>, (first, second): (&str, &str), own: Option<&str>) -> Result<Self> {
        let orders: Vec<(Preference, Preference)> = cases.cases.iter().filter_map(orders).collect();
        let (order_flips, first_place) = match bias::order(&orders, SAMPLING)? {
            Ok(order) => (order.flips.into(), order.first_place.into()),
            Err(why) => (Stat::none(why), Stat::none(why)),
        };
        let lengths: Vec<LengthJudgement> = cases.cases.iter().filter_map(|case| length(case, first, second)).collect();
        let authored = cases.cases.iter().any(|case| !case.row.authors.is_empty());
        let of_own: Vec<(Preference, Preference)> =
            cases.cases.iter().filter_map(|case| own_answers(case, own?)).collect();
        Ok(Self {
            order_flips: Some(order_flips),
            first_place: Some(first_place),
            length: bias::length(&lengths)?.into(),
            own: authored.then(|| bias::own(&of_own, SAMPLING)).transpose()?.map(Stat::from),
        })
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

/// What the judge and people said of one answer, by number.
fn graded(case: &Case<'_>, answer: &str, own: Option<&str>) -> Option<GradedJudgement> {
    let author = case.row.authors.first().and_then(Option::as_deref);
    Some(GradedJudgement {
        judge: case.said.as_ref()?.value?,
        human: case.truth.value?,
        length: *case.row.lengths.get(answer)? as f64,
        own: author.zip(own).map(|(author, own)| author == own),
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
