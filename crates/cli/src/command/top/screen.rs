//! How a snapshot is drawn.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table};

use super::snapshot::{ModelRow, Snapshot};
use super::view::{Sort, View};

const KEYS: &str = " q leave  p pause  ←→ sort  ↑↓ turn round  w window  tab project ";

/// Draws all of it; before the first answer only the frame.
pub fn draw(frame: &mut Frame<'_>, view: &View, snapshot: Option<&Snapshot>, problem: Option<&str>) {
    let [head, sums, line, models, recent, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(4),
        Constraint::Length(4),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(title(view, snapshot), head);
    if let Some(snapshot) = snapshot {
        frame.render_widget(numbers(snapshot), sums);
        calls_over_time(frame, line, snapshot);
        frame.render_widget(models_table(view, snapshot), models);
        frame.render_widget(recent_table(snapshot), recent);
    }
    let foot_line = match problem {
        Some(problem) => Line::from(format!(" {problem} ")).style(Style::new().fg(Color::White).bg(Color::Red)),
        None => Line::from(KEYS).dim(),
    };
    frame.render_widget(foot_line, foot);
}

fn title(view: &View, snapshot: Option<&Snapshot>) -> Line<'static> {
    let window_s = view.window().as_secs();
    let window = if window_s < 60 { format!("{window_s} s") } else { format!("{} min", window_s / 60) };
    let mut words = vec![Span::from(" quarterdeck ").bold()];
    if let Some(snapshot) = snapshot {
        words.push(format!("{} · up {} · ", snapshot.place, uptime(snapshot.uptime().as_secs())).into());
        let clock: String = snapshot.at.to_string().chars().skip(11).take(8).collect();
        words.push(format!("{clock} UTC · ").into());
    }
    words.push(format!("project {} · last {window}", view.project_name()).into());
    if view.paused {
        words.push(Span::from("  PAUSED ").bold().yellow());
    }
    Line::from(words)
}

fn uptime(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn numbers(snapshot: &Snapshot) -> Paragraph<'static> {
    let total = snapshot.total();
    let (latency, ttft) = (snapshot.percentiles("latency_ms"), snapshot.percentiles("ttft_ms"));
    let (waiting, lost) = snapshot.recorder();
    let errors = format!("{} ({:.1} %)", total.errors, 100.0 * total.error_share);
    let first = Line::from(vec![
        label("calls/s"),
        number(total.calls_per_s).bold(),
        label("errors"),
        alarm(errors, total.errors > 0),
        label("tokens/s"),
        number(total.tokens_per_s).bold(),
        label("$/h"),
        Span::from(dollars(total.dollars_per_h)).bold(),
        label("p50"),
        ms(latency.0).into(),
        label("p95"),
        ms(latency.1).into(),
        label("ttft p50"),
        ms(ttft.0).into(),
        label("p95"),
        ms(ttft.1).into(),
    ]);
    let lost_text = if lost == 0 { String::new() } else { format!(", {lost} lost") };
    let mut second = vec![
        label("running"),
        Span::from(snapshot.running().to_string()).bold(),
        label("recorder"),
        alarm(format!("{waiting} waiting{lost_text}"), lost > 0),
        label("lake"),
    ];
    second.push(match snapshot.lake() {
        Ok(said) => said.into(),
        Err(said) => alarm(said, true),
    });
    for (model, busy, queued) in snapshot.engine() {
        second.push(label("engine"));
        second.push(format!("{model} {busy} computing, {queued} waiting").into());
    }
    Paragraph::new(vec![first, Line::from(second)]).block(Block::new().borders(Borders::TOP | Borders::BOTTOM))
}

fn label(text: &str) -> Span<'static> {
    Span::from(format!("  {text} ")).dim()
}

fn alarm(text: String, is_one: bool) -> Span<'static> {
    if is_one { Span::from(text).red().bold() } else { Span::from(text) }
}

fn number(value: f64) -> Span<'static> {
    Span::from(rate(value))
}

/// Three digits that count.
fn rate(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v == 0.0 => "0".to_owned(),
        v => format!("{v:.2}"),
    }
}

fn dollars(value: f64) -> String {
    match value {
        v if v == 0.0 => "0".to_owned(),
        v if v >= 0.01 => format!("{v:.2}"),
        v => format!("{v:.1e}"),
    }
}

