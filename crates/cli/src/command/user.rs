//! `quarterdeck user`: end users, listed and erased.

use std::io::{BufRead as _, IsTerminal as _};

use qd_base::Picodollars;

use crate::Error;
use crate::args::User;
use crate::command::{job, pages, with_door};
use crate::context::Context;
use crate::door::{Door, segment};
use crate::output::Column;

const USER: &[Column<'_>] = &[
    ("user", "user_id"),
    ("last active", "last_time"),
    ("sessions", "sessions"),
    ("calls", "calls"),
    ("errors", "errors"),
    ("in", "input_tokens"),
    ("out", "output_tokens"),
    ("cost", "cost"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: User) -> Result<(), Error> {
    match verb {
        User::List { limit } => with_door(context, async |door| list(context, door, limit).await).await,
        User::Erase { id, yes, detach } => {
            confirm(context, &id, yes)?;
            with_door(context, async |door| erase(context, door, &id, detach).await).await
        }
    }
}

async fn list(context: &Context, door: &Door, limit: usize) -> Result<(), Error> {
    let (mut users, more) = pages(door, "/api/v1/users", &[], limit).await?;
    for user in &mut users {
        user["cost"] = user["cost_picodollars"].as_i64().map(|cost| Picodollars::new(cost).to_string()).into();
    }
    context.printer.rows(&users, USER)?;
    if more {
        eprintln!("There are more users; --limit asks for them.");
    }
    Ok(())
}

/// Asks whoever sits at the terminal; a script has to say `--yes`.
fn confirm(context: &Context, id: &str, yes: bool) -> Result<(), Error> {
    let project = context.project.as_deref().unwrap_or("default");
    if yes {
        return Ok(());
    }
    let unconfirmed = |problem: String| Error::Usage {
        problem,
        help: "--yes erases without asking; nothing brings the user's traces back".to_owned(),
    };
    if !std::io::stdin().is_terminal() {
        return Err(unconfirmed(format!("erasing {id:?} from the project {project} was not confirmed")));
    }
    eprintln!("This erases every trace, score and payload of {id:?} from the project {project}, for good,");
    eprintln!("and what had been set aside as damaged. Type the user's name to go on:");
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    read.map_err(|cause| Error::doing("reading the answer", cause))?;
    match typed.trim() == id {
        true => Ok(()),
        false => Err(unconfirmed("that is another name; nothing was erased".to_owned())),
    }
}

async fn erase(context: &Context, door: &Door, id: &str, detach: bool) -> Result<(), Error> {
    let mut erased = door.delete(&format!("/api/v1/users/{}", segment(id))).await?;
    if !detach {
        let begun = erased["job"]["id"].as_str().unwrap_or_default().to_owned();
        erased["job"] = job::follow(door, &begun, "erasing", context.progress).await?;
    }
    if context.printer.is_for_people() {
        erased["job"] = format!(
            "{} {}",
            erased["job"]["id"].as_str().unwrap_or_default(),
            erased["job"]["state"].as_str().unwrap_or_default()
        )
        .into();
    }
    context.printer.object(&erased)
}
