//! `quarterdeck top`: what the server is doing, live.
//!
//! Reading order: what is asked and what it comes to ([`snapshot`]) → what keys do ([`view`]) → how it is drawn
//! ([`screen`]). This file asks, waits and leaves the terminal as it was.

mod screen;
mod snapshot;
mod view;

use std::io::IsTerminal as _;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::Error;
use crate::args::Top;
use crate::context::Context;
use crate::door::Door;
use crate::output;
use snapshot::Snapshot;
use view::{Todo, View};

/// How often the server is asked.
const REFRESH: Duration = Duration::from_secs(1);
/// How long the keyboard is waited for at a time, so that its thread sees in time that nobody listens any more.
const KEY_WAIT: Duration = Duration::from_millis(100);
/// The size of a frame that goes to a file or a pipe.
const TEXT_WIDTH: u16 = 120;
const TEXT_HEIGHT: u16 = 40;

/// Shows what the server is doing until somebody leaves; once, as text, where nobody looks.
pub async fn run(context: &Context, top: Top) -> Result<(), Error> {
    let door = Door::running(context).await?;
    let view = View::new(&top, context.project.clone());
    match top.once || !std::io::stdout().is_terminal() || !context.printer.is_for_people() {
        true => once(context, &door, &view).await,
        false => live(door, view).await,
    }
}

async fn once(context: &Context, door: &Door, view: &View) -> Result<(), Error> {
    let snapshot = Snapshot::ask(door, view.window()).await?;
    match context.printer.is_for_people() {
        true => output::line(&frame(view, &snapshot, TEXT_WIDTH, TEXT_HEIGHT)?),
        false => context.printer.object(&snapshot.told),
    }
}

/// One frame as text.
fn frame(view: &View, snapshot: &Snapshot, width: u16, height: u16) -> Result<String, Error> {
    let drawing = |cause: std::convert::Infallible| match cause {};
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(drawing)?;
    terminal.draw(|frame| screen::draw(frame, view, Some(snapshot), None)).map_err(drawing)?;
    let buffer = terminal.backend().buffer();
    let rows = buffer.content.chunks(usize::from(width.max(1)));
    let lines: Vec<String> =
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()).collect();
    Ok(lines.join("\n").trim_end().to_owned())
}

async fn live(mut door: Door, mut view: View) -> Result<(), Error> {
    view.projects = projects(&door).await;
    // It also sets the terminal right when something panics.
    let mut terminal = ratatui::try_init().map_err(|cause| Error::doing("setting up the terminal", cause))?;
    let done = follow(&mut terminal, &mut door, &mut view).await;
    ratatui::restore();
    done
}

/// The projects that may be looked at one after the other; none but one's own for who is no administrator.
async fn projects(door: &Door) -> Vec<String> {
    let listed = door.get("/api/v1/projects").await.unwrap_or_default();
    let names = listed["data"].as_array().cloned().unwrap_or_default();
    names.iter().filter_map(|project| project["name"].as_str().map(str::to_owned)).collect()
}

async fn follow(terminal: &mut DefaultTerminal, door: &mut Door, view: &mut View) -> Result<(), Error> {
    let mut keys = keyboard();
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|cause| Error::doing("waiting for signals", cause))?;
    let mut ticks = interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut snapshot, mut problem) = (None, None);
    loop {
        draw(terminal, view, snapshot.as_ref(), problem.as_deref())?;
        let todo = tokio::select! {
            key = keys.recv() => key.map_or(Todo::Leave, |event| view.take(&event)),
            _ = terminated.recv() => Todo::Leave,
            _ = ticks.tick() => if view.paused { Todo::Draw } else { Todo::Ask },
        };
        match todo {
            Todo::Leave => return Ok(()),
            Todo::Draw => continue,
            Todo::Ask => {}
        }
        let project = view.project.clone();
        door.act_in(project.clone());
        let asked = tokio::select! {
            asked = ask(door, view, &mut keys) => asked,
            _ = terminated.recv() => None,
        };
        match asked {
            None => return Ok(()),
            // Of the project that was looked at before.
            Some(_) if view.project != project => snapshot = None,
            Some(Ok(found)) => (snapshot, problem) = (Some(found), None),
            // What was seen last stays; it tells more than an empty screen.
            Some(Err(error)) => problem = Some(error.to_string()),
        }
        ticks.reset_at(Instant::now() + REFRESH);
    }
}

/// Asks the server and takes keys meanwhile, so that one can leave one that hangs; none when somebody left.
async fn ask(door: &Door, view: &mut View, keys: &mut mpsc::Receiver<Event>) -> Option<Result<Snapshot, Error>> {
    let mut asking = std::pin::pin!(Snapshot::ask(door, view.window()));
    loop {
        tokio::select! {
            asked = &mut asking => return Some(asked),
            key = keys.recv() => {
                if key.is_none_or(|event| view.take(&event) == Todo::Leave) {
                    return None;
                }
            }
        }
    }
}

fn draw(
    terminal: &mut DefaultTerminal,
    view: &mut View,
    snapshot: Option<&Snapshot>,
    problem: Option<&str>,
) -> Result<(), Error> {
    let drawn = terminal.draw(|frame| screen::draw(frame, view, snapshot, problem));
    drawn.map(drop).map_err(|cause| Error::Output { cause })
}

/// Keys as they come. The thread ends when nobody listens, or when the keyboard is gone.
fn keyboard() -> mpsc::Receiver<Event> {
    let (keys, pressed) = mpsc::channel(16);
    std::thread::spawn(move || {
        while !keys.is_closed() {
            let event = match event::poll(KEY_WAIT) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(cause) => Err(cause),
            };
            let Ok(event) = event else { return };
            let released = matches!(&event, Event::Key(key) if key.kind == KeyEventKind::Release);
            if !released && keys.blocking_send(event).is_err() {
                return;
            }
        }
    });
    pressed
}

#[cfg(test)]
mod tests;
