//! The rules.

use std::collections::BTreeMap;

use crate::house::{Room, read, rooms, root};

/// Which room may name which external crate; every other room goes through that room.
const OWNERS: &[(&str, &str)] = &[
    ("sqlx", "catalog"),
    ("datafusion", "lake"),
    ("parquet", "lake"),
    ("object_store", "lake"),
    ("reqwest", "net"),
    ("candle-core", "tensor"),
    ("candle-nn", "tensor"),
    ("llama-cpp-2", "serve"),
    ("llama-cpp-sys-2", "serve"),
    ("axum", "api"),
    ("opentelemetry-proto", "trace"),
    ("tonic", "trace"),
    ("ratatui", "cli"),
    ("utoipa", "api"),
    ("clap", "cli"),
];

/// Rooms in which unsafe code may stand.
const UNSAFE_ROOMS: &[&str] = &["serve", "tensor"];

/// File names that say nothing.
const NAMELESS: &[&str] = &["utils", "util", "helpers", "helper", "common", "manager", "misc", "mod"];

/// Lines that a function may have; and the share of functions, in percent, that may have more than `SCREEN`.
const LONGEST_FUNCTION_LINES: usize = 100;
const SCREEN_LINES: usize = 70;
const OVER_SCREEN_PERCENT: usize = 1;

#[track_caller]
fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Every file for which `breaks` finds something, with what it found.
fn in_files(rooms: &[Room], breaks: impl Fn(&Room, &crate::house::SourceFile) -> Option<String>) -> Vec<String> {
    let named = |room: &Room, file: &crate::house::SourceFile| {
        breaks(room, file)
            .map(|what| format!("{}: {what}", file.path.strip_prefix(root()).unwrap_or(&file.path).display()))
    };
    rooms.iter().flat_map(|room| room.files.iter().filter_map(move |file| named(room, file))).collect()
}

#[test]
fn a_room_depends_only_on_rooms_above_it() {
    let rooms = rooms();
    let place: BTreeMap<String, usize> =
        rooms.iter().enumerate().map(|(i, room)| (format!("qd-{}", room.name), i)).collect();
    let mut broken = Vec::new();
    for (i, room) in rooms.iter().enumerate() {
        for dependency in room.dependencies().filter(|name| name.starts_with("qd-")) {
            if place.get(dependency).is_none_or(|&j| j >= i) {
                broken.push(format!("{} depends on {dependency}", room.name));
            }
        }
    }
    none("a crate depends only on crates listed above it in the root Cargo.toml", broken);
}

#[test]
fn an_external_crate_is_named_in_its_one_room() {
    let mut broken = Vec::new();
    for room in rooms() {
        for dependency in room.dependencies() {
            if let Some((_, owner)) = OWNERS.iter().find(|(name, owner)| *name == dependency && *owner != room.name) {
                broken.push(format!("{} names {dependency}, which belongs to {owner}", room.name));
            }
        }
    }
    none("go through the room that owns the crate", broken);
}

#[test]
fn every_room_has_its_row_in_the_architecture() {
    let architecture = read(&root().join("ARCHITECTURE.md"));
    let missing =
        rooms().into_iter().map(|room| room.name).filter(|name| !architecture.contains(&format!("| `{name}` |")));
    none("ARCHITECTURE.md has one row a crate", missing.collect());
}

#[test]
fn every_file_says_what_it_is() {
    let missing =
        in_files(&rooms(), |_, file| (!file.text.starts_with("//!")).then(|| "does not start with `//!`".to_owned()));
    none("a module starts with one sentence that says what it answers", missing);
}

#[test]
fn names_say_something() {
    let broken = in_files(&rooms(), |_, file| {
        let stem = file.path.file_stem()?.to_str()?;
        NAMELESS.contains(&stem).then(|| format!("{stem} names nothing"))
    });
    none("name the thing that a module holds", broken);
}

#[test]
fn lints_are_expected_with_a_reason() {
    let broken = in_files(&rooms(), |_, file| {
        let bare = file
            .text
            .lines()
            .any(|line| line.trim_start().starts_with("#[allow(") || line.trim_start().starts_with("#![allow("));
        bare.then(|| "has a bare allow; write #[expect(lint, reason = …)]".to_owned())
    });
    none("no bare allow", broken);
}

#[test]
fn unsafe_code_stands_where_it_must() {
    let broken = in_files(&rooms(), |room, file| {
        let found =
            file.text.contains("unsafe {") || file.text.contains("unsafe impl") || file.text.contains("unsafe fn");
        (found && !UNSAFE_ROOMS.contains(&room.name.as_str())).then(|| "has unsafe code".to_owned())
    });
    none("unsafe code stands in serve and tensor only", broken);
}

#[test]
fn functions_fit_on_a_screen() {
    let rooms = rooms();
    let lengths: Vec<usize> =
        rooms.iter().flat_map(|room| &room.files).flat_map(|file| file.functions()).map(|(_, lines)| lines).collect();
    let over = in_files(&rooms, |_, file| {
        let long: Vec<String> = file
            .functions()
            .into_iter()
            .filter(|&(_, lines)| lines > SCREEN_LINES)
            .map(|(at, lines)| format!("line {at}: {lines} lines"))
            .collect();
        (!long.is_empty()).then(|| long.join(", "))
    });
    assert!(lengths.len() > 100, "only {} functions were found; the rule no longer reads the code", lengths.len());
    assert!(
        lengths.iter().all(|&lines| lines <= LONGEST_FUNCTION_LINES),
        "a function has over {LONGEST_FUNCTION_LINES} lines:\n  {}",
        over.join("\n  ")
    );
    let count = lengths.iter().filter(|&&lines| lines > SCREEN_LINES).count();
    assert!(
        count * 100 <= lengths.len() * OVER_SCREEN_PERCENT,
        "{count} of {} functions pass {SCREEN_LINES} lines:\n  {}",
        lengths.len(),
        over.join("\n  ")
    );
}
