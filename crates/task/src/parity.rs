//! Requests and numbers, compared with what lm-evaluation-harness makes of the same documents and answers
//! (`parity/tasks.py`).

use std::collections::BTreeMap;

use qd_base::Sha256Hex;
use serde_json::{Value, json};

use crate::metric::OutputType;
use crate::request::{Answer, Ask, DocumentRequests, Likelihood, Prompt};
use crate::{Chat, Document, Documents, Entry, GroupReport, Library, Report, Settings, Task, TaskConfig};

const TOLERANCE: f64 = 1e-12;

fn reference() -> Value {
    serde_json::from_str(include_str!("../../../parity/tasks.json")).unwrap()
}

/// The shipped files below `tasks/`, and those that the script wrote beside them.
fn library(reference: &Value) -> Library {
    let shipped = crate::shipped::FILES.iter();
    let library = shipped.fold(Library::new(), |library, (path, text)| library.with(&format!("tasks/{path}"), text));
    let files = reference["files"].as_object().unwrap().iter();
    files.fold(library, |library, (path, text)| library.with(path, text.as_str().unwrap()))
}

fn documents(reference: &Value, task: &str) -> Documents {
    let splits = reference["sources"][task].as_object().unwrap().iter();
    splits.fold(Documents::new(), |documents, (split, name)| {
        let rows = reference["documents"][name.as_str().unwrap()].as_array().unwrap();
        let rows: Vec<Document> = rows.iter().map(|row| row.as_object().unwrap().clone()).collect();
        documents.with(split, rows)
    })
}

fn task(reference: &Value, config: TaskConfig, settings: Settings) -> Task {
    let documents = documents(reference, &config.name);
    Task::new(config, &documents, settings).unwrap()
}

fn config(library: &Library, name: &str) -> TaskConfig {
    library.load(name).unwrap()[0].tasks()[0].clone()
}

/// A prompt as the script's chat template writes it.
fn prompt(prompt: &Prompt) -> Value {
    match prompt {
        Prompt::Text(text) => json!(text),
        Prompt::Chat { messages, goes_on } => {
            let messages: Vec<String> = messages
                .iter()
                .map(|m| {
                    let content = serde_json::to_value(&m.content).unwrap();
                    format!("{{\"role\": {}, \"content\": {content}}}", serde_json::to_value(&m.role).unwrap())
                })
                .collect();
            json!(format!("[[{}], {}]", messages.join(", "), !goes_on))
        }
    }
}

/// The requests of a document in the script's form.
fn requests(of: &DocumentRequests) -> Value {
    let mut all = Vec::new();
    for ask in &of.asks {
        match ask {
            Ask::Choices { context, continuations } => {
                all.extend(continuations.iter().map(|continuation| json!([prompt(context), continuation])));
            }
            Ask::Rolling { text } => all.push(json!([text])),
            Ask::Generate { prompt: before, generation, .. } => {
                all.push(json!([prompt(before), generation.until, generation.max_tokens, generation.temperature]));
            }
        }
    }
    Value::Array(all)
}

/// The script's answers to a document's requests; those of the harness come one for each continuation.
fn answers(of: &DocumentRequests, told: &Value) -> Vec<Answer> {
    let mut told = told.as_array().unwrap().iter().map(|responses| responses.as_array().unwrap());
    let likelihood = |value: &Value| Likelihood {
        sum: value[0].as_f64().or(value.as_f64()).unwrap(),
        is_greedy: value[1].as_bool().unwrap_or_default(),
        tokens: 1,
    };
    let answer = |ask: &Ask| match ask {
        Ask::Choices { continuations, .. } => {
            Answer::Choices(continuations.iter().map(|_| likelihood(&told.next().unwrap()[0])).collect())
        }
        Ask::Rolling { .. } => Answer::Rolling(likelihood(&told.next().unwrap()[0])),
        Ask::Generate { .. } => {
            Answer::Texts(told.next().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect())
        }
    };
    of.asks.iter().map(answer).collect()
}

#[track_caller]
fn check_requests(name: &str, made: &[DocumentRequests], told: &Value) {
    let hashes = told["requests"].as_array().unwrap();
    assert_eq!(made.len(), hashes.len(), "{name}: documents");
    for (index, whole) in told["whole_requests"].as_array().unwrap().iter().enumerate() {
        assert_eq!(&requests(&made[index]), whole, "{name}: document {index}");
    }
    for (one, hash) in made.iter().zip(hashes) {
        let digest = Sha256Hex::of(requests(one).to_string().as_bytes()).to_string();
        assert_eq!(digest[..16], *hash.as_str().unwrap(), "{name}: document {}", one.document);
    }
}

