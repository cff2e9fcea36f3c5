//! The client against a server on loopback that misbehaves on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use futures::StreamExt;
use qd_net::{Client, ClientOptions, Error, Method, Phase, Policy, Refusal, Request, RetryPolicy, Timeouts, Url};

/// How often the server was asked, over all routes.
type Hits = Arc<AtomicUsize>;

struct Server {
    base: Url,
    hits: Hits,
}

impl Server {
    async fn start() -> Self {
        let hits = Hits::default();
        let routes = Router::new()
            .route("/echo", any(|headers: HeaderMap, body: String| async move { (echo(&headers), body) }))
            .route("/fails-twice", any(fails_twice))
            .route("/busy", get(|| async { (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "3600")], "later") }))
            .route("/large", get(|| async { vec![b'x'; 10_000] }))
            .route(
                "/endless",
                get(|| async {
                    Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(1000))))
                }),
            )
            .route("/silent", get(|| async { std::future::pending::<()>().await }))
            .route(
                "/stalls",
                get(|| async {
                    Body::from_stream(
                        futures::stream::iter([Ok::<_, std::io::Error>("begin")]).chain(futures::stream::pending()),
                    )
                }),
            )
            .route("/loop", get(|| async { Redirect::temporary("/loop") }))
            .route("/to-echo", any(|| async { Redirect::to("/echo") }))
            .route(
                "/to-elsewhere",
                get(|State(port): State<u16>| async move { Redirect::to(&format!("http://127.0.0.2:{port}/echo")) }),
            )
            .route("/missing", get(|| async { (StatusCode::NOT_FOUND, "no such thing") }));
        let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let counter = Arc::clone(&hits);
        let count = axum::middleware::from_fn(move |request, next: axum::middleware::Next| {
            counter.fetch_add(1, Ordering::Relaxed);
            next.run(request)
        });
        let app = routes.layer(count).with_state(port).into_make_service();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base: Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap(), hits }
    }

    fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap()
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }
}

fn echo(headers: &HeaderMap) -> [(&'static str, String); 1] {
    let seen = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("none");
    [("x-seen-authorization", seen.to_owned())]
}

async fn fails_twice(headers: HeaderMap) -> Response {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    match CALLS.fetch_add(1, Ordering::Relaxed) {
        0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        1 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0")]).into_response(),
        _ => echo(&headers).into_response(),
    }
}

fn client(allow: &[&str]) -> Client {
    let policy = allow.iter().fold(Policy::public(), |policy, entry| policy.allow(entry).unwrap());
    Client::new(policy, ClientOptions::default()).unwrap()
}

const QUICK: RetryPolicy = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::standard() };

#[tokio::test]
async fn a_post_arrives_and_its_answer_comes_back() {
    let server = Server::start().await;
    let response =
        client(&["127.0.0.1"]).request(Request::post(server.url("echo"), "{\"a\":1}").bearer("key")).await.unwrap();
    assert_eq!(response.headers["x-seen-authorization"], "Bearer key");
    assert_eq!(response.success().await.unwrap().bytes(100).await.unwrap(), "{\"a\":1}");
}

