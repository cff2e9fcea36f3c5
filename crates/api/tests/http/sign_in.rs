//! `/api/v1/sign-in`, and requests with its cookie.

use axum::body::Body;
use http::header::{COOKIE, ORIGIN};
use http::{Method, Request};
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{Answer, House, OPERATOR, request};

const PATH: &str = "/api/v1/sign-in";
const KEYS: &str = "/api/v1/keys";
pub const PASSWORD: &str = "correct horse battery";

/// A browser: it sends its cookie by itself, and its pages know the token.
pub struct Browser<'a> {
    house: &'a House,
    cookie: String,
    csrf_token: Option<String>,
    pub signed_in: Value,
}

impl<'a> Browser<'a> {
    pub async fn sign_in(house: &'a House, credentials: Value) -> Self {
        let answer = post(house, &credentials).await;
        let signed_in = answer.expect(200);
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        Self { house, cookie, csrf_token: signed_in["csrf_token"].as_str().map(str::to_owned), signed_in }
    }

    /// A new account of this role, signed in.
    pub async fn of_account(house: &'a House, name: &str, role: &str) -> Self {
        let new = json!({"name": name, "password": PASSWORD, "role": role});
        house.post(OPERATOR, "/api/v1/accounts", new).await.expect(201);
        Self::sign_in(house, json!({"account": name, "password": PASSWORD})).await
    }

    /// The same browser on a page that knows another token, or none.
    fn with_token(self, csrf_token: Option<&str>) -> Self {
        Self { csrf_token: csrf_token.map(str::to_owned), ..self }
    }

