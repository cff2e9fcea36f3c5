//! Models rated by comparisons, as a table.

use serde_json::Value;

use super::split;
use crate::args::LeaderboardRate;
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;
use crate::{Error, output};

/// Shows who is stronger.
pub async fn rate(context: &Context, door: &Door, wanted: &LeaderboardRate) -> Result<(), Error> {
    let (dataset, version) = split(&wanted.dataset);
    let parameters = query(&[
        ("version", version),
        ("model_a", Some(&wanted.model_a)),
        ("model_b", Some(&wanted.model_b)),
        ("winner", Some(&wanted.winner)),
    ]);
    let found = door.get(&format!("/api/v1/datasets/{}/ratings{parameters}", segment(dataset))).await?;
    if !context.printer.is_for_people() {
        return context.printer.object(&found);
    }
    let rows: Vec<Value> = found["data"].as_array().into_iter().flatten().cloned().map(shown).collect();
    let columns: &[Column<'_>] = &[
        ("rank", "rank"),
        ("model", "model"),
        ("rating", "shown"),
        ("elo", "told"),
        ("won", "wins"),
        ("lost", "losses"),
        ("tied", "ties"),
        ("group", "group"),
    ];
    context.printer.rows(&rows, columns)?;
    let sentence = found["sentence"].as_str().unwrap_or_default();
    let (comparisons, left_out) = (&found["comparisons"], &found["left_out"]);
    output::line(&format!("\n{comparisons} comparisons, {left_out} rows left out: {sentence}."))
}

fn shown(mut row: Value) -> Value {
    let number = |value: &Value| value.as_f64().map_or("?".to_owned(), |value| format!("{value:.0}"));
    let between = |value: &str, low: &str, high: &str| {
        format!("{} [{}, {}]", number(&row[value]), number(&row[low]), number(&row[high]))
    };
    let (rating, elo) = (between("rating", "low", "high"), between("elo", "elo_low", "elo_high"));
    row["rank"] = super::table::places(&row);
    (row["shown"], row["told"]) = (rating.into(), elo.into());
    row
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ratings_have_their_intervals() {
        let row = json!({
            "rating": 1095.42, "low": 1020.0, "high": 1170.6, "rank_best": 1, "rank_worst": 2, "elo": 1080.0, "elo_low": null,
        });
        let found = shown(row);
        assert_eq!((&found["shown"], &found["rank"]), (&json!("1095 [1020, 1171]"), &json!("1–2")));
        assert_eq!(found["told"], "1080 [?, ?]");
    }
}
