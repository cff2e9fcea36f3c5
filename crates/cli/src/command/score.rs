//! `quarterdeck score`: what people and programs thought of answers.

use serde_json::{Value, json};

use crate::Error;
use crate::args::{NewScore, Score, ScoreFilter};
use crate::command::with_door;
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;

/// Most scores that the server gives at once.
const PAGE: usize = 1_000;

const SCORE: &[Column<'_>] = &[
    ("given", "time"),
    ("id", "id"),
    ("trace", "trace_id"),
    ("name", "name"),
    ("value", "value"),
    ("source", "source"),
    ("comment", "comment"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Score) -> Result<(), Error> {
    match verb {
        Score::Add(new) => with_door(context, async |door| add(context, door, new).await).await,
        Score::List(filter) => with_door(context, async |door| list(context, door, filter).await).await,
        Score::Remove { id } => {
            let path = format!("/api/v1/scores/{}", segment(&id));
            with_door(context, async |door| door.delete(&path).await.map(drop)).await
        }
    }
}

async fn add(context: &Context, door: &Door, new: NewScore) -> Result<(), Error> {
    let NewScore { trace, name, value, span, comment } = new;
    let value = match value.as_str() {
        "true" | "yes" => json!(true),
        "false" | "no" => json!(false),
        text => text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number)),
    };
    let score = json!({
        "trace_id": trace, "span_id": span, "name": name, "value": value, "comment": comment, "source": "human",
    });
    let mut given = door.post("/api/v1/scores", &json!({"scores": [score]})).await?;
    context.printer.object(&given["data"][0].take())
}

async fn list(context: &Context, door: &Door, filter: ScoreFilter) -> Result<(), Error> {
    let mut rows: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    while rows.len() < filter.limit {
        let limit = (filter.limit - rows.len()).min(PAGE).to_string();
        let parameters = [
            ("limit", Some(limit.as_str())),
            ("cursor", cursor.as_deref()),
            ("trace", filter.trace.as_deref()),
            ("name", filter.name.as_deref()),
        ];
        let mut page = door.get(&format!("/api/v1/scores{}", query(&parameters))).await?;
        if let Value::Array(data) = page["data"].take() {
            rows.extend(data);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    context.printer.rows(&rows, SCORE)
}
