//! `quarterdeck doctor`: is this installation sound, and if not, what to do?

use std::io::Write as _;
use std::path::Path;

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

/// Prints what was found.
///
/// # Errors
/// [`Error::Failed`] when a check failed.
pub async fn run(context: &Context) -> Result<(), Error> {
    let mut findings = vec![configuration(context), writable(context.data()), secrecy(context.data())];
    findings.extend(server(context).await);
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
async fn server(context: &Context) -> Vec<Finding> {
    let door = match Door::open(context).await {
        Ok(door) => door,
        Err(error) => return vec![Finding::new("server", State::Failed, error.to_string())],
    };
    let findings = match door.get("/api/v1/status").await {
        Ok(status) => vec![reached(context, &door), versions(&status), models(&door).await],
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

async fn models(door: &Door) -> Finding {
    match super::model::installed(door).await {
        Ok(names) if names.is_empty() => {
            Finding::new("models", State::Warning, "none is installed; `quarterdeck model pull NAME` fetches one")
        }
        Ok(names) => Finding::new("models", State::Ok, names.join(", ")),
        Err(error) => Finding::new("models", State::Failed, error.to_string()),
    }
}
