//! `/api/v1/sign-in`: how a browser comes to be somebody, and how it ends.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use qd_base::id::KeyId;
use qd_base::name::{AccountName, ProjectName};
use qd_base::secret::Secret;
use qd_base::time::Timestamp;
use qd_catalog::{Holder, NewSignIn, Role, Scope, SignIn, check_password};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authentication;
use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{SmallJson, ThisSignIn};
use crate::peer::Peer;
use crate::permission::Permission;
use crate::reply::Json;
use crate::route::Route;
use crate::state::{Shared, Surface};

const PATH: &str = "/api/v1/sign-in";
const PASSWORD_PATH: &str = "/api/v1/sign-in/password";

pub(crate) fn routes() -> Vec<Route> {
    let enter = Doc::new("Sign-in", "signIn", "Sign in with an account's password or with a key")
        .text("Sets a cookie that stands for the sign-in until it ends: when it is signed out, after 12 hours without a request, after 7 days, or as soon as its key is revoked or its account disabled, removed or given another password. With the cookie every request but GET and HEAD needs the header x-csrf-token.")
        .takes::<Credentials>()
        .gives::<SignedIn>(200, "Who is signed in now");
    let current = Doc::new("Sign-in", "getSignIn", "Who is signed in").gives::<SignedIn>(200, "Who it is");
    let leave = Doc::new("Sign-in", "signOut", "Sign out").gives_nothing("The cookie is void, here and in the browser");
    let password = Doc::new("Sign-in", "changeOwnPassword", "Change one's own password")
        .text("Of the account that is signed in. Its other sign-ins end at once, this one goes on. Attempts with a wrong password are slowed down as those to sign in are.")
        .takes::<PasswordChange>()
        .gives_nothing("The password is the new one");
    vec![
        Route::post(PATH, Permission::Public, enter, begin),
        Route::get(PATH, Permission::SignedIn, current, show),
        Route::delete(PATH, Permission::SignedIn, leave, end),
        Route::put(PASSWORD_PATH, Permission::SignedIn, password, change_password),
    ]
}

async fn begin(
    State(surface): State<Shared>,
    peer: Peer,
    SmallJson(credentials): SmallJson<Credentials>,
) -> Result<Response> {
    let shown = credentials.shown()?;
    let account = match &shown {
        Shown::Password(account, _) => account.parse().ok(),
        Shown::Key(_) => None,
    };
    let attempt = surface.attempts.begin(account, peer.address)?;
    let made = enter(&surface, &shown, &peer).await?.ok_or(Error::WrongCredentials)?;
    attempt.succeeded();
    let NewSignIn { sign_in, token } = made;
    let left = sign_in.expires.since(sign_in.created).as_secs();
    Ok(with_cookie(&cookie(&surface, token.expose(), left, peer.tls), Json(SignedIn::from(sign_in))))
}

async fn enter(surface: &Surface, shown: &Shown, peer: &Peer) -> Result<Option<NewSignIn>> {
    let catalog = &surface.app.catalog;
    let made = match shown {
        Shown::Password(account, password) => catalog.sign_in_with_password(account, password, peer.address).await,
        Shown::Key(key) => catalog.sign_in_with_key(key.expose(), peer.address).await,
    };
    Ok(made?)
}

async fn show(sign_in: ThisSignIn) -> Response {
    ([(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(SignedIn::from(sign_in.0))).into_response()
}

async fn end(State(surface): State<Shared>, peer: Peer, headers: HeaderMap) -> Result<Response> {
    if let Some(token) = authentication::session(&surface.cookie, &headers) {
        surface.app.catalog.sign_out(token).await?;
    }
    Ok(with_cookie(&cookie(&surface, "", 0, peer.tls), StatusCode::NO_CONTENT))
}

/// Whoever finds a browser signed in must not be able to guess the password there either.
async fn change_password(
    State(surface): State<Shared>,
    peer: Peer,
    ThisSignIn(sign_in): ThisSignIn,
    headers: HeaderMap,
    SmallJson(change): SmallJson<PasswordChange>,
) -> Result<StatusCode> {
    let Holder::Account(person) = sign_in.holder else { return Err(Error::NoPassword) };
    let token = authentication::session(&surface.cookie, &headers).ok_or(Error::NotSignedIn)?;
    // What cannot be a password is no attempt.
    check_password(&change.password)?;
    let attempt = surface.attempts.begin(Some(person.account), peer.address)?;
    let catalog = &surface.app.catalog;
    match catalog.change_own_password(token, &change.current, &change.password, peer.address).await? {
        true => attempt.succeeded(),
        false => return Err(Error::WrongPassword),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `Strict`: no request that another site began carries it. Scripts cannot read it.
fn cookie(surface: &Surface, token: &str, max_age_s: u64, tls: bool) -> String {
    let (name, secure) = (&surface.cookie, if tls { "; Secure" } else { "" });
    format!("{name}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age_s}{secure}")
}

fn with_cookie(cookie: &str, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A token is base64, so this is a header value.
    headers.extend(HeaderValue::try_from(cookie).map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// What shows who somebody is: either `key`, or `account` and `password`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// An API key.
    #[schema(value_type = Option<String>, write_only)]
    key: Option<Secret>,
    /// An account's name.
    account: Option<String>,
    /// Its password.
    #[schema(value_type = Option<String>, write_only)]
    password: Option<Secret>,
}

/// A password and the one that is to replace it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The one that the account has.
    #[schema(value_type = String, write_only)]
    current: Secret,
    /// The one that it is to have: at least 12 characters.
    #[schema(value_type = String, write_only)]
    password: Secret,
}

enum Shown {
    Key(Secret),
    Password(String, Secret),
}

impl Credentials {
    fn shown(self) -> Result<Shown> {
        match (self.key, self.account, self.password) {
            (Some(key), None, None) => Ok(Shown::Key(key)),
            (None, Some(account), Some(password)) => Ok(Shown::Password(account, password)),
            _ => Err(Error::Parameter {
                message: "Give either 'key', or 'account' and 'password'.".to_owned(),
                param: None,
                code: Some("invalid_value"),
            }),
        }
    }
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub struct SignedIn {
    /// The account, when it was one.
    #[schema(value_type = Option<String>)]
    account: Option<AccountName>,
    /// The key, when it was one.
    #[schema(value_type = Option<String>, format = Uuid)]
    key_id: Option<KeyId>,
    /// The account's role: `viewer`, `editor`, `admin`.
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    /// What may be done: all of `infer`, `read`, `write`, `admin` that are granted, by themselves or by another.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// The project acted in.
    #[schema(value_type = String)]
    project: ProjectName,
    /// What the header x-csrf-token must say with every request but GET and HEAD.
    csrf_token: String,
    /// When the sign-in ends at the latest.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
}

impl From<SignIn> for SignedIn {
    fn from(sign_in: SignIn) -> Self {
        let granted = sign_in.holder.scopes();
        let scopes = Scope::ALL.into_iter().filter(|scope| granted.allow(*scope)).collect();
        let (account, key_id, role, project) = match sign_in.holder {
            Holder::Account(person) => (Some(person.account), None, Some(person.role), person.project_name),
            Holder::Key(principal) => (None, Some(principal.key_id), None, principal.project_name),
        };
        let csrf_token = sign_in.csrf_token.expose().to_owned();
        Self { account, key_id, role, scopes, project, csrf_token, expires: sign_in.expires }
    }
}
