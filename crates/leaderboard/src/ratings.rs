//! Who is stronger, by who was preferred to whom? A dataset of comparisons as a board with ratings.

use std::collections::BTreeMap;

use qd_base::{ArtifactName, ProjectId};
use qd_catalog::VersionRef;
use qd_eval::bias::Preference;
use qd_eval::bradley_terry::{self, MOST_MODELS, Match, RIDGE, Strengths};
use qd_eval::elo::{self, STEP, Shuffled};
use qd_eval::interval::{Interval, Sampling};
use qd_eval::rank_range::RankRange;
use serde::Serialize;

use crate::{Error, Leaderboards, Result};

/// Comparisons of one board at most.
pub const MOST_COMPARISONS: u64 = 1_000_000;
/// Orders in which comparisons are played again for Elo's ratings.
const ORDERS: usize = 1_000;

/// Which dataset is read, and what its columns are called.
#[derive(Debug, Clone)]
pub struct Comparisons {
    /// The dataset.
    pub dataset: ArtifactName,
    /// Which version of it.
    pub which: VersionRef,
    /// The column with the first model's name.
    pub first: String,
    /// The column with the second's.
    pub second: String,
    /// The column that says who was preferred.
    pub winner: String,
}

/// Models by their strength.
#[derive(Debug, Clone, Serialize)]
pub struct Ratings {
    /// The dataset's version: `arena@3`.
    pub dataset: String,
    /// The strongest first.
    pub models: Vec<Rated>,
    /// Comparisons that count.
    pub comparisons: usize,
    /// Rows without a model or a winner, which do not.
    pub left_out: usize,
    /// The share of ties between models that are alike; none when nothing was tied.
    pub ties: Option<f64>,
    /// Who is ahead, as far as that is sure, in a sentence.
    pub sentence: String,
}

/// A model with its ratings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rated {
    /// Its name.
    pub model: String,
    /// Bradley and Terry's strength on Elo's scale: 400 points are odds of ten to one, the mean of all is 1,000.
    pub rating: f64,
    /// Where it lies with 95 %, held against the mean of all.
    pub interval: Interval,
    /// The places that it may take; those of all models hold together with 95 %.
    pub ranks: RankRange,
    /// Elo's rating, the median over orders: it follows who was beaten when, and is told for comparison with other boards.
    pub elo: f64,
    /// Where that lies with 95 %.
    pub elo_interval: Option<Interval>,
    /// Comparisons that it won.
    pub wins: usize,
    /// Comparisons that it lost.
    pub losses: usize,
    /// Those without a winner.
    pub ties: usize,
    /// Models of one group are held against each other by comparisons, those of two are not: their distance is made up.
    pub group: usize,
}

impl Leaderboards {
    /// Rates the models of a dataset of comparisons.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no such dataset or column, [`Error::Definition`] for a winner that nobody understands, and too many
    /// rows or models.
    pub async fn ratings(&self, project: ProjectId, wanted: &Comparisons) -> Result<Ratings> {
        let _place = self.desk.place().await;
        let dataset = self.datasets.open(project, &wanted.dataset, &wanted.which).await?;
        if dataset.len() > MOST_COMPARISONS {
            let why = format!("it has {} rows, {MOST_COMPARISONS} are allowed", dataset.len());
            return Err(Error::definition("dataset", why));
        }
        let name = format!("{}@{}", dataset.info().name, dataset.info().number);
        let [first, second, winner] = [
            dataset.texts_of(&wanted.first).await?,
            dataset.texts_of(&wanted.second).await?,
            dataset.texts_of(&wanted.winner).await?,
        ];
        let work = move || rated(name, &Read::new(&first, &second, &winner)?);
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { doing: "rating models" })?
    }
}

/// Comparisons that were understood.
struct Read<'r> {
    /// Models in the order of their names.
    models: Vec<&'r str>,
    matches: Vec<Match>,
    left_out: usize,
}

