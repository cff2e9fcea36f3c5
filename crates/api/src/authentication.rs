//! Who calls: an API key, this machine's own user by the local token, or a browser that is signed in.
//!
//! A browser sends its cookie by itself, also when another site's page made it ask. So with the cookie every request that
//! may change something must carry a token in a header, which only our own pages know and no other site can send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use http::{HeaderMap, Method};
use qd_catalog::{Catalog, SignIn};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};
use crate::permission::Caller;
use crate::state::Surface;

/// What the name of a signed-in browser's cookie begins with.
pub(crate) const SESSION: &str = "quarterdeck_session";
/// The header that a change needs beside the cookie.
pub(crate) const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
/// With it the operator names the project to act in; without it that is the default one.
const PROJECT: &str = "x-quarterdeck-project";

/// The name of a signed-in browser's cookie. Browsers keep cookies by host and not by port, so that servers on one host would
/// sign each other's out: the name ends with what only this data folder has, the random last digits of its default project.
pub(crate) fn cookie_name(catalog: &Catalog) -> String {
    let project = catalog.default_project().id.to_string();
    format!("{SESSION}_{}", project.rsplit('-').next().unwrap_or_default())
}

/// The caller that the request's bearer token stands for, or else its cookie, or else its password.
///
/// # Errors
/// [`Error::NoKey`] without any, [`Error::WrongKey`] when nobody has the token; as [`signed_in`] for the cookie.
pub(crate) async fn authenticate(surface: &Surface, method: &Method, headers: &HeaderMap) -> Result<Caller> {
    if let Some(token) = bearer(headers) {
        return by_token(surface, headers, token).await;
    }
    if session(&surface.cookie, headers).is_some() {
        return signed_in(surface, method, headers).await.map(|sign_in| sign_in.holder.into());
    }
    // After the cookie: browsers send a password for a proxy before us by themselves, beside it.
    match password(headers) {
        Some(token) => by_token(surface, headers, &token).await,
        None => Err(Error::NoKey),
    }
}

/// The sign-in that the request's cookie stands for.
///
/// # Errors
/// [`Error::NotSignedIn`] without one, [`Error::Csrf`] when the request may change something and lacks its token.
pub(crate) async fn signed_in(surface: &Surface, method: &Method, headers: &HeaderMap) -> Result<SignIn> {
    let token = session(&surface.cookie, headers).ok_or(Error::NotSignedIn)?;
    let sign_in = surface.app.catalog.signed_in(token).await.ok_or(Error::NotSignedIn)?;
    let only_reads = matches!(*method, Method::GET | Method::HEAD);
    let sent = headers.get(CSRF_TOKEN).map_or(&b""[..], |value| value.as_bytes());
    match only_reads || bool::from(sign_in.csrf_token.expose().as_bytes().ct_eq(sent)) {
        true => Ok(sign_in),
        false => Err(Error::Csrf),
    }
}

/// The token in the cookie of this name. HTTP/2 may send each cookie in a header of its own (RFC 9113, section 8.2.3).
pub(crate) fn session<'a>(cookie: &str, headers: &'a HeaderMap) -> Option<&'a str> {
    let sent = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    sent.flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, token)| (name == cookie && !token.is_empty()).then_some(token))
}

async fn by_token(surface: &Surface, headers: &HeaderMap, token: &str) -> Result<Caller> {
    if let Some(principal) = surface.app.catalog.authenticate(token) {
        return Ok(Caller::Key(principal));
    }
    match is_local_token(surface, token) {
        true => operator(surface, headers).await,
        false => Err(Error::WrongKey),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers, "bearer").filter(|token| !token.is_empty())
}

/// The password of Basic authentication (RFC 7617), whatever the name beside it: Langfuse's clients send their secret key so,
/// with the public one for a name.
fn password(headers: &HeaderMap) -> Option<String> {
    let pair = String::from_utf8(STANDARD.decode(credentials(headers, "basic")?).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned()).filter(|password| !password.is_empty())
}

/// What follows the name of this scheme.
fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (sent, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    sent.eq_ignore_ascii_case(scheme).then_some(credentials.trim())
}

fn is_local_token(surface: &Surface, token: &str) -> bool {
    let local = surface.app.config.local_token.as_ref();
    local.is_some_and(|local| bool::from(local.expose().as_bytes().ct_eq(token.as_bytes())))
}

async fn operator(surface: &Surface, headers: &HeaderMap) -> Result<Caller> {
    let project = match headers.get(PROJECT).map(|value| value.to_str().unwrap_or_default()) {
        None => surface.app.catalog.default_project().clone(),
        Some(name) => {
            let known = name.parse().map_err(|_| Error::missing("project", name))?;
            surface.app.catalog.project(&known).await?
        }
    };
    Ok(Caller::Operator { project: project.id, project_name: project.name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_token_is_a_bearer_or_a_password() {
        let found = |sent: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, sent.parse().unwrap())]);
            bearer(&headers).map(str::to_owned).or_else(|| password(&headers))
        };
        assert_eq!(found("Bearer abc").as_deref(), Some("abc"));
        // `printf 'pk-lf-1:sk:2' | base64`
        assert_eq!(found("Basic cGstbGYtMTpzazoy").as_deref(), Some("sk:2"));
        assert_eq!(found("basic cGstbGYtMTpzazoy").as_deref(), Some("sk:2"));
        // A name alone, an empty password, what is no base64, another scheme.
        for nothing in ["Basic cGs=", "Basic cGs6", "Basic !", "Bearer ", "Digest x", "abc"] {
            assert_eq!(found(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = |sent: &[&str]| {
            let headers: HeaderMap = sent.iter().map(|value| (COOKIE, value.parse().unwrap())).collect();
            session("quarterdeck_session_1", &headers).map(str::to_owned)
        };
        let token = Some("abc".to_owned());
        assert_eq!(found(&["quarterdeck_session_1=abc"]), token);
        assert_eq!(found(&["theme=dark; quarterdeck_session_1=abc;x=1"]), token);
        assert_eq!(found(&["theme=dark", "quarterdeck_session_1=abc"]), token);
        assert_eq!(found(&["quarterdeck_session_2=xyz; quarterdeck_session=old; quarterdeck_session_1=abc"]), token);
        for nothing in [
            "",
            "quarterdeck_session_1",
            "quarterdeck_session_1=",
            "quarterdeck_session=abc",
            "quarterdeck_session_2=abc",
            "xquarterdeck_session_1=abc",
            "a=quarterdeck_session_1=abc",
        ] {
            assert_eq!(found(&[nothing]), None, "{nothing}");
        }
    }
}
