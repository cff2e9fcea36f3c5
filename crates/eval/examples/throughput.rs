//! How fast are the metrics? For `bench/metrics`: `throughput FILE METRIC THREADS SECONDS`.
//!
//! FILE is a JSON list of `[answer, reference…]`. The pairs are scored again and again for so many seconds, each time by all
//! threads, a part each; prints the seconds of the median round and the score of all pairs together as one JSON object.

use std::error::Error;
use std::time::{Duration, Instant};

use qd_eval::metric::bleu::BleuStatistics;
use qd_eval::metric::chrf::ChrfStatistics;
use qd_eval::metric::ter::TerStatistics;
use qd_eval::metric::{Bleu, Chrf, Rouge, Ter};

type Pairs = [Vec<String>];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, metric, threads, seconds] = arguments.as_slice() else {
        return Err("usage: throughput FILE METRIC THREADS SECONDS".into());
    };
    let pairs: Vec<Vec<String>> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let (threads, limit) = (threads.parse::<usize>()?, Duration::from_secs_f64(seconds.parse()?));
    let begin = Instant::now();
    let (mut rounds, mut score) = (Vec::new(), 0.0);
    while rounds.len() < 3 || begin.elapsed() < limit {
        let start = Instant::now();
        score = round(metric, &pairs, threads)?;
        rounds.push(start.elapsed().as_secs_f64());
    }
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    println!("{}", serde_json::json!({"seconds": median, "rounds": rounds.len(), "score": score}));
    Ok(())
}

fn round(metric: &str, pairs: &Pairs, threads: usize) -> Result<f64, Box<dyn Error>> {
    match metric {
        "bleu" => {
            let parts = in_parts(pairs, threads, |sum: &mut BleuStatistics, pair| {
                *sum += &Bleu::default().statistics(&pair[0], &pair[1..])?;
                Ok(())
            });
            let mut all = BleuStatistics::default();
            parts?.iter().for_each(|part| all += part);
            Ok(Bleu::default().score(&all)?.score)
        }
        "chrf" | "chrf++" => {
            let chrf = if metric == "chrf" { Chrf::default() } else { Chrf::PLUS_PLUS };
            let parts = in_parts(pairs, threads, |sum: &mut ChrfStatistics, pair| {
                *sum += &chrf.statistics(&pair[0], &pair[1..])?;
                Ok(())
            });
            let mut all = ChrfStatistics::default();
            parts?.iter().for_each(|part| all += part);
            Ok(chrf.score(&all)?)
        }
        "ter" => {
            let parts = in_parts(pairs, threads, |sum: &mut TerStatistics, pair| {
                *sum += Ter::default().statistics(&pair[0], &pair[1..])?;
                Ok(())
            });
            let mut all = TerStatistics::default();
            parts?.into_iter().for_each(|part| all += part);
            Ok(Ter::default().score(all))
        }
        "rouge" | "rouge-stem" => {
            let rouge = Rouge { use_stemmer: metric == "rouge-stem", ..Rouge::default() };
            let parts = in_parts(pairs, threads, |sum: &mut f64, pair| {
                let scores = rouge.score(&pair[0], &pair[1])?;
                *sum += scores.rouge1.f1 + scores.rouge2.f1 + scores.rouge_l.f1 + scores.rouge_lsum.f1;
                Ok(())
            });
            Ok(parts?.iter().sum::<f64>() / pairs.len() as f64 / 4.0)
        }
        _ => Err(format!("there is no metric {metric:?}").into()),
    }
}

/// What each thread adds up over its part.
fn in_parts<T: Default + Send>(
    pairs: &Pairs,
    threads: usize,
    add: impl Fn(&mut T, &[String]) -> qd_eval::Result<()> + Sync,
) -> qd_eval::Result<Vec<T>> {
    let of_part = |part: &Pairs| {
        let mut sum = T::default();
        part.iter().try_for_each(|pair| add(&mut sum, pair)).map(|()| sum)
    };
    std::thread::scope(|scope| {
        let parts = pairs.chunks(pairs.len().div_ceil(threads)).map(|part| scope.spawn(|| of_part(part)));
        let running: Vec<_> = parts.collect();
        running.into_iter().map(|thread| thread.join().expect("no metric panics")).collect()
    })
}
