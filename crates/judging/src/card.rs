//! How far does a judge agree with people, what biases it, and what is its word worth?
//!
//! A card is made of the rows of a calibration when somebody asks. What the judge did not tell is never counted as 0: accuracy is given over
//! the items that it told, and over all, where an item that it did not tell counts as wrong; all other numbers are over what it told.

mod biases;
mod people;
mod stat;

use std::collections::BTreeMap;

use qd_base::{JobId, VersionId};
use qd_catalog::WorkState;
use qd_eval::agreement::alpha::{Ratings, Scale};
use qd_eval::agreement::rank::RankedPairs;
use qd_eval::agreement::{Pairs, Weights};
use qd_eval::interval::{self, Sampling};
use qd_eval::{Estimate, Undefined, ppi};
use qd_judge::{Judge, Outcome};
use serde::Serialize;

pub use self::biases::Biases;
pub use self::people::{People, TwoRaters};
pub use self::stat::Stat;
use crate::Result;
use crate::calibrations::Calibration;
use crate::judges::Stored;
use crate::place::{Place, Places, said, truth};
use crate::table::JudgementRow;

/// How much is drawn for the intervals of a card.
pub(crate) const SAMPLING: Sampling = Sampling { seed: 0, resamples: 2_000, flips: 0 };
/// For how many times as many items as there are labels the judge's word is told to be worth something.
const FURTHER: [usize; 2] = [1, 10];

/// What a judge's word is worth, as far as people have said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Card {
    /// The version of the judge.
    pub judge: VersionId,
    /// `name@3`.
    pub name: String,
    /// The version of the dataset, as `name@3`.
    pub dataset: String,
    /// The columns with what people said.
    pub labels: Vec<String>,
    /// Where the calibration stands: a card of one that is not finished is of the items so far.
    pub state: WorkState,
    /// Why it stopped or failed.
    pub why: Option<String>,
    /// Its last job.
    pub job: JobId,
    /// Items that people decided and the judge was asked about.
    pub items: usize,
    /// Items on which people said two things equally often: they have no truth and are not asked.
    pub undecided: usize,
    /// The share of items that the judge told, could not tell, gave no verdict on, and failed on.
    pub outcomes: BTreeMap<&'static str, Stat>,
    /// How often it says what people say.
    pub accuracy: Accuracy,
    /// Cohen's kappa.
    pub kappa: Stat,
    /// The same with quadratic weights, where the scale has an order and three places or more.
    pub weighted_kappa: Option<Stat>,
    /// Krippendorff's alpha of the judge and people's word, on the scale that `alpha_scale` names.
    pub alpha: Stat,
    /// `nominal`, `ordinal` or `interval`.
    pub alpha_scale: Scale,
    /// Spearman's rank correlation, where the scale has an order and three places or more.
    pub spearman: Option<Stat>,
    /// Kendall's τ-b, there too.
    pub kendall: Option<Stat>,
    /// By how much the judge's mean is above people's, where the scale has numbers.
    pub offset: Option<Stat>,
    /// How often each class of people's got which class of the judge's.
    pub confusion: Option<Confusion>,
    /// Biases, where the judge says numbers of an answer, or judges pairs.
    pub biases: Option<Biases>,
    /// How far people agree with each other, and the judge with each of them, where there are several.
    pub people: Option<People>,
    /// How many labels of people the judge's word makes of those there are.
    pub worth: Vec<Worth>,
    /// What it takes.
    pub effort: Effort,
    /// All of it in a sentence.
    pub sentence: String,
}

/// How often a judge says what people say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accuracy {
    /// Over the items that the judge told.
    pub told: Stat,
    /// Over all items; what the judge did not tell is wrong.
    pub all: Stat,
    /// What people say most often.
    pub most_common: Option<String>,
    /// How often who always says that is right.
    pub base_rate: Stat,
    /// By how much the judge is right more often than that, over all items.
    pub gain: Stat,
}

/// How often each class of people's got which class of the judge's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// The classes, in their order.
    pub classes: Vec<String>,
    /// For each class of people's how often the judge said each class.
    pub counts: Vec<Vec<u64>>,
    /// For each class of people's how often the judge told none.
    pub untold: Vec<u64>,
}