#[tokio::test]
async fn what_the_policy_forbids_is_not_asked() {
    let server = Server::start().await;
    let error = client(&[]).request(Request::get(server.url("echo"))).await.unwrap_err();
    assert!(matches!(error, Error::Refused { refusal: Refusal::Address { .. }, .. }), "{error}");
    // The name passes the check of the URL, and what it resolves to does not pass the resolver.
    let mut by_name = server.url("echo");
    by_name.set_host(Some("localhost")).unwrap();
    let error = client(&["::1"]).request(Request::get(by_name.clone())).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "only ::1 may be tried, and nobody listens there: {error}");
    by_name.set_scheme("https").unwrap();
    let error = client(&[]).request(Request::get(by_name)).await.unwrap_err();
    assert!(matches!(error, Error::Refused { refusal: Refusal::Address { .. }, .. }), "{error}");
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn a_name_is_resolved_and_connected_to() {
    let server = Server::start().await;
    let mut url = server.url("echo");
    url.set_host(Some("localhost")).unwrap();
    let response = client(&["127.0.0.0/8"]).request(Request::get(url)).await.unwrap();
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn redirects_are_followed_and_checked_again() {
    let server = Server::start().await;
    let get = |path: &str| Request::get(server.url(path)).bearer("key");
    let followed = client(&["127.0.0.1"]).request(get("to-echo")).await.unwrap();
    assert_eq!(
        (followed.url().path(), &followed.headers["x-seen-authorization"]),
        ("/echo", &"Bearer key".parse().unwrap())
    );
    let refused = client(&["127.0.0.1"]).request(get("to-elsewhere")).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    let crossed = client(&["127.0.0.0/8"]).request(get("to-elsewhere")).await.unwrap();
    assert_eq!(crossed.headers["x-seen-authorization"], "none");
    let endless = client(&["127.0.0.1"]).request(get("loop")).await.unwrap_err();
    assert!(matches!(endless, Error::Redirect { .. }), "{endless}");
    let not_followed = client(&["127.0.0.1"]).request(Request::post(server.url("to-echo"), "{}")).await.unwrap();
    assert_eq!(not_followed.status, 303);
}

#[tokio::test]
async fn passing_failures_are_tried_again() {
    let server = Server::start().await;
    let request = Request { retry: QUICK, ..Request::post(server.url("fails-twice"), "{}") };
    assert_eq!(client(&["127.0.0.1"]).request(request).await.unwrap().status, 200);
    assert_eq!(server.hits(), 3);
}

#[tokio::test]
async fn a_wait_that_is_too_long_returns_the_answer_instead() {
    let server = Server::start().await;
    let response = client(&["127.0.0.1"]).request(Request::get(server.url("busy"))).await.unwrap();
    let error = response.success().await.unwrap_err();
    let Error::Status { status, retry_after, body, .. } = error else { panic!("{error}") };
    assert_eq!((status.as_u16(), retry_after, body.as_str()), (429, Some(Duration::from_secs(3600)), "later"));
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn answers_are_limited_whether_or_not_they_say_their_length() {
    let server = Server::start().await;
    let client = client(&["127.0.0.1"]);
    for path in ["large", "endless"] {
        let response = client.request(Request::get(server.url(path))).await.unwrap();
        assert!(matches!(response.bytes(5_000).await, Err(Error::TooLarge { limit_bytes: 5_000, .. })), "{path}");
    }
    let head = Request { max_response_bytes: 5_000, ..Request::get(server.url("large")) };
    assert!(matches!(client.request(head).await, Err(Error::TooLarge { .. })));
    let head = Request { method: Method::HEAD, max_response_bytes: 5_000, ..Request::get(server.url("large")) };
    assert_eq!(client.request(head).await.unwrap().content_length(), Some(10_000));
}

#[tokio::test]
async fn each_phase_has_its_time() {
    let server = Server::start().await;
    let client = client(&["127.0.0.1"]);
    let short = Duration::from_millis(30);
    let first_byte = Timeouts { first_byte: short, ..Timeouts::default() };
    let idle = Timeouts { idle: short, ..Timeouts::default() };
    let total = Timeouts { total: Some(short), ..Timeouts::default() };
    for (path, timeouts, expected) in [
        ("silent", first_byte, Phase::FirstByte),
        ("silent", total, Phase::Total),
        ("stalls", idle, Phase::Idle),
        ("stalls", total, Phase::Total),
    ] {
        let request = Request { timeouts, ..Request::get(server.url(path)) };
        let outcome = async { client.request(request).await?.bytes(1_000).await };
        let error = outcome.await.unwrap_err();
        assert!(matches!(error, Error::Timeout { phase, after_ms: 30, .. } if phase == expected), "{path}: {error}");
    }
}

#[tokio::test]
async fn a_body_streams_before_it_ends() {
    let server = Server::start().await;
    let mut body = client(&["127.0.0.1"]).request(Request::get(server.url("stalls"))).await.unwrap().body;
    assert_eq!(body.next().await.unwrap().unwrap(), "begin");
}

#[tokio::test]
async fn nobody_there_is_told_apart_from_a_bad_answer() {
    let client = client(&["127.0.0.1"]);
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = Request {
        retry: QUICK,
        ..Request::get(Url::parse(&format!("http://127.0.0.1:{port}/?token=secret")).unwrap())
    };
    let error = client.request(nobody).await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"));
    let server = Server::start().await;
    let response = client.request(Request::get(server.url("missing"))).await.unwrap();
    assert!(matches!(response.success().await, Err(Error::Status { status, .. }) if status == 404));
}

#[tokio::test]
async fn connections_are_kept() {
    let (address, accepted) = counting_server().await;
    let client = client(&["127.0.0.1"]);
    for _ in 0..20 {
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        client.request(Request::get(url)).await.unwrap().bytes(100).await.unwrap();
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}

/// A keep-alive server that counts its connections.
async fn counting_server() -> (std::net::SocketAddr, Hits) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, accepted) = (listener.local_addr().unwrap(), Hits::default());
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                // One read is one request here: the client sends the next only after the answer.
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                }
            });
        }
    });
    (address, accepted)
}