    pub fn request(&self, method: Method, path: &str, body: Option<Value>) -> Request<Body> {
        let changes = method != Method::GET;
        let mut request = request(method, path, None, body.map(|body| body.to_string()));
        request.headers_mut().insert(COOKIE, format!("theme=dark; {}", self.cookie).parse().unwrap());
        if let (true, Some(token)) = (changes, &self.csrf_token) {
            request.headers_mut().insert("x-csrf-token", token.parse().unwrap());
        }
        request
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.house.call(self.request(method, path, body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }
}

async fn post(house: &House, credentials: &Value) -> Answer {
    house.call(request(Method::POST, PATH, None, Some(credentials.to_string()))).await
}

fn new_key() -> Option<Value> {
    Some(json!({"name": "made in the console", "scopes": ["read"]}))
}

#[tokio::test]
async fn an_account_signs_in_changes_something_and_signs_out() {
    let house = House::open().await;
    let browser = Browser::of_account(&house, "ada", "admin").await;
    let signed_in = &browser.signed_in;
    assert_eq!((&signed_in["account"], &signed_in["role"]), (&json!("ada"), &json!("admin")));
    assert_eq!((&signed_in["key_id"], &signed_in["project"]), (&Value::Null, &json!("default")));
    assert_eq!(signed_in["scopes"], json!(["infer", "read", "write", "admin"]));
    let current = browser.get(PATH).await;
    assert_eq!((&current.expect(200), current.header("cache-control")), (signed_in, "no-store"));

    browser.call(Method::POST, KEYS, new_key()).await.expect(201);
    let audit = browser.get("/api/v1/audit?noun=key").await.expect(200);
    assert_eq!(audit["data"][0]["actor"], "account:ada");

    let left = browser.call(Method::DELETE, PATH, None).await;
    left.expect(204);
    assert_eq!(left.header("set-cookie"), "quarterdeck_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    browser.get(PATH).await.refused(401, "not_signed_in");
    browser.get(KEYS).await.refused(401, "not_signed_in");
    let audit = house.get(OPERATOR, "/api/v1/audit?noun=sign-in").await.expect(200);
    let actions: Vec<_> = audit["data"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["end", "create"]);
    assert_eq!(house.get(OPERATOR, "/api/v1/audit/verify").await.expect(200)["intact"], true);
}

#[tokio::test]
async fn the_cookie_is_for_this_site_s_requests_only() {
    let house = House::open().await;
    let key = house.key(&[Scope::Read]).await;
    let body = json!({"key": key}).to_string();
    let plain = house.call(request(Method::POST, PATH, None, Some(body.clone()))).await;
    let (token, attributes) = plain.header("set-cookie").split_once("; ").unwrap();
    assert_eq!(token.len(), "quarterdeck_session=".len() + 43, "256 bits in base64");
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/; Max-Age=604800");
    assert!(!plain.text().contains(token.split_once('=').unwrap().1), "scripts never see the token");
    for (name, value) in [(ORIGIN.as_str(), "https://llm.example.org"), ("x-forwarded-proto", "https")] {
        let mut request = request(Method::POST, PATH, None, Some(body.clone()));
        request.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        assert!(house.call(request).await.header("set-cookie").ends_with("; Secure"), "{name}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_one_way() {
    let house = House::open().await;
    Browser::of_account(&house, "ada", "viewer").await;
    let mut said = Vec::new();
    for wrong in [
        json!({"account": "ada", "password": "correct horse batterx"}),
        json!({"account": "bob", "password": PASSWORD}),
        json!({"account": "No Such Name", "password": PASSWORD}),
        json!({"key": "qd-0123456789"}),
        json!({"key": OPERATOR}),
    ] {
        let answer = post(&house, &wrong).await;
        said.push(answer.refused(401, "wrong_credentials")["message"].clone());
        assert_eq!(answer.header("set-cookie"), "");
    }
    assert!(said.iter().all(|message| *message == said[0]), "{said:?}");
    for malformed in [json!({}), json!({"account": "ada"}), json!({"key": "x", "account": "ada", "password": "y"})] {
        post(&house, &malformed).await.refused(400, "invalid_value");
    }
    post(&house, &json!({"key": "x".repeat(17 << 10)})).await.refused(413, "body_too_large");
}

#[tokio::test]
async fn a_change_needs_the_token_that_other_sites_do_not_know() {
    let house = House::open().await;
    let other = Browser::of_account(&house, "bob", "admin").await;
    let browser = Browser::of_account(&house, "ada", "admin").await.with_token(None);
    browser.get(KEYS).await.expect(200);
    browser.call(Method::HEAD, KEYS, None).await.expect(200);
    let theirs = other.signed_in["csrf_token"].as_str().unwrap().to_owned();
    let mut browser = browser;
    for token in [None, Some(""), Some("wrong"), Some(theirs.as_str())] {
        browser = browser.with_token(token);
        browser.call(Method::POST, KEYS, new_key()).await.refused(403, "csrf_token");
        browser.call(Method::DELETE, PATH, None).await.refused(403, "csrf_token");
    }
    browser.get(PATH).await.expect(200);
    let right = browser.signed_in["csrf_token"].as_str().unwrap().to_owned();
    browser.with_token(Some(&right)).call(Method::POST, KEYS, new_key()).await.expect(201);
}

#[tokio::test]
async fn a_key_signs_in_until_it_is_revoked() {
    let house = House::open().await;
    let made = house.post(OPERATOR, KEYS, json!({"name": "mine", "scopes": ["write"]})).await.expect(201);
    let browser = Browser::sign_in(&house, json!({"key": made["key"]})).await;
    assert_eq!((&browser.signed_in["key_id"], &browser.signed_in["account"]), (&made["record"]["id"], &Value::Null));
    assert_eq!(browser.signed_in["scopes"], json!(["read", "write"]), "all that is granted");
    browser.get("/api/v1/jobs").await.expect(200);
    browser.get(KEYS).await.refused(403, "missing_scope");
    house.delete(OPERATOR, &format!("{KEYS}/{}", made["record"]["id"].as_str().unwrap())).await.expect(204);
    browser.get("/api/v1/jobs").await.refused(401, "not_signed_in");
    post(&house, &json!({"key": made["key"]})).await.refused(401, "wrong_credentials");
}

#[tokio::test]
async fn a_bearer_token_wins_over_the_cookie() {
    let house = House::open().await;
    let browser = Browser::of_account(&house, "ada", "viewer").await;
    let with = |method: Method, token: &str, body: Option<Value>| {
        let mut request = browser.request(method, KEYS, body);
        request.headers_mut().remove("x-csrf-token");
        request.headers_mut().insert("authorization", token.parse().unwrap());
        request
    };
    let admin = format!("Bearer {OPERATOR}");
    house.call(with(Method::POST, &admin, new_key())).await.expect(201);
    house.call(with(Method::GET, "Bearer qd-wrong", None)).await.refused(401, "invalid_api_key");
    // What a proxy before us asked for is no bearer token.
    house.call(with(Method::GET, "Basic YTpi", None)).await.refused(403, "missing_scope");
}

#[tokio::test]
async fn guessing_is_slowed_down_by_account_and_by_address() {
    let house = House::open().await;
    Browser::of_account(&house, "ada", "viewer").await;
    let guess = async |account: &str, password: &str, from: &str| {
        let body = json!({"account": account, "password": password}).to_string();
        let mut request = request(Method::POST, PATH, None, Some(body));
        request.headers_mut().insert("x-forwarded-for", from.parse().unwrap());
        house.call(request).await
    };
    for i in 0..5 {
        guess("ada", "a wrong password", &format!("192.0.2.{i}")).await.refused(401, "wrong_credentials");
    }
    let slowed = guess("ada", PASSWORD, "192.0.2.9").await;
    slowed.refused(429, "too_many_attempts");
    assert_eq!(slowed.header("retry-after"), "1");

    for i in 0..10 {
        guess(&format!("nobody{i}"), PASSWORD, "198.51.100.1").await.refused(401, "wrong_credentials");
    }
    guess("somebody", PASSWORD, "198.51.100.1").await.refused(429, "too_many_attempts");
    guess("somebody", PASSWORD, "198.51.100.2").await.refused(401, "wrong_credentials");
}