/// What labels of people are worth together with the judge's word on further items: PPI++.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worth {
    /// Labels of people.
    pub labels: usize,
    /// Further items that only the judge would see.
    pub further: usize,
    /// How many labels people alone would need.
    pub effective_labels: Stat,
}

/// What a judgement takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effort {
    /// Dollars for a thousand items, where prices are known.
    pub usd_per_1000: Option<Stat>,
    /// Items of which a price is not known.
    pub unpriced: usize,
    /// Milliseconds of half the items, and of 95 in 100.
    pub latency_p50_ms: Stat,
    /// The same.
    pub latency_p95_ms: Stat,
    /// Calls, tokens in and tokens out of an item, on average.
    pub calls: Stat,
    /// The same.
    pub input_tokens: Stat,
    /// The same.
    pub output_tokens: Stat,
}

/// An item with what people said of it.
pub(crate) struct Case<'a> {
    pub row: &'a JudgementRow,
    pub truth: Place,
    /// What the judge said; none where it told nothing.
    pub said: Option<Place>,
}

/// The rows of a calibration, and the scale that they are on.
pub(crate) struct Cases<'a> {
    pub judge: &'a Judge,
    pub places: Places,
    pub cases: Vec<Case<'a>>,
    pub rows: &'a [JudgementRow],
    /// The names of classes; none where numbers have no classes.
    pub classes: Vec<String>,
}

impl<'a> Cases<'a> {
    pub fn new(judge: &'a Judge, rows: &'a [JudgementRow]) -> Self {
        let places = Places::of(judge);
        let case = |row: &'a JudgementRow| {
            let said = said(&row.judged.as_ref()?.judgement.outcome);
            Some(Case { row, truth: truth(&row.said)?, said })
        };
        let cases: Vec<Case<'a>> = rows.iter().filter_map(case).collect();
        let binary = cases.iter().all(|case| matches!(case.truth.value, Some(value) if value == 0.0 || value == 1.0));
        let classes = match (places.has_words(), binary && !cases.is_empty()) {
            (true, _) => places.words().map(str::to_owned).collect(),
            (false, true) => vec!["0".to_owned(), "1".to_owned()],
            (false, false) => Vec::new(),
        };
        Self { judge, places, cases, rows, classes }
    }

    /// The class of a place; without words it is 1 from a half on.
    pub fn class(&self, place: &Place) -> Option<usize> {
        match self.places.has_words() {
            true => self.places.class(place),
            false => place.value.filter(|_| !self.classes.is_empty()).map(|value| usize::from(value >= 0.5)),
        }
    }

    /// A place as a number: its own where the scale has an order, that of its class otherwise.
    pub fn number(&self, place: &Place) -> Option<f64> {
        match self.places.has_words() && !self.places.ordered {
            true => self.class(place).map(|class| class as f64),
            false => place.value,
        }
    }

    /// What people and the judge said, as classes, of the items that it told.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        self.cases
            .iter()
            .filter_map(|case| Some((self.class(&case.truth)?, self.class(case.said.as_ref()?)?)))
            .collect()
    }

    /// The same as numbers, where the scale has numbers.
    pub fn numbers(&self) -> Vec<(f64, f64)> {
        self.cases.iter().filter_map(|case| Some((case.truth.value?, case.said.as_ref()?.value?))).collect()
    }

    pub fn alpha_scale(&self) -> Scale {
        match (self.places.has_words(), self.places.ordered, self.places.metric) {
            (true, false, _) => Scale::Nominal,
            (true, true, false) => Scale::Ordinal,
            _ => Scale::Interval,
        }
    }

    /// Whether there is more to an order than that two things differ.
    fn is_ranked(&self) -> bool {
        !self.places.has_words() || (self.places.ordered && self.classes.len() > 2)
    }
}

