//! `/api/v1/sign-in`, and requests with its cookie.

use axum::body::Body;
use http::header::{COOKIE, ORIGIN};
use http::{Method, Request};
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{Answer, House, OPERATOR, request};

const PATH: &str = "/api/v1/sign-in";
const OWN_PASSWORD: &str = "/api/v1/sign-in/password";
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
    let name = browser.cookie.split_once('=').unwrap().0;
    assert_eq!(left.header("set-cookie"), format!("{name}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"));
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
    let (name, token) = token.split_once('=').unwrap();
    assert_eq!(token.len(), 43, "256 bits in base64");
    let id = name.strip_prefix("quarterdeck_session_").unwrap();
    assert!(id.len() == 12 && id.chars().all(|digit| digit.is_ascii_hexdigit()), "{name}");
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/; Max-Age=604800");
    assert!(!plain.text().contains(token), "scripts never see the token");
    for (name, value) in [(ORIGIN.as_str(), "https://llm.example.org"), ("x-forwarded-proto", "https")] {
        let mut request = request(Method::POST, PATH, None, Some(body.clone()));
        request.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        assert!(house.call(request).await.header("set-cookie").ends_with("; Secure"), "{name}");
    }
}

/// A browser sends the cookies of a host to all its ports.
#[tokio::test]
async fn two_servers_on_one_host_do_not_sign_each_other_out() {
    let (one, other) = (House::open().await, House::open().await);
    let mut here = Browser::of_account(&one, "ada", "admin").await;
    let mut there = Browser::of_account(&other, "ada", "admin").await;
    assert_ne!(here.cookie.split_once('=').unwrap().0, there.cookie.split_once('=').unwrap().0);
    let both = format!("{}; {}", here.cookie, there.cookie);
    (here.cookie, there.cookie) = (both.clone(), both);
    here.get(KEYS).await.expect(200);
    there.get(KEYS).await.expect(200);
    here.call(Method::DELETE, PATH, None).await.expect(204);
    here.get(KEYS).await.refused(401, "not_signed_in");
    there.get(KEYS).await.expect(200);
}

fn new_password(current: &str, password: &str) -> Option<Value> {
    Some(json!({"current": current, "password": password}))
}

#[tokio::test]
async fn people_change_their_own_password_and_only_this_sign_in_goes_on() {
    const NEW: &str = "another good password";
    let house = House::open().await;
    let browser = Browser::of_account(&house, "ada", "viewer").await;
    let other = Browser::sign_in(&house, json!({"account": "ada", "password": PASSWORD})).await;
    let bob = Browser::of_account(&house, "bob", "viewer").await;
    browser.call(Method::PUT, OWN_PASSWORD, new_password(PASSWORD, NEW)).await.expect(204);
    assert_eq!(browser.get(PATH).await.expect(200), browser.signed_in);
    other.get(PATH).await.refused(401, "not_signed_in");
    bob.get(PATH).await.expect(200);
    post(&house, &json!({"account": "ada", "password": PASSWORD})).await.refused(401, "wrong_credentials");
    post(&house, &json!({"account": "ada", "password": NEW})).await.expect(200);
    let audit = house.get(OPERATOR, "/api/v1/audit?noun=account&subject=ada").await;
    let last = &audit.expect(200)["data"][0];
    assert_eq!((&last["actor"], &last["action"]), (&json!("account:ada"), &json!("update")));
    assert_eq!(last["detail"]["password"], "changed");
    assert!(!audit.text().contains(NEW) && !audit.text().contains(PASSWORD));
}

#[tokio::test]
async fn a_password_is_not_changed_by_who_does_not_know_it() {
    let house = House::open().await;
    let browser = Browser::of_account(&house, "ada", "admin").await;
    let put = async |body| browser.call(Method::PUT, OWN_PASSWORD, body).await;
    // What cannot be a password is no attempt.
    for _ in 0..6 {
        put(new_password(PASSWORD, "too short")).await.refused(400, "invalid_value");
    }
    put(new_password(PASSWORD, &"x".repeat(1025))).await.refused(400, "too_large");
    put(Some(json!({"password": "another good password"}))).await.refused(400, "missing_required_parameter");
    for _ in 0..5 {
        put(new_password("not the password", "another good password")).await.refused(403, "wrong_password");
    }
    let slowed = put(new_password(PASSWORD, "another good password")).await;
    slowed.refused(429, "too_many_attempts");
    assert_eq!(slowed.header("retry-after"), "1");
    browser.get(PATH).await.expect(200);
    let audit = house.get(OPERATOR, "/api/v1/audit?noun=account&subject=ada").await.expect(200);
    assert_eq!((&audit["data"][0]["action"], &audit["data"][5]["action"]), (&json!("refuse"), &json!("create")));

    let key = house.key(&[Scope::Admin]).await;
    let with_key = Browser::sign_in(&house, json!({"key": key})).await;
    let body = new_password(PASSWORD, "another good password");
    with_key.call(Method::PUT, OWN_PASSWORD, body.clone()).await.refused(403, "no_password");
    // A key by itself is no sign-in.
    house.put(&key, OWN_PASSWORD, body.unwrap()).await.refused(401, "not_signed_in");
}

#[tokio::test]
async fn another_site_changes_no_password() {
    let house = House::open().await;
    let mut browser = Browser::of_account(&house, "ada", "admin").await;
    for token in [None, Some("wrong")] {
        browser = browser.with_token(token);
        let body = new_password(PASSWORD, "another good password");
        browser.call(Method::PUT, OWN_PASSWORD, body).await.refused(403, "csrf_token");
    }
    post(&house, &json!({"account": "ada", "password": PASSWORD})).await.expect(200);
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
