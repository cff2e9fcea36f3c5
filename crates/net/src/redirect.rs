//! Where a redirect leads, and what may be carried there.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use url::Url;

use crate::Error;
use crate::error::place;
use crate::request::Request;

/// What another origin may see; everything else (credentials in whatever header) stays behind.
const CARRIED_ACROSS_ORIGINS: [HeaderName; 5] =
    [header::ACCEPT, header::ACCEPT_ENCODING, header::RANGE, header::IF_RANGE, header::USER_AGENT];

/// The request that follows the redirect `status` and `headers`, or none when it is no redirect.
///
/// # Errors
/// [`Error::Redirect`] when it leads from https to http, to no URL, or would carry a body to another origin.
pub(crate) fn follow(request: &Request, status: StatusCode, headers: &HeaderMap) -> Result<Option<Request>, Error> {
    let Some(url) = target(request, status, headers)? else { return Ok(None) };
    if request.url.scheme() == "https" && url.scheme() != "https" {
        return Err(refuse(request, "it leads from https to another scheme"));
    }
    let crosses = url.origin() != request.url.origin();
    let mut next = Request { url, ..request.clone() };
    if becomes_get(&request.method, status) {
        next.method = Method::GET;
        next.body = Bytes::new();
        next.headers.remove(header::CONTENT_TYPE);
    } else if crosses && !request.body.is_empty() {
        return Err(refuse(request, "it would carry the body to another origin"));
    }
    if crosses {
        next.headers = only_carried(&next.headers);
    }
    Ok(Some(next))
}

fn target(request: &Request, status: StatusCode, headers: &HeaderMap) -> Result<Option<Url>, Error> {
    let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = headers.get(header::LOCATION).filter(|_| redirects) else { return Ok(None) };
    let location = location.to_str().map_err(|_| refuse(request, "its Location is not text"))?;
    let url = request.url.join(location).map_err(|_| refuse(request, "its Location is no URL"))?;
    Ok(Some(url))
}

/// What browsers do (Fetch standard, "HTTP-redirect fetch"): 303 always, 301 and 302 for POST only.
fn becomes_get(method: &Method, status: StatusCode) -> bool {
    let head_or_get = *method == Method::GET || *method == Method::HEAD;
    match status.as_u16() {
        303 => !head_or_get,
        301 | 302 => *method == Method::POST,
        _ => false,
    }
}

fn only_carried(headers: &HeaderMap) -> HeaderMap {
    let carried = CARRIED_ACROSS_ORIGINS.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
    carried.collect()
}

fn refuse(request: &Request, reason: &'static str) -> Error {
    Error::Redirect { place: place(&request.url), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: Request, status: u16, location: &str) -> Result<Option<Request>, Error> {
        let headers = HeaderMap::from_iter([(header::LOCATION, location.parse().unwrap())]);
        follow(&from, StatusCode::from_u16(status).unwrap(), &headers)
    }

    fn get(url: &str) -> Request {
        let url = Url::parse(url).unwrap();
        Request::get(url).bearer("secret").header(header::RANGE, "bytes=5-".parse().unwrap())
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let same = check(get("https://a.example/x"), 302, "/y").unwrap().unwrap();
        assert_eq!(same.url.as_str(), "https://a.example/y");
        assert!(same.headers.contains_key(header::AUTHORIZATION));
        for other in ["https://b.example/", "https://a.example:8443/"] {
            let crossed = check(get("https://a.example/x"), 302, other).unwrap().unwrap();
            assert!(!crossed.headers.contains_key(header::AUTHORIZATION), "{other}");
            assert_eq!(crossed.headers[header::RANGE], "bytes=5-");
        }
    }

    #[test]
    fn https_never_becomes_http() {
        assert!(matches!(check(get("https://a.example/"), 302, "http://a.example/"), Err(Error::Redirect { .. })));
    }

    #[test]
    fn a_body_does_not_cross_origins() {
        let post = || Request::post(Url::parse("https://a.example/x").unwrap(), "{}");
        assert!(matches!(check(post(), 307, "https://b.example/"), Err(Error::Redirect { .. })));
        let kept = check(post(), 308, "/y").unwrap().unwrap();
        assert_eq!((kept.method, &kept.body[..]), (Method::POST, &b"{}"[..]));
        let turned = check(post(), 303, "https://b.example/").unwrap().unwrap();
        assert_eq!((turned.method, turned.body.len()), (Method::GET, 0));
    }

    #[test]
    fn what_is_no_redirect_is_not_followed() {
        assert!(check(get("https://a.example/"), 304, "/y").unwrap().is_none());
        assert!(check(get("https://a.example/"), 200, "/y").unwrap().is_none());
    }
}
