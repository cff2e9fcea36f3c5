//! What is looked at, and what keys change of it.

use std::time::Duration;

use ratatui::crossterm::event::{Event, KeyCode, KeyModifiers};

use crate::args::Top;

/// Stretches of time that may be looked at.
const WINDOWS_S: [u64; 4] = [60, 300, 900, 3_600];

/// By what models are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Calls,
    Errors,
    Tokens,
    Cost,
    Latency,
    Ttft,
}

impl Sort {
    const ALL: [Self; 6] = [Self::Calls, Self::Errors, Self::Tokens, Self::Cost, Self::Latency, Self::Ttft];

    fn moved(self, step: usize) -> Self {
        let place = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL[(place + step) % Self::ALL.len()]
    }
}

/// What is looked at.
#[derive(Debug, Clone)]
pub struct View {
    window_s: u64,
    pub sort: Sort,
    pub smallest_first: bool,
    pub paused: bool,
    /// The project that is looked at; the default one, or the key's own, without it.
    pub project: Option<String>,
    /// Those that may be.
    pub projects: Vec<String>,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Todo {
    Leave,
    Draw,
    Ask,
}

impl View {
    pub fn new(top: &Top, project: Option<String>) -> Self {
        let window_s = top.window.as_secs().max(1);
        Self { window_s, sort: Sort::Calls, smallest_first: false, paused: false, project, projects: Vec::new() }
    }

    /// The time until now that is looked at.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_s)
    }

    /// The project that is looked at, as far as that is known.
    pub fn project_name(&self) -> &str {
        let usual = || self.projects.iter().find(|name| *name == "default");
        let only = || self.projects.first().filter(|_| self.projects.len() == 1);
        self.project.as_ref().or_else(usual).or_else(only).map_or("of this key", String::as_str)
    }

    pub fn take(&mut self, event: &Event) -> Todo {
        let Event::Key(key) = event else { return Todo::Draw };
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if matches!(key.code, KeyCode::Char('c' | 'd')) { Todo::Leave } else { Todo::Draw };
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Todo::Leave,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Right => self.sort = self.sort.moved(1),
            KeyCode::Left => self.sort = self.sort.moved(Sort::ALL.len() - 1),
            KeyCode::Up | KeyCode::Down | KeyCode::Char('r') => self.smallest_first = !self.smallest_first,
            KeyCode::Char('w') => {
                let next = WINDOWS_S.iter().find(|&&window| window > self.window_s);
                self.window_s = *next.unwrap_or(&WINDOWS_S[0]);
                return Todo::Ask;
            }
            KeyCode::Tab if self.projects.len() > 1 => {
                let here = self.projects.iter().position(|name| name == self.project_name());
                let next = here.map_or(0, |place| (place + 1) % self.projects.len());
                self.project = Some(self.projects[next].clone());
                return Todo::Ask;
            }
            _ => {}
        }
        Todo::Draw
    }
}