/// The card of a calibration.
///
/// # Errors
/// [`crate::Error::Eval`] when a statistic cannot be computed of so many items.
pub fn card(stored: &Stored, calibration: &Calibration, rows: &[JudgementRow]) -> Result<Card> {
    let cases = Cases::new(&stored.judge, rows);
    let accuracy = accuracy(&cases);
    let name = stored.reference();
    Ok(Card {
        judge: stored.info.id,
        dataset: calibration.request.dataset.clone(),
        labels: calibration.request.labels.clone(),
        state: calibration.state,
        why: calibration.why.clone(),
        job: calibration.job,
        items: cases.cases.len(),
        undecided: rows.iter().filter(|row| truth(&row.said).is_none()).count(),
        outcomes: outcomes(&cases),
        kappa: kappa(&cases, Weights::Nominal)?,
        weighted_kappa: cases.is_ranked().then(|| kappa(&cases, Weights::Quadratic)).transpose()?,
        alpha: alpha(&cases)?,
        alpha_scale: cases.alpha_scale(),
        spearman: ranked(&cases, |pairs| pairs.spearman(SAMPLING))?,
        kendall: ranked(&cases, RankedPairs::kendall)?,
        offset: offset(&cases),
        confusion: confusion(&cases)?,
        biases: Biases::of(&cases, calibration.request.own.as_deref())?,
        people: People::of(&cases, &calibration.request.labels)?,
        worth: worth(&cases)?,
        effort: effort(&cases),
        sentence: sentence(&name, &accuracy, cases.cases.len()),
        accuracy,
        name,
    })
}

fn outcomes(cases: &Cases<'_>) -> BTreeMap<&'static str, Stat> {
    let word = |case: &Case<'_>| match case.row.judged.as_ref().map(|judged| &judged.judgement.outcome) {
        Some(Outcome::Score { .. }) => "told",
        Some(Outcome::CannotTell { .. }) => "cannot_tell",
        Some(Outcome::Invalid { .. }) => "invalid",
        _ => "failed",
    };
    let count = |wanted: &str| cases.cases.iter().filter(|case| word(case) == wanted).count();
    let share = |wanted: &'static str| (wanted, Stat::share(count(wanted), cases.cases.len()));
    ["told", "cannot_tell", "invalid", "failed"].into_iter().map(share).collect()
}

fn accuracy(cases: &Cases<'_>) -> Accuracy {
    let truths: Vec<usize> = cases.cases.iter().filter_map(|case| cases.class(&case.truth)).collect();
    let pairs = cases.pairs();
    let right = pairs.iter().filter(|(human, judge)| human == judge).count();
    let count = |class: usize| truths.iter().filter(|&&truth| truth == class).count();
    let most_common = (0..cases.classes.len()).filter(|_| !truths.is_empty()).max_by_key(|&class| count(class));
    let gain = most_common.map_or(Err(Undefined::TooFew), |most| {
        let one = |case: &Case<'_>| {
            let truth = cases.class(&case.truth)?;
            let said = case.said.as_ref().and_then(|said| cases.class(said));
            Some(f64::from(u8::from(said == Some(truth))) - f64::from(u8::from(truth == most)))
        };
        mean(&cases.cases.iter().filter_map(one).collect::<Vec<_>>(), Some((-1.0, 1.0)))
    });
    Accuracy {
        told: Stat::share(right, pairs.len()),
        all: Stat::share(right, truths.len()),
        base_rate: Stat::share(most_common.map_or(0, count), truths.len()),
        most_common: most_common.map(|class| cases.classes[class].clone()),
        gain: gain.into(),
    }
}

/// A mean with the bootstrap's interval.
fn mean(values: &[f64], bounds: Option<(f64, f64)>) -> std::result::Result<Estimate, Undefined> {
    let value = interval::mean(values).ok_or(Undefined::TooFew)?;
    Ok(Estimate { value, interval: interval::bootstrap_mean(values, bounds, SAMPLING), items: values.len() })
}

fn kappa(cases: &Cases<'_>, weights: Weights) -> Result<Stat> {
    if cases.classes.is_empty() {
        return Ok(Stat::none("people's numbers are no classes"));
    }
    Ok(Pairs::new(&cases.pairs(), cases.classes.len())?.kappa(weights, SAMPLING).into())
}

fn alpha(cases: &Cases<'_>) -> Result<Stat> {
    let ratings: Vec<Vec<Option<f64>>> = cases
        .cases
        .iter()
        .map(|case| vec![cases.number(&case.truth), case.said.as_ref().and_then(|said| cases.number(said))])
        .collect();
    Ok(Ratings::new(&ratings)?.alpha(cases.alpha_scale(), SAMPLING)?.into())
}

fn ranked(cases: &Cases<'_>, of: impl Fn(&RankedPairs) -> qd_eval::Estimated) -> Result<Option<Stat>> {
    if !cases.is_ranked() {
        return Ok(None);
    }
    Ok(Some(of(&RankedPairs::new(&cases.numbers())?).into()))
}