type Texts = [Option<String>];

impl<'r> Read<'r> {
    fn new(first: &'r Texts, second: &'r Texts, winner: &Texts) -> Result<Self> {
        let rows = || {
            let rows = first.iter().zip(second).zip(winner);
            rows.map(|((a, b), winner)| Some((a.as_deref()?, b.as_deref()?, winner.as_deref()?)))
        };
        let mut places: BTreeMap<&str, usize> = rows().flatten().flat_map(|(a, b, _)| [(a, 0), (b, 0)]).collect();
        if places.len() > MOST_MODELS {
            let why = format!("there are {} models, {MOST_MODELS} are allowed", places.len());
            return Err(Error::definition("model_a", why));
        }
        places.values_mut().enumerate().for_each(|(place, of)| *of = place);
        let mut found = Self { models: places.keys().copied().collect(), matches: Vec::new(), left_out: 0 };
        for (row, compared) in rows().enumerate() {
            let Some((a, b, winner)) = compared else {
                found.left_out += 1;
                continue;
            };
            let wrong = |field: &str, why: String| Error::definition(field, format!("row {row}: {why}"));
            if a == b {
                return Err(wrong("model_b", format!("{a:?} is held against itself")));
            }
            let preferred = preferred(winner, a, b).ok_or_else(|| {
                wrong("winner", format!("{winner:?} is neither model_a, model_b or tie, nor one of the two models"))
            })?;
            found.matches.push(Match { first: places[a], second: places[b], preferred });
        }
        match found.matches.is_empty() {
            true => Err(Error::definition("winner", "no row has two models and a winner")),
            false => Ok(found),
        }
    }

    /// How often a model won, lost and tied.
    fn record(&self, model: usize) -> [usize; 3] {
        let mut record = [0; 3];
        for played in &self.matches {
            let won = match played.preferred {
                Preference::First => Some(played.first),
                Preference::Second => Some(played.second),
                Preference::Tie => None,
            };
            if played.first == model || played.second == model {
                record[won.map_or(2, |won| usize::from(won != model))] += 1;
            }
        }
        record
    }
}

/// Who was preferred: a model's own name before all, then the words of Chatbot Arena's data and of pairs that people judge here.
fn preferred(winner: &str, a: &str, b: &str) -> Option<Preference> {
    match winner {
        _ if winner == a => return Some(Preference::First),
        _ if winner == b => return Some(Preference::Second),
        _ => {}
    }
    match winner.trim().to_ascii_lowercase().as_str() {
        "model_a" | "a" | "first" => Some(Preference::First),
        "model_b" | "b" | "second" => Some(Preference::Second),
        "tie" | "tie (bothbad)" | "both" | "neither" | "both_bad" => Some(Preference::Tie),
        _ => None,
    }
}

fn rated(dataset: String, read: &Read<'_>) -> Result<Ratings> {
    let n = read.models.len();
    let strengths = bradley_terry::fit(n, &read.matches, RIDGE)?;
    let sampling = Sampling { resamples: ORDERS, ..Sampling::default() };
    let shuffled = elo::shuffled(n, &read.matches, STEP, sampling)?;
    let one = |place: usize| one(read, &strengths, &shuffled, place);
    let mut models: Vec<Rated> = (0..n).map(one).collect();
    models.sort_by(|a, b| b.rating.total_cmp(&a.rating));
    Ok(Ratings {
        dataset,
        comparisons: read.matches.len(),
        left_out: read.left_out,
        ties: strengths.tie.map(|tie| tie / (2.0 + tie)),
        sentence: sentence(&models),
        models,
    })
}

fn one(read: &Read<'_>, strengths: &Strengths, shuffled: &[Shuffled], place: usize) -> Rated {
    let strength = &strengths.models[place];
    let [wins, losses, ties] = read.record(place);
    Rated {
        model: read.models[place].to_owned(),
        rating: strength.elo(),
        interval: strength.elo_interval(),
        ranks: strength.rank,
        elo: shuffled[place].rating,
        elo_interval: shuffled[place].interval,
        wins,
        losses,
        ties,
        group: strength.group,
    }
}

