//! Who calls: an API key, or this machine's own user by the local token.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};
use crate::permission::Caller;
use crate::state::Surface;

/// With it the operator names the project to act in; without it that is the default one.
const PROJECT: &str = "x-quarterdeck-project";

/// The caller that the request's bearer token stands for.
///
/// # Errors
/// [`Error::NoKey`] without a token, [`Error::WrongKey`] when nobody has it.
pub(crate) async fn authenticate(surface: &Surface, headers: &HeaderMap) -> Result<Caller> {
    let token = bearer(headers).ok_or(Error::NoKey)?;
    if let Some(principal) = surface.app.catalog.authenticate(token) {
        return Ok(Caller::Key(principal));
    }
    match is_local_token(surface, token) {
        true => operator(surface, headers).await,
        false => Err(Error::WrongKey),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
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
