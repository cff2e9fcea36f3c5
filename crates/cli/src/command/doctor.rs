//! `quarterdeck doctor`: is this installation sound, and if not, what to do?

use std::io::Write as _;
use std::path::Path;

use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::context::Context;
use crate::door::Door;
use crate::lock;
use crate::output::Column;

const COLUMNS: &[Column<'_>] = &[("check", "check"), ("state", "state"), ("finding", "finding")];

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    /// Works, and still somebody should look.
    Warning,
    Failed,
}

struct Finding {
    check: &'static str,
    state: State,
    finding: String,
}

impl Finding {
    fn new(check: &'static str, state: State, finding: impl Into<String>) -> Self {
        Self { check, state, finding: finding.into() }
    }

    fn row(&self) -> Value {
        let state = match self.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Failed => "failed",
        };
        json!({"check": self.check, "state": state, "finding": self.finding})
    }
}

/// Prints what was found; with `verify_lake` after every file of the lake was read.
///
/// # Errors
/// [`Error::Failed`] when a check failed.
pub async fn run(context: &Context, verify_lake: bool) -> Result<(), Error> {
    let mut findings = vec![configuration(context), writable(context.data()), secrecy(context.data())];
    findings.extend(server(context, verify_lake).await);
    let rows: Vec<Value> = findings.iter().map(Finding::row).collect();
    context.printer.rows(&rows, COLUMNS)?;
    match findings.iter().filter(|finding| finding.state == State::Failed).count() {
        0 => Ok(()),
        failed => Err(Error::Failed { message: format!("{failed} of {} checks failed", findings.len()) }),
    }
}

/// That the file and the environment name only what exists; an unknown key in the file has ended us before.
fn configuration(context: &Context) -> Finding {
    match context.resolved.unknown_variables.as_slice() {
        [] => Finding::new("configuration", State::Ok, "every setting is known"),
        unknown => {
            let names = unknown.join(", ");
            Finding::new("configuration", State::Warning, format!("{names} in the environment names no setting"))
        }
    }
}

fn writable(dir: &Path) -> Finding {
    let probe = || {
        std::fs::create_dir_all(dir)?;
        let path = dir.join(".doctor");
        let mut file = std::fs::File::create(&path)?;
        file.write_all(b"?")?;
        file.sync_all()?;
        std::fs::remove_file(path)
    };
    match probe() {
        Ok(()) => Finding::new("data folder", State::Ok, format!("{} can be written and synced", dir.display())),
        Err(cause) => Finding::new("data folder", State::Failed, format!("{}: {cause}", dir.display())),
    }
}

/// That files with secrets in them are readable by their owner only.
fn secrecy(dir: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt as _;
    let open: Vec<_> = ["master.key", "local.token"]
        .into_iter()
        .filter(|name| std::fs::metadata(dir.join(name)).is_ok_and(|file| file.permissions().mode() & 0o077 != 0))
        .collect();
    match open.as_slice() {
        [] => Finding::new("secrets", State::Ok, "files with secrets are private"),
        open => {
            let names = open.join(", ");
            Finding::new("secrets", State::Failed, format!("others can read {names}; `chmod 600` them"))
        }
    }
}

/// That a server answers, or that the folder can be opened without one.
async fn server(context: &Context, verify_lake: bool) -> Vec<Finding> {
    let door = match Door::open(context).await {
        Ok(door) => door,
        Err(error) => return vec![Finding::new("server", State::Failed, error.to_string())],
    };
    // First, so that what it finds is among the alarms.
    let verified = if verify_lake { verified(context, &door).await } else { Vec::new() };
    let findings = match door.get("/api/v1/status").await {
        Ok(status) => {
            let (lake, recording, telemetry) = (lake(&status), recording(&status), telemetry(&status));
            let known = [reached(context, &door), versions(&status), models(&door).await, lake, recording, telemetry];
            known.into_iter().chain(verified).collect()
        }
        Err(error) => vec![Finding::new("server", State::Failed, format!("{}: {error}", door.place()))],
    };
    door.close().await;
    findings
}

fn reached(context: &Context, door: &Door) -> Finding {
    let running = context.server.is_some() || lock::running(context.data()).is_some();
    match running {
        true => Finding::new("server", State::Ok, format!("answers at {}", door.place())),
        false => Finding::new("server", State::Ok, "none is running; commands open the data folder themselves"),
    }
}

fn versions(status: &Value) -> Finding {
    let (ours, theirs) = (env!("CARGO_PKG_VERSION"), status["version"].as_str().unwrap_or("unknown"));
    match ours == theirs {
        true => Finding::new("version", State::Ok, ours),
        false => Finding::new("version", State::Warning, format!("this command is {ours}, the server {theirs}")),
    }
}

/// That the lake works, and that all of its rows are served.
fn lake(status: &Value) -> Finding {
    let lake = &status["lake"];
    let say = |alarm: &Value| {
        format!("{}: {}", alarm["subject"].as_str().unwrap_or("?"), alarm["message"].as_str().unwrap_or("?"))
    };
    if lake["failing"].is_object() {
        return Finding::new("lake", State::Failed, format!("it fails at present: {}", say(&lake["failing"])));
    }
    let alarms = lake["alarms"].as_array().map_or(&[][..], Vec::as_slice);
    match alarms.last() {
        None => Finding::new("lake", State::Ok, "no alarms"),
        Some(last) => {
            let finding = format!("{} alarms, the last about {}", alarms.len(), say(last));
            Finding::new("lake", State::Warning, finding)
        }
    }
}

