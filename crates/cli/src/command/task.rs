//! `quarterdeck task`: benchmark tasks, and what they ask.

use serde_json::Value;

use crate::args::Task;
use crate::command::{rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::{Error, output};

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Task) -> Result<(), Error> {
    with_door(context, async |door| answer(context, door, verb).await).await
}

async fn answer(context: &Context, door: &Door, verb: Task) -> Result<(), Error> {
    match verb {
        Task::List => {
            let columns = &[("task", "name"), ("group", "is_group"), ("tags", "tags")];
            context.printer.rows(&rows_of(door.get("/api/v1/tasks").await?), columns)
        }
        Task::Show { task, document: None, .. } => {
            let found = rows_of(door.get(&format!("/api/v1/tasks/{}", segment(&task))).await?);
            show(context, &found)
        }
        Task::Show { task, document: Some(document), fewshot, chat } => {
            let fewshot = fewshot.map(|count| count.to_string());
            let parameters = [("num_fewshot", fewshot.as_deref()), ("chat", chat.map(|chat| chat.word()))];
            let path = format!("/api/v1/tasks/{}/documents/{document}{}", segment(&task), query(&parameters));
            let found = door.get(&path).await?;
            if !context.printer.is_for_people() {
                return context.printer.object(&found);
            }
            found["asks"].as_array().into_iter().flatten().try_for_each(told)
        }
    }
}

fn show(context: &Context, found: &[Value]) -> Result<(), Error> {
    let mut rows = found.to_vec();
    if context.printer.is_for_people() {
        for row in &mut rows {
            let datasets = row["needs"].as_array().into_iter().flatten();
            let names: Vec<&str> = datasets.filter_map(|need| need["dataset"].as_str()).collect();
            row["datasets"] = names.join(", ").into();
            let metrics = row["metrics"].as_array().into_iter().flatten().filter_map(Value::as_str);
            row["metrics"] = metrics.collect::<Vec<_>>().join(" ").into();
        }
    }
    let columns = &[
        ("task", "name"),
        ("version", "version"),
        ("output type", "output_type"),
        ("examples", "num_fewshot"),
        ("metrics", "metrics"),
        ("datasets", "datasets"),
    ];
    context.printer.rows(&rows, columns)
}

/// One request, as the model reads it.
fn told(ask: &Value) -> Result<(), Error> {
    let prompt = |prompt: &Value| match prompt["text"].as_str() {
        Some(text) => text.to_owned(),
        None => serde_json::to_string_pretty(&prompt["chat"]["messages"]).unwrap_or_default(),
    };
    match ask["kind"].as_str() {
        Some("choices") => {
            output::line(&format!("── context\n{}", prompt(&ask["context"])))?;
            for continuation in ask["continuations"].as_array().into_iter().flatten() {
                output::line(&format!("── measured after it: {continuation}"))?;
            }
            Ok(())
        }
        Some("generate") => output::line(&format!(
            "── prompt\n{}\n── then {} texts, until {}",
            prompt(&ask["prompt"]),
            ask["repeats"],
            ask["generation"]["until"]
        )),
        _ => output::line(&format!("── measured as a whole\n{}", ask["text"].as_str().unwrap_or_default())),
    }
}