fn offset(cases: &Cases<'_>) -> Option<Stat> {
    let metric = cases.places.metric && (cases.places.ordered || !cases.places.has_words());
    let differences: Vec<f64> = cases.numbers().iter().map(|(human, judge)| judge - human).collect();
    let (least, most) = cases.places.range;
    metric.then(|| mean(&differences, Some((least - most, most - least))).into())
}

fn confusion(cases: &Cases<'_>) -> Result<Option<Confusion>> {
    if cases.classes.is_empty() {
        return Ok(None);
    }
    let counts = Pairs::new(&cases.pairs(), cases.classes.len())?.confusion();
    let mut untold = vec![0; cases.classes.len()];
    let silent = cases.cases.iter().filter(|case| case.said.as_ref().and_then(|said| cases.class(said)).is_none());
    silent.filter_map(|case| cases.class(&case.truth)).for_each(|class| untold[class] += 1);
    Ok(Some(Confusion { classes: cases.classes.clone(), counts, untold }))
}

fn worth(cases: &Cases<'_>) -> Result<Vec<Worth>> {
    let pairs = cases.numbers();
    let labels = pairs.len();
    FURTHER
        .iter()
        .map(|times| {
            let effective_labels = ppi::worth(&pairs, times * labels, SAMPLING)?.into();
            Ok(Worth { labels, further: times * labels, effective_labels })
        })
        .collect()
}

fn effort(cases: &Cases<'_>) -> Effort {
    let judged: Vec<_> = cases.rows.iter().filter_map(|row| row.judged.as_ref()).collect();
    let asked: Vec<_> = judged.into_iter().filter(|judged| judged.judgement.calls > 0).collect();
    let priced: Vec<f64> = asked
        .iter()
        .filter(|judged| judged.unpriced == 0)
        .filter_map(|judged| Some(judged.cost?.as_dollars() * 1_000.0))
        .collect();
    let mut latencies: Vec<f64> = asked.iter().map(|judged| judged.latency_ms).collect();
    latencies.sort_unstable_by(f64::total_cmp);
    let of = |of: &dyn Fn(&qd_judge::Judgement) -> f64| -> Stat {
        mean(&asked.iter().map(|judged| of(&judged.judgement)).collect::<Vec<_>>(), None).into()
    };
    Effort {
        unpriced: asked.len() - priced.len(),
        usd_per_1000: (!priced.is_empty()).then(|| mean(&priced, None).into()),
        latency_p50_ms: Stat::quantile(&latencies, 0.5),
        latency_p95_ms: Stat::quantile(&latencies, 0.95),
        calls: of(&|judgement| f64::from(judgement.calls)),
        input_tokens: of(&|judgement| judgement.usage.input_tokens as f64),
        output_tokens: of(&|judgement| judgement.usage.output_tokens as f64),
    }
}

fn sentence(name: &str, accuracy: &Accuracy, items: usize) -> String {
    let (Some(_), Some(most)) = (accuracy.all.value, &accuracy.most_common) else {
        return format!("{name} was compared with people on {items} items");
    };
    let verdict = match (accuracy.gain.low, accuracy.gain.high) {
        (Some(low), _) if low > 0.0 => "it is right more often than that",
        (_, Some(high)) if high < 0.0 => "it is right less often than that",
        _ => "the two are not told apart",
    };
    format!(
        "{name} says what people say on {} of {items} items; who always says \"{most}\" does on {}: {verdict}",
        accuracy.all.in_points(),
        accuracy.base_rate.in_points()
    )
}

impl Card {
    /// Whether the judge told anything.
    pub fn has_told(&self) -> bool {
        self.outcomes.get("told").and_then(|told| told.value).is_some_and(|share| share > 0.0)
    }
}

/// What people and a judge said of an item, as numbers of the judge's scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The row's place in the dataset.
    pub item: u64,
    /// What people said.
    pub people: f64,
    /// What the judge said.
    pub judge: f64,
}

/// Of the items that the judge told.
pub(crate) fn paired(judge: &Judge, rows: &[JudgementRow]) -> Vec<Pair> {
    let pair = |case: &Case<'_>| {
        Some(Pair { item: case.row.item, people: case.truth.value?, judge: case.said.as_ref()?.value? })
    };
    Cases::new(judge, rows).cases.iter().filter_map(pair).collect()
}