fn ms(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(ms) if ms >= 10_000.0 => format!("{:.1} s", ms / 1e3),
        Some(ms) if ms >= 1_000.0 => format!("{:.2} s", ms / 1e3),
        Some(ms) if ms >= 100.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{ms:.1} ms"),
    }
}

fn calls_over_time(frame: &mut Frame<'_>, place: Rect, snapshot: &Snapshot) {
    let block = Block::new().title(" calls over time ".dim());
    let inside = block.inner(place);
    frame.render_widget(block, place);
    let points = snapshot.calls_over_time();
    // Each point is as wide as there is room for, so that the line fills the screen.
    let wide = (usize::from(inside.width) / points.len().max(1)).max(1);
    let data: Vec<u64> = points.iter().flat_map(|&point| std::iter::repeat_n(point, wide)).collect();
    let newest = data.len().saturating_sub(usize::from(inside.width));
    frame.render_widget(Sparkline::default().data(&data[newest..]).style(Style::new().fg(Color::Cyan)), inside);
}

fn models_table(view: &View, snapshot: &Snapshot) -> Table<'static> {
    let mut models = snapshot.models();
    sort(&mut models, view);
    let head = |text: &str, sort: Option<Sort>| match sort == Some(view.sort) {
        true => Cell::from(format!("{text} {}", if view.smallest_first { "▲" } else { "▼" })).bold(),
        false => Cell::from(text.to_owned()),
    };
    let heads = Row::new([
        head("MODEL", None),
        head("CALLS/S", Some(Sort::Calls)),
        head("ERRORS", Some(Sort::Errors)),
        head("TOKENS/S", Some(Sort::Tokens)),
        head("$/H", Some(Sort::Cost)),
        head("P50", None),
        head("P95", Some(Sort::Latency)),
        head("TTFT P50", None),
        head("TTFT P95", Some(Sort::Ttft)),
    ]);
    let rows = models.into_iter().map(|model| {
        let ModelRow { model, rates, latency_ms, ttft_ms, .. } = model;
        let errors = match rates.errors {
            0 => Cell::from("0"),
            errors => Cell::from(format!("{errors} ({:.0} %)", 100.0 * rates.error_share)).red(),
        };
        Row::new([
            Cell::from(model),
            Cell::from(rate(rates.calls_per_s)),
            errors,
            Cell::from(rate(rates.tokens_per_s)),
            Cell::from(dollars(rates.dollars_per_h)),
            Cell::from(ms(latency_ms.0)),
            Cell::from(ms(latency_ms.1)),
            Cell::from(ms(ttft_ms.0)),
            Cell::from(ms(ttft_ms.1)),
        ])
    });
    let narrow = Constraint::Length(10);
    let widths = [Constraint::Fill(1), narrow, narrow, narrow, narrow, narrow, narrow, narrow, narrow];
    Table::new(rows, widths).header(heads.style(Style::new().add_modifier(Modifier::REVERSED)))
}

fn sort(models: &mut [ModelRow], view: &View) {
    let weight = |model: &ModelRow| match view.sort {
        Sort::Calls => model.calls as f64,
        Sort::Errors => model.rates.errors as f64,
        Sort::Tokens => model.rates.tokens_per_s,
        Sort::Cost => model.rates.dollars_per_h,
        Sort::Latency => model.latency_ms.1.unwrap_or(0.0),
        Sort::Ttft => model.ttft_ms.1.unwrap_or(0.0),
    };
    models.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    if view.smallest_first {
        models.reverse();
    }
}

fn recent_table(snapshot: &Snapshot) -> Table<'static> {
    let rows = snapshot.recent().into_iter().map(|call| {
        let status = match call.status.as_str() {
            "ok" => Cell::from("ok").green(),
            "error" => Cell::from("error").red(),
            other => Cell::from(other.to_owned()).yellow(),
        };
        Row::new([
            Cell::from(call.clock),
            status,
            Cell::from(call.model),
            Cell::from(ms(Some(call.latency_ms))),
            Cell::from(format!("{} → {}", call.tokens.0, call.tokens.1)),
            Cell::from(call.cost.to_string()),
            Cell::from(call.message),
        ])
    });
    let heads = Row::new(["LAST CALLS", "STATUS", "MODEL", "TOOK", "TOKENS", "COST", ""]);
    let length = Constraint::Length;
    let widths = [length(10), length(9), length(28), length(9), length(14), length(16), Constraint::Fill(1)];
    Table::new(rows, widths).header(heads.style(Style::new().add_modifier(Modifier::REVERSED)))
}
