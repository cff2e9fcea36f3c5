//! A frame of known answers, and what keys do to it.

use std::time::Duration;

use qd_base::Timestamp;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::snapshot::Snapshot;
use super::view::{Sort, Todo, View};
use crate::args::Top;

fn view() -> View {
    View::new(&Top { once: false, window: Duration::from_secs(60) }, None)
}

/// A minute with 120 calls of two models.
fn snapshot() -> Snapshot {
    let group = |name: Option<&str>, requests: u64, errors: u64, p95: f64| {
        json!({
            "group": name, "requests": requests, "errors": errors, "input_tokens": 10, "output_tokens": 600 * requests,
            "cost_picodollars": 1_000_000_000_u64 * requests, "latency_ms": {"p50": 250.0, "p95": p95},
            "ttft_ms": {"p50": 41.25, "p95": null},
        })
    };
    let told = json!({
        "status": {
            "uptime_ms": 7_200_000, "in_flight": 4, "unrecorded_calls": 0,
            "recorder": {"queue_depth": 7, "dropped": 2, "failed": 1},
            "lake": {"failing": null, "quarantined": 0, "tables": [{"table": "spans", "segment_rows": 1000, "staged_rows": 23}]},
            "engine": [{"name": "tiny@1", "stats": {"slots_busy": 3, "queue_length": 5}}],
        },
        "stats": {"total": group(None, 120, 6, 1_500.0), "groups": [group(Some("alpha"), 90, 0, 900.0), group(Some("beta"), 30, 6, 12_345.0)]},
        "overview": {"series": [{"requests": [0, 1, 2, 4]}]},
        "traces": {"data": [
            {"start_time": "2026-01-05T12:00:01.5Z", "status": "error", "model": null, "model_requested": "beta", "name": "chat",
             "latency_ms": 50.0, "input_tokens": 3, "output_tokens": 0, "cost_picodollars": 0, "status_message": "it timed out"},
        ]},
    });
    Snapshot {
        place: "http://127.0.0.1:4100/".into(),
        told,
        window: Duration::from_secs(60),
        at: Timestamp::from_secs(1_767_614_405),
    }
}

fn frame(view: &View) -> Vec<String> {
    super::frame(view, &snapshot(), 120, 30).unwrap().lines().map(str::to_owned).collect()
}

fn line_with<'a>(lines: &'a [String], word: &str) -> &'a str {
    lines.iter().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{word} in {lines:#?}"))
}

#[test]
fn a_frame_says_what_the_server_does() {
    let lines = frame(&view());
    // 120 calls, 72,000 tokens and 12 cents in a minute: 2 calls and 1,200 tokens a second, 7.20 dollars an hour.
    let sums = line_with(&lines, "calls/s");
    for word in [
        "calls/s 2.00",
        "errors 6 (5.0 %)",
        "tokens/s 1200",
        "$/h 7.20",
        "p50 250 ms",
        "p95 1.50 s",
        "ttft p50 41.2 ms",
        "p95 –",
    ] {
        assert!(sums.contains(word), "{word} in {sums}");
    }
    let house = line_with(&lines, "recorder");
    for word in ["running 3", "7 waiting, 3 lost", "lake 1023 spans", "tiny@1 3 computing, 5 waiting"] {
        assert!(house.contains(word), "{word} in {house}");
    }
    assert!(line_with(&lines, "quarterdeck").contains("up 2 h · 12:00:05 UTC · project of this key · last 1 min"));
    let beta = line_with(&lines, "12.3 s");
    assert!(beta.contains("beta") && beta.contains("6 (20 %)") && beta.contains("0.50"), "{beta}");
    let call = line_with(&lines, "it timed out");
    assert!(
        call.contains("12:00:01") && call.contains("error") && call.contains("beta") && call.contains("3 → 0"),
        "{call}"
    );
    assert!(lines.iter().any(|line| line.contains('█')), "calls over time are drawn");
}

fn order(view: &View) -> (usize, usize) {
    let lines = frame(view);
    let at = |word: &str| lines.iter().position(|line| line.contains(word)).unwrap();
    (at("alpha"), at("6 (20 %)"))
}

fn press(view: &mut View, code: KeyCode) -> Todo {
    view.take(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

#[test]
fn keys_sort_pause_and_leave() {
    let mut view = view();
    let (alpha, beta) = order(&view);
    assert!(alpha < beta, "alpha has more calls");
    assert_eq!(press(&mut view, KeyCode::Right), Todo::Draw);
    assert_eq!(view.sort, Sort::Errors);
    let (alpha, beta) = order(&view);
    assert!(beta < alpha, "beta has more errors");
    press(&mut view, KeyCode::Down);
    let (alpha, beta) = order(&view);
    assert!(alpha < beta, "turned round");
    press(&mut view, KeyCode::Left);
    assert_eq!(view.sort, Sort::Calls);
    press(&mut view, KeyCode::Char('p'));
    assert!(view.paused && line_with(&frame(&view), "quarterdeck").contains("PAUSED"));
    assert_eq!(press(&mut view, KeyCode::Char('w')), Todo::Ask);
    assert_eq!(view.window(), Duration::from_secs(300));
    for code in [KeyCode::Char('q'), KeyCode::Esc] {
        assert_eq!(press(&mut view, code), Todo::Leave);
    }
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.take(&Event::Key(interrupt)), Todo::Leave);
}

#[test]
fn projects_come_one_after_the_other() {
    let mut view = view();
    assert_eq!(press(&mut view, KeyCode::Tab), Todo::Draw, "there is only one");
    view.projects = vec!["default".into(), "team".into()];
    assert_eq!(view.project_name(), "default", "the operator looks at it when nobody says");
    for expected in ["team", "default", "team"] {
        assert_eq!(press(&mut view, KeyCode::Tab), Todo::Ask);
        assert_eq!(view.project.as_deref(), Some(expected));
    }
}

/// Whatever the size, and whatever the server leaves out.
#[test]
fn any_size_and_any_answer_can_be_drawn() {
    let empty = Snapshot { told: json!({}), ..snapshot() };
    for (width, height) in [(0, 0), (1, 1), (20, 5), (80, 24), (300, 100)] {
        for snapshot in [&empty, &snapshot()] {
            super::frame(&view(), snapshot, width, height).unwrap();
        }
    }
}
