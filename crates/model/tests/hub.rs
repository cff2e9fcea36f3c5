//! Data sets of a hub on loopback that redirects, cuts, lies and refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use qd_base::Secret;
use qd_base::Sha256Hex;
use qd_model::{Error, Hub, HubDataset, HubFile};
use qd_net::{Client, ClientOptions, Policy, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const COMMIT: &str = "740312add88f781978c0658806c59bc2815b9866";
const ROWS: &[u8] = b"{\"question\": \"1+1?\", \"answer\": \"2\"}\n";
const TOKEN: &str = "hf_test";

/// What the hub has been asked, and how much of a file it sends before it breaks off.
#[derive(Default)]
struct Stub {
    asked: AtomicUsize,
    cut: AtomicUsize,
}

async fn start() -> (Arc<Stub>, Hub) {
    let stub = Arc::new(Stub::default());
    let router = Router::new()
        .route("/api/datasets/{owner}/{name}/revision/{revision}", get(look))
        .route("/datasets/{owner}/{name}/resolve/{commit}/{*path}", get(resolve))
        .route("/cdn/{*path}", get(file))
        .with_state(Arc::clone(&stub));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (stub, Hub { url, token: None })
}

async fn look(Path((owner, name, revision)): Path<(String, String, String)>, headers: HeaderMap) -> Response {
    let knows =
        headers.get("authorization").is_some_and(|value| value.to_str().is_ok_and(|text| text.ends_with(TOKEN)));
    match (owner.as_str(), name.as_str(), revision.as_str()) {
        ("closed", ..) if !knows => StatusCode::UNAUTHORIZED.into_response(),
        ("own" | "closed", "math", "main" | "refs/convert/parquet") => Json(files()).into_response(),
        ("own", "odd", _) => Json(json!({"sha": "../../etc", "siblings": []})).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn files() -> Value {
    let size = ROWS.len();
    json!({"sha": COMMIT, "siblings": [
        {"rfilename": "data/test 1.jsonl", "size": size, "lfs": {"sha256": Sha256Hex::of(ROWS), "size": size}},
        {"rfilename": "lies.jsonl", "size": size, "lfs": {"sha256": Sha256Hex::of(b"other"), "size": size}},
        {"rfilename": "short.jsonl", "size": size - 1},
        {"rfilename": "longer.jsonl", "size": size + 1},
        {"rfilename": "../../outside.jsonl", "size": 1},
    ]})
}

async fn resolve(Path((_, _, commit, path)): Path<(String, String, String, String)>) -> Response {
    assert_eq!(commit, COMMIT, "files are fetched from the commit");
    (StatusCode::FOUND, [("location", format!("/cdn/{}", path.replace(' ', "%20")))]).into_response()
}

async fn file(State(stub): State<Arc<Stub>>, headers: HeaderMap) -> Response {
    stub.asked.fetch_add(1, Ordering::Relaxed);
    let range = headers.get("range").and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-'));
    let from: usize = range.and_then(|from| from.parse().ok()).unwrap_or(0);
    let rest = &ROWS[from..];
    let cut = stub.cut.swap(0, Ordering::Relaxed);
    let body = match cut {
        0 => Body::from(rest),
        // The head promises all of it.
        cut => Body::from_stream(futures::stream::iter([Ok(rest[..cut].to_vec()), Err(std::io::Error::other("cut"))])),
    };
    let status = if from > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let range = format!("bytes {from}-{}/{}", ROWS.len() - 1, ROWS.len());
    let headers =
        [("etag", "\"one\"".to_owned()), ("content-range", range), ("content-length", rest.len().to_string())];
    (status, headers, body).into_response()
}

fn client() -> Client {
    Client::new(Policy::public().allow("127.0.0.1").unwrap(), ClientOptions::default()).unwrap()
}

async fn math(hub: &Hub) -> HubDataset {
    hub.dataset(&client(), &"own/math".parse().unwrap(), "main").await.unwrap()
}

fn named<'d>(dataset: &'d HubDataset, path: &str) -> &'d HubFile {
    dataset.files.iter().find(|file| file.path == path).unwrap()
}

async fn fetch(hub: &Hub, dataset: &HubDataset, path: &str, folder: &TempDir) -> Result<Vec<u8>, Error> {
    let file = (dataset, named(dataset, path));
    let path = hub.fetch(&client(), file, folder.path(), &|_| {}, &CancellationToken::new()).await?;
    Ok(std::fs::read(path).unwrap())
}

/// Files in the folder but locks.
fn left(folder: &TempDir, ending: &str) -> usize {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|found| found == ending)).count()
}

