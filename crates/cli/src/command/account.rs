//! `quarterdeck account`: people who sign in to the console.

use std::io::IsTerminal as _;

use console::Term;
use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::args::{Account, Role};
use crate::command::{input, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, segment};
use crate::output::Column;

const PATH: &str = "/api/v1/accounts";

const ACCOUNT: &[Column<'_>] =
    &[("name", "name"), ("role", "role"), ("disabled", "disabled"), ("created", "created"), ("updated", "updated")];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Account) -> Result<(), Error> {
    match verb {
        Account::List => {
            with_door(context, async |door| context.printer.rows(&rows_of(door.get(PATH).await?), ACCOUNT)).await
        }
        Account::Create { name, role, password_stdin } => {
            let new = json!({"name": name, "role": word(role), "password": password(password_stdin)?});
            with_door(context, async |door| context.printer.object(&door.post(PATH, &new).await?)).await
        }
        Account::Password { name, password_stdin } => {
            let change = json!({"password": password(password_stdin)?});
            with_door(context, async |door| put(context, door, &name, &change).await).await
        }
        Account::Role { name, role } => {
            let change = json!({"role": word(role)});
            with_door(context, async |door| put(context, door, &name, &change).await).await
        }
        Account::Disable { name } => {
            with_door(context, async |door| put(context, door, &name, &json!({"disabled": true})).await).await
        }
        Account::Enable { name } => {
            with_door(context, async |door| put(context, door, &name, &json!({"disabled": false})).await).await
        }
        Account::Remove { name } => with_door(context, async |door| door.delete(&path(&name)).await.map(drop)).await,
    }
}

fn path(name: &str) -> String {
    format!("{PATH}/{}", segment(name))
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Editor => "editor",
        Role::Admin => "admin",
    }
}

async fn put(context: &Context, door: &Door, name: &str, change: &Value) -> Result<(), Error> {
    context.printer.object(&door.json(Method::PUT, &path(name), Some(change)).await?)
}

/// The password, from a terminal that does not show it or from standard input. There is no argument for it: other
/// users of a machine can read those.
fn password(from_input: bool) -> Result<String, Error> {
    let terminal = Term::stderr();
    match from_input {
        true => first_line(&input()?),
        false if std::io::stdin().is_terminal() && terminal.is_term() => asked(&terminal),
        false => Err(Error::Usage {
            problem: "there is no terminal to ask for the password".to_owned(),
            help: "pipe it in, as in `quarterdeck account create NAME --password-stdin < password.txt`".to_owned(),
        }),
    }
}

/// The line break at the end of a file is no part of a password; spaces are.
fn first_line(text: &str) -> Result<String, Error> {
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        _ => Err(Error::Usage {
            problem: "standard input held no password".to_owned(),
            help: "write it as the first line".to_owned(),
        }),
    }
}

/// Twice, since nobody sees what they type.
fn asked(terminal: &Term) -> Result<String, Error> {
    let ask = |prompt: &str| {
        let read = terminal.write_str(prompt).and_then(|()| terminal.read_secure_line());
        read.map_err(|cause| Error::doing("reading the password", cause))
    };
    let password = ask("Password: ")?;
    match ask("The same again: ")? == password {
        true => Ok(password),
        false => Err(Error::Usage {
            problem: "the two passwords differ".to_owned(),
            help: "nothing was changed; try again".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password() {
        for (text, password) in [("a b \n", "a b "), ("one\r\ntwo\n", "one"), ("no break", "no break")] {
            assert_eq!(first_line(text).unwrap(), password);
        }
        assert!(first_line("").is_err() && first_line("\nsecond").is_err());
    }
}