#[track_caller]
fn check_number(name: &str, found: Option<f64>, told: &Value) {
    match (found, told.as_f64()) {
        (Some(found), Some(told)) => {
            let near = (found - told).abs() <= TOLERANCE * told.abs().max(1.0) || found.is_nan() && told.is_nan();
            assert!(near, "{name}: {found} instead of {told}");
        }
        (None, None) => assert_eq!(told, "N/A", "{name}"),
        (found, _) => panic!("{name}: {found:?} instead of {told}"),
    }
}

#[track_caller]
fn check_numbers(name: &str, aggregates: &[crate::Aggregate], told: &Value) {
    let told = told.as_object().unwrap();
    assert_eq!(2 * aggregates.len(), told.len(), "{name}: {told:?}");
    for aggregate in aggregates {
        let (metric, filter) = (&aggregate.metric, &aggregate.filter);
        let place = format!("{name} {metric},{filter}");
        check_number(&place, Some(aggregate.value), &told[&format!("{metric},{filter}")]);
        check_number(&place, aggregate.stderr, &told[&format!("{metric}_stderr,{filter}")]);
    }
}

#[track_caller]
fn check_filtered(name: &str, report: &Report, told: &Value) {
    for (filter, told) in told.as_object().unwrap() {
        let found: Vec<&Value> =
            report.results.iter().filter(|result| result.filter == *filter).map(|result| &result.answer).collect();
        assert_eq!(json!(found), *told, "{name}: after {filter}");
    }
}

#[track_caller]
fn check(reference: &Value, config: TaskConfig, settings: Settings, told: &Value) -> Report {
    let name = config.name.clone();
    let task = task(reference, config, settings);
    let made = task.requests().unwrap();
    check_requests(&name, &made, told);
    let told_answers = told["answers"].as_array().unwrap();
    let answers: Vec<Vec<Answer>> = made.iter().zip(told_answers).map(|(one, told)| answers(one, told)).collect();
    let report = task.score(&answers).unwrap();
    if task.config().output == OutputType::GenerateUntil {
        check_filtered(&name, &report, &told["filtered"]);
    }
    check_numbers(&name, &report.aggregates, &told["numbers"]);
    report
}

#[test]
fn requests_and_numbers_are_those_of_the_harness() {
    let reference = reference();
    let library = library(&reference);
    let tasks = reference["tasks"].as_object().unwrap();
    assert!(tasks.len() >= 18);
    for (name, told) in tasks {
        let resamples = usize::try_from(reference["resamples"][name].as_u64().unwrap()).unwrap();
        check(&reference, config(&library, name), Settings { resamples, ..Settings::default() }, told);
    }
}

#[test]
fn chats_are_those_of_the_harness() {
    let reference = reference();
    let library = library(&reference);
    for (form, chat) in [("turns", Chat::Turns), ("one_turn", Chat::OneTurn)] {
        let tasks = reference["chat"][form].as_object().unwrap();
        assert!(tasks.len() >= 4);
        for (name, told) in tasks {
            let settings = Settings {
                num_fewshot: Some(2),
                seed: 99,
                limit: Some(3),
                system_instruction: Some("Be brief.".to_owned()),
                chat: Some(chat),
                resamples: 30,
            };
            check(&reference, config(&library, name), settings, told);
        }
    }
}

#[test]
fn groups_have_the_numbers_of_the_harness() {
    let reference = reference();
    let library = library(&reference);
    let entries = library.load("own_group").unwrap();
    let Entry::Group(group) = &entries[0] else { panic!("own_group is a group") };
    let mut reports = BTreeMap::new();
    for config in entries[0].tasks() {
        let name = config.name.clone();
        let made = task(&reference, config.clone(), Settings { resamples: 30, ..Settings::default() });
        let told = &reference["group_answers"][&name];
        let requests = made.requests().unwrap();
        let told = told.as_array().unwrap();
        let answers: Vec<Vec<Answer>> = requests.iter().zip(told).map(|(one, told)| answers(one, told)).collect();
        reports.insert(name, made.score(&answers).unwrap());
    }
    let report: GroupReport = group.aggregate(&reports);
    assert_eq!(report.documents, 32);
    check_numbers("own_group", &report.aggregates, &reference["group"]);
}
