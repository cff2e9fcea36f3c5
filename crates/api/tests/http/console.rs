//! The pages of the console: what they are sent with, and where they end and the API begins.

use http::Method;
use http::header::ACCEPT_ENCODING;

use crate::house::{Answer, House, OPERATOR, request};

async fn page(house: &House, path: &str) -> Answer {
    house.call(request(Method::GET, path, None, None)).await
}

/// The document's text; it has to be built, or the page says so instead.
fn html(answer: &Answer) -> String {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
    assert!(text.contains("id=\"root\""), "the console is not built: make test builds it first. {text}");
    text
}

/// The first file that the document loads.
fn script(html: &str) -> String {
    let after = html.split("src=\"/assets/").nth(1).unwrap();
    format!("/assets/{}", after.split('"').next().unwrap())
}

#[tokio::test]
async fn every_page_is_the_document_with_a_policy_and_a_nonce_of_its_own() {
    let house = House::open().await;
    let mut nonces = Vec::new();
    for path in ["/", "/traces", "/traces/0123456789abcdef0123456789abcdef", "/index.html"] {
        let answer = page(&house, path).await;
        let text = html(&answer);
        let policy = answer.header("content-security-policy").to_owned();
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        assert!(text.contains(&format!("content=\"{nonce}\"")), "{path}");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert!(!text.contains("%NONCE%") && !text.contains("<script>"), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store");
        nonces.push(nonce);
    }
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 4, "each answer has its own nonce");
}

#[tokio::test]
async fn files_are_kept_by_browsers_and_come_compressed_where_that_is_taken() {
    let house = House::open().await;
    let script = script(&html(&page(&house, "/").await));
    let plain = page(&house, &script).await;
    assert_eq!(plain.header("content-type"), "text/javascript; charset=utf-8");
    assert!(plain.header("cache-control").contains("immutable") && !plain.headers.contains_key("content-encoding"));
    let mut asked = request(Method::GET, &script, None, None);
    asked.headers_mut().insert(ACCEPT_ENCODING, "br;q=1.0, gzip;q=0.8".parse().unwrap());
    let packed = house.call(asked).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.bytes.starts_with(&[0x1f, 0x8b]) && packed.bytes.len() < plain.bytes.len() / 2);
}

#[tokio::test]
async fn the_api_and_files_that_are_gone_answer_with_errors_and_no_page() {
    let house = House::open().await;
    for path in ["/api/v1/none", "/api", "/v1/none", "/assets/index-old.js"] {
        house.get(OPERATOR, path).await.refused(404, "unknown_url");
    }
    house.post(OPERATOR, "/traces", serde_json::json!({})).await.refused(404, "unknown_url");
}
