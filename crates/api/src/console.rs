//! The console: the pages of `web/`, built into the binary and served at `/`.
//!
//! Pages are one document and files named by their content. The document's Content-Security-Policy lets only those files
//! run, and only styles that carry the nonce of this very answer apply; so text of a model cannot become code, and no
//! image or request leaves for another host. Files stand here compressed, as the build made them.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap,
    REFERRER_POLICY, VARY,
};
use http::{HeaderValue, Method};
use rust_embed::RustEmbed;

/// `web/dist`, as it was when the binary was built; without it the binary says how to build it.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Files;

/// The document of all pages.
const DOCUMENT: &str = "index.html";
/// Stands in the document where the nonce belongs.
const NONCE: &str = "%NONCE%";
/// Paths that belong to the API: what is not found there is an error and no page.
const NOT_PAGES: [&str; 5] = ["/api/", "/v1/", "/openapi.json", "/health", "/ready"];
/// What a binary that was built without pages shows.
const UNBUILT: &str = "<!doctype html><meta charset=\"utf-8\"><title>Quarterdeck</title><p>This binary was built without the console. \
                       <code>make run</code> builds both.</p>";

/// The page or file that a request is for, if it is for one.
pub(crate) fn answer(request: &Request) -> Option<Response> {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads || NOT_PAGES.iter().any(|prefix| path.starts_with(prefix) || path == prefix.trim_end_matches('/')) {
        return None;
    }
    let name = path.trim_start_matches('/');
    match Files::get(name).filter(|_| name != DOCUMENT && !name.is_empty()) {
        Some(file) => Some(asset(name, file, request.headers())),
        // A file that an older page asks for is gone; a page would be taken for a script.
        None if name.starts_with("assets/") => None,
        None => Some(document()),
    }
}

/// The document, with a nonce of its own.
fn document() -> Response {
    let text = Files::get(DOCUMENT).and_then(|file| String::from_utf8(file.data.into_owned()).ok());
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; font-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    let html = text.map_or_else(|| UNBUILT.to_owned(), |text| text.replace(NONCE, &nonce));
    let mut response = html.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Nothing in it but a number in hexadecimal is not fixed, so it is a header value.
    headers.extend(HeaderValue::try_from(policy).map(|policy| (CONTENT_SECURITY_POLICY, policy)));
    response
}

/// A file, compressed when the build did that and the browser takes it.
fn asset(name: &str, file: rust_embed::EmbeddedFile, asked: &HeaderMap) -> Response {
    let packed = Files::get(&format!("{name}.gz")).filter(|_| takes_gzip(asked));
    let encoding = packed.as_ref().map(|_| (CONTENT_ENCODING, HeaderValue::from_static("gzip")));
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = Body::from(packed.unwrap_or(file).data.into_owned()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(name)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.extend(encoding);
    response
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    let listed = asked.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    listed.split(',').any(|coding| coding.split(';').next().is_some_and(|name| name.trim() == "gzip"))
}

/// The build makes files of these kinds only.
fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