#[tokio::test]
async fn a_revision_becomes_a_commit_whose_files_are_fetched() {
    let (stub, hub) = start().await;
    let (dataset, folder) = (math(&hub).await, tempfile::tempdir().unwrap());
    assert_eq!(dataset.reference(), format!("hub:own/math@{COMMIT}"));
    assert!(dataset.files.iter().all(|file| !file.path.contains("..")), "what leads out of the repository is no file");
    assert_eq!(fetch(&hub, &dataset, "data/test 1.jsonl", &folder).await.unwrap(), ROWS);
    assert_eq!(fetch(&hub, &dataset, "data/test 1.jsonl", &folder).await.unwrap(), ROWS);
    assert_eq!((stub.asked.load(Ordering::Relaxed), left(&folder, "part")), (1, 0));
    let converted = hub.dataset(&client(), &"own/math".parse().unwrap(), "refs/convert/parquet").await.unwrap();
    assert_eq!(converted.commit, COMMIT);
}

#[tokio::test]
async fn a_fetch_that_was_cut_goes_on_where_it_was() {
    let (stub, hub) = start().await;
    let (dataset, folder) = (math(&hub).await, tempfile::tempdir().unwrap());
    stub.cut.store(10, Ordering::Relaxed);
    assert_eq!(fetch(&hub, &dataset, "data/test 1.jsonl", &folder).await.unwrap(), ROWS);
    assert_eq!(stub.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_is_not_as_the_hub_says_is_not_kept() {
    let (_, hub) = start().await;
    let (dataset, folder) = (math(&hub).await, tempfile::tempdir().unwrap());
    let lies = fetch(&hub, &dataset, "lies.jsonl", &folder).await.unwrap_err();
    assert!(matches!(lies, Error::Checksum { .. }), "{lies}");
    let longer = fetch(&hub, &dataset, "longer.jsonl", &folder).await.unwrap_err();
    assert!(longer.to_string().contains("the hub says"), "{longer}");
    fetch(&hub, &dataset, "short.jsonl", &folder).await.unwrap_err();
    assert_eq!(
        std::fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| {
                let entry = entry.as_ref().unwrap();
                entry.path().extension().is_none() && entry.metadata().unwrap().len() > 0
            })
            .count(),
        0
    );
}

#[tokio::test]
async fn what_is_not_there_or_not_for_everybody_says_so() {
    let (_, hub) = start().await;
    let ask = async |hub: &Hub, id: &str, revision: &str| {
        hub.dataset(&client(), &id.parse().unwrap(), revision).await.map(drop).map_err(|error| error.to_string())
    };
    assert!(ask(&hub, "own/none", "main").await.unwrap_err().contains("no such data set with the revision main"));
    assert!(ask(&hub, "closed/math", "main").await.unwrap_err().contains("HF_TOKEN"));
    let known = Hub { token: Some(Secret::new(TOKEN.to_owned())), ..hub.clone() };
    ask(&known, "closed/math", "main").await.unwrap();
    assert!(ask(&hub, "own/odd", "main").await.unwrap_err().contains("cannot be used"));
    assert!(ask(&hub, "own/math", "../x").await.unwrap_err().contains("no revision"));
    // The policy of addresses holds here too.
    let strict = Client::new(Policy::public(), ClientOptions::default()).unwrap();
    let refused = hub.dataset(&strict, &"own/math".parse().unwrap(), "main").await.unwrap_err();
    assert!(matches!(refused, Error::Fetch { .. }), "{refused}");
}