fn sentence(models: &[Rated]) -> String {
    let first: Vec<&str> =
        models.iter().filter(|rated| rated.ranks.best == 1).map(|rated| rated.model.as_str()).collect();
    let told = match first.as_slice() {
        [one] => format!("{one} is preferred to every other model"),
        several if several.len() == models.len() => {
            format!("no difference is shown between these {} models", models.len())
        }
        several => format!("there is no best one; these are not told apart from the best: {}", several.join(", ")),
    };
    match models.iter().any(|rated| rated.group != 0) {
        true => format!(
            "{told}. Not all models are held against each other by these comparisons: of those with another group the distance is not known"
        ),
        false => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<Option<String>> {
        values.iter().map(|text| Some((*text).to_owned()).filter(|text| !text.is_empty())).collect()
    }

    fn read(rows: &[[&str; 3]]) -> Result<Ratings> {
        let column = |at: usize| texts(&rows.iter().map(|row| row[at]).collect::<Vec<_>>());
        let (first, second, winner) = (column(0), column(1), column(2));
        rated("d@1".to_owned(), &Read::new(&first, &second, &winner)?)
    }

    /// Of 40 comparisons x won 30: 400·log₁₀ 3 = 190.85 points, half of it on each side of 1,000.
    #[test]
    fn three_of_four_are_191_points() {
        let rows: Vec<[&str; 3]> = (0..40)
            .map(|n| match n % 4 {
                0 => ["y", "x", "model_a"],
                1 => ["y", "x", "b"],
                2 => ["x", "y", "first"],
                _ => ["x", "y", "x"],
            })
            .collect();
        let found = read(&rows).unwrap();
        let (x, y) = (&found.models[0], &found.models[1]);
        assert_eq!((x.model.as_str(), x.wins, x.losses, y.wins), ("x", 30, 10, 10));
        assert!((x.rating - 1_095.42).abs() < 0.5 && (y.rating - 904.58).abs() < 0.5, "{x:?}");
        assert!(x.interval.low > 1_000.0 && x.interval.high < 1_200.0, "{x:?}");
        assert_eq!((x.ranks, y.ranks), (RankRange { best: 1, worst: 1 }, RankRange { best: 2, worst: 2 }));
        assert!(x.elo > y.elo && x.elo_interval.is_some());
        assert_eq!((found.ties, found.comparisons), (None, 40));
        assert!(found.sentence.starts_with("x is preferred"));
    }

    #[test]
    fn few_comparisons_show_nothing_and_strangers_are_told() {
        let found = read(&[["x", "y", "a"], ["y", "x", "tie"], ["x", "", "a"], ["x", "y", ""]]).unwrap();
        assert_eq!((found.comparisons, found.left_out), (2, 2));
        let ghost = read(&[["x", "y", "a"], ["x", "ghost", ""]]).unwrap();
        assert_eq!(ghost.models.len(), 2, "who never played has no place");
        assert!(found.sentence.contains("no difference"), "{}", found.sentence);
        let apart = read(&[["x", "y", "tie"], ["v", "w", "tie"]]).unwrap();
        assert!(apart.sentence.contains("the distance is not known"), "{}", apart.sentence);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let why = |rows: &[[&str; 3]]| read(rows).unwrap_err().to_string();
        assert!(why(&[["x", "y", "a"], ["x", "y", "better"]]).contains("row 1: \"better\""));
        assert!(why(&[["x", "x", "a"]]).contains("against itself"));
        assert!(why(&[["x", "y", ""]]).contains("no row"));
        // A model may be called b.
        assert_eq!(read(&[["b", "a", "b"]]).unwrap().models[0].model, "b");
    }
}
