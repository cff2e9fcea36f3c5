//! A package index on loopback: a page for each package, wheels with ranges, and misbehaviour on demand.

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use qd_base::Sha256Hex;
use tokio::sync::Notify;
use zip::write::SimpleFileOptions;

/// A Python package that carries files.
pub struct Wheel {
    package: String,
    file: String,
    bytes: Bytes,
    sha256: String,
}

impl Wheel {
    pub fn new(package: &str, version: &str, members: &[(&str, &[u8])]) -> Self {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        let bytes = Bytes::from(archive.finish().unwrap().into_inner());
        let file = format!("{}-{version}-py3-none-any.whl", package.replace('-', "_"));
        Self { package: package.into(), file, sha256: Sha256Hex::of(&bytes).to_string(), bytes }
    }

    pub fn with_wrong_digest(self) -> Self {
        Self { sha256: "0".repeat(64), ..self }
    }
}

/// How the next answers to downloads go wrong, once.
#[derive(Clone, Copy)]
enum Fault {
    Cut(usize),
    Hang(usize),
}

#[derive(Default)]
struct Shelf {
    wheels: HashMap<String, Wheel>,
    ranges: Mutex<Vec<Option<String>>>,
    fault: Mutex<Option<Fault>>,
    cut: Notify,
    changes_etag: AtomicBool,
    answers: AtomicUsize,
}

pub struct Index {
    address: std::net::SocketAddr,
    shelf: Arc<Shelf>,
}

impl Index {
    pub async fn start(wheels: impl IntoIterator<Item = Wheel>) -> Self {
        let wheels = wheels.into_iter().map(|wheel| (wheel.file.clone(), wheel)).collect();
        let shelf = Arc::new(Shelf { wheels, ..Shelf::default() });
        let app = Router::new()
            .route("/simple/{package}/", get(page))
            .route("/files/{file}", get(file))
            .with_state(Arc::clone(&shelf));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, shelf }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The next download gives so many bytes, and breaks off when told to.
    pub fn cut_after(&self, bytes: usize) {
        *self.shelf.fault.lock().unwrap() = Some(Fault::Cut(bytes));
    }

    /// Breaks off the download that waits for it.
    pub fn cut(&self) {
        self.shelf.cut.notify_one();
    }

    /// The next download says nothing more after so many bytes.
    pub fn hang_after(&self, bytes: usize) {
        *self.shelf.fault.lock().unwrap() = Some(Fault::Hang(bytes));
    }

    pub fn change_etag_after_each_answer(&self) {
        self.shelf.changes_etag.store(true, Ordering::Relaxed);
    }

    /// The `Range` of each download so far.
    pub fn ranges(&self) -> Vec<Option<String>> {
        self.shelf.ranges.lock().unwrap().clone()
    }

    pub fn downloads(&self) -> usize {
        self.shelf.ranges.lock().unwrap().len()
    }
}

async fn page(State(shelf): State<Arc<Shelf>>, Path(package): Path<String>) -> Response {
    let files: Vec<_> = shelf
        .wheels
        .values()
        .filter(|wheel| wheel.package == package)
        .map(|wheel| serde_json::json!({"filename": wheel.file, "url": format!("../../files/{}", wheel.file), "hashes": {"sha256": wheel.sha256}, "size": wheel.bytes.len()}))
        .collect();
    if files.is_empty() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let page = serde_json::json!({"meta": {"api-version": "1.1"}, "name": package, "files": files});
    ([(header::CONTENT_TYPE, "application/vnd.pypi.simple.v1+json")], page.to_string()).into_response()
}

async fn file(State(shelf): State<Arc<Shelf>>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let range = text(header::RANGE);
    shelf.ranges.lock().unwrap().push(range.map(str::to_owned));
    let answer = shelf.answers.fetch_add(1, Ordering::Relaxed);
    let etag = if shelf.changes_etag.load(Ordering::Relaxed) { format!("\"{answer}\"") } else { "\"same\"".into() };
    let whole = shelf.wheels[&file].bytes.clone();
    let start = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    // A range of another file than the client has is no use to it (RFC 9110, section 13.1.5).
    let start = start.filter(|_| text(header::IF_RANGE).is_none_or(|condition| condition == etag)).unwrap_or(0);
    let mut response =
        Response::builder().header(header::ETAG, etag).header(header::CONTENT_LENGTH, whole.len() - start);
    if start > 0 {
        let content_range = format!("bytes {start}-{}/{}", whole.len() - 1, whole.len());
        response = response.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, content_range);
    }
    let fault = shelf.fault.lock().unwrap().take();
    response.body(body(whole.slice(start..), fault, shelf)).unwrap()
}

fn body(bytes: Bytes, fault: Option<Fault>, shelf: Arc<Shelf>) -> Body {
    let first = |length: usize| futures::stream::iter([Ok(bytes.slice(..length))]);
    match fault {
        None => Body::from(bytes),
        Some(Fault::Hang(length)) => Body::from_stream(first(length).chain(futures::stream::pending())),
        Some(Fault::Cut(length)) => {
            let cut = async move {
                shelf.cut.notified().await;
                Err(std::io::Error::other("cut"))
            };
            Body::from_stream(first(length).chain(futures::stream::once(cut)))
        }
    }
}