/// That no call went unrecorded since the server started.
fn recording(status: &Value) -> Finding {
    let lost = [
        ("spans were dropped, since they came faster than the disk takes them", &status["recorder"]["dropped"]),
        ("spans could not be written", &status["recorder"]["failed"]),
        ("calls left no trace, since too many were waiting", &status["unrecorded_calls"]),
    ];
    let lost: Vec<String> = lost
        .into_iter()
        .filter_map(|(what, count)| count.as_u64().filter(|count| *count > 0).map(|count| format!("{count} {what}")))
        .collect();
    match lost.as_slice() {
        [] => Finding::new("recording", State::Ok, "every call was recorded"),
        lost => Finding::new("recording", State::Warning, format!("since the server started {}", lost.join("; "))),
    }
}

/// That what others sent was taken.
fn telemetry(status: &Value) -> Finding {
    let count = |field: &str| status["telemetry"][field].as_u64().unwrap_or(0);
    let (accepted, rejected, refused) = (count("accepted"), count("rejected"), count("refused_requests"));
    let taken = format!("{accepted} spans, log records and data points taken since the server started");
    match (rejected, refused) {
        (0, 0) => Finding::new("OpenTelemetry", State::Ok, taken),
        _ => {
            let finding = format!("{taken}; {rejected} rejected for good, {refused} requests told to come again");
            Finding::new("OpenTelemetry", State::Warning, finding)
        }
    }
}

/// That every file of the lake and of datasets is what was written.
async fn verified(context: &Context, door: &Door) -> Vec<Finding> {
    let checked = async {
        let begun = door.json(Method::POST, "/api/v1/lake/verify", None).await?;
        let id = begun["id"].as_str().unwrap_or_default();
        super::job::follow(door, id, "checking the lake", context.progress).await
    };
    match checked.await {
        Ok(job) => vec![of_lake(&job["result"]), of_datasets(&job["result"])],
        Err(error) => vec![Finding::new("files of the lake", State::Failed, error.to_string())],
    }
}

fn of_lake(result: &Value) -> Finding {
    let count = |field: &str| result[field].as_u64().unwrap_or(0);
    let (read, damaged) = (count("segments"), count("damaged"));
    let state = if damaged == 0 { State::Ok } else { State::Failed };
    Finding::new("files of the lake", state, format!("{read} read, {damaged} damaged and set aside"))
}

fn of_datasets(result: &Value) -> Finding {
    let read = result["row_files"].as_u64().unwrap_or(0);
    let damaged = result["damaged_row_files"].as_array().map_or(&[][..], Vec::as_slice);
    let told: Vec<_> = damaged.iter().filter_map(Value::as_str).collect();
    match told.as_slice() {
        [] => Finding::new("files of datasets", State::Ok, format!("{read} read, 0 damaged")),
        told => {
            let (count, told) = (told.len(), told.join("; "));
            Finding::new("files of datasets", State::Failed, format!("{read} read, {count} damaged: {told}"))
        }
    }
}

async fn models(door: &Door) -> Finding {
    match super::model::installed(door).await {
        Ok(names) if names.is_empty() => {
            Finding::new("models", State::Warning, "none is installed; `quarterdeck model pull NAME` fetches one")
        }
        Ok(names) => Finding::new("models", State::Ok, names.join(", ")),
        Err(error) => Finding::new("models", State::Failed, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(finding: &Finding, state: State, words: &[&str]) {
        assert_eq!(finding.state, state, "{}", finding.finding);
        assert!(words.iter().all(|word| finding.finding.contains(word)), "{} should say {words:?}", finding.finding);
    }

    #[test]
    fn alarms_of_the_lake_are_told() {
        let alarm = json!({"at": "2026-01-31T00:00:00Z", "subject": "segment spans/x.parquet", "message": "torn"});
        check(&lake(&json!({"lake": {"alarms": [], "failing": null}})), State::Ok, &[]);
        let warned = lake(&json!({"lake": {"alarms": [alarm, alarm], "failing": null}}));
        check(&warned, State::Warning, &["2 alarms", "spans/x.parquet", "torn"]);
        let failing = json!({"subject": "commit", "message": "the disk is full"});
        check(
            &lake(&json!({"lake": {"alarms": [alarm], "failing": failing}})),
            State::Failed,
            &["commit", "disk is full"],
        );
    }

    #[test]
    fn damaged_files_of_datasets_are_told() {
        check(&of_datasets(&json!({"row_files": 3, "damaged_row_files": []})), State::Ok, &["3 read", "0 damaged"]);
        let damaged = json!({"row_files": 3, "damaged_row_files": ["math@2 of project default: torn"]});
        check(&of_datasets(&damaged), State::Failed, &["1 damaged", "math@2", "torn"]);
    }

    #[test]
    fn telemetry_that_was_not_taken_is_told() {
        let status = |rejected: u64, refused: u64| json!({"telemetry": {"accepted": 7, "rejected": rejected, "refused_requests": refused}});
        check(&telemetry(&status(0, 0)), State::Ok, &["7 spans"]);
        check(&telemetry(&status(2, 3)), State::Warning, &["2 rejected", "3 requests"]);
    }

    #[test]
    fn calls_that_were_not_recorded_are_told() {
        let status = |dropped: u64, failed: u64, unrecorded: u64| json!({"recorder": {"dropped": dropped, "failed": failed}, "unrecorded_calls": unrecorded});
        check(&recording(&status(0, 0, 0)), State::Ok, &[]);
        check(&recording(&status(3, 0, 2)), State::Warning, &["3 spans were dropped", "2 calls"]);
        check(&recording(&status(0, 1, 0)), State::Warning, &["1 spans could not be written"]);
    }
}
