//! The command line, resolved once into what it means.

use std::str::FromStr;
use std::time::Duration;

use crate::Error;
use crate::export::Export;
use crate::load::Load;
use crate::stub::Stub;
use crate::traffic::Traffic;

/// What any gateway is asked when nothing else is said.
const BODY: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"What is the capital of France, and how many people live there?"}]}"#;

/// The stub's settings.
pub(crate) fn stub(words: impl Iterator<Item = String>) -> Result<Stub, Error> {
    let mut stub = Stub { port: 9100, delay: Duration::from_millis(20), events: 20, event_gap: Duration::ZERO };
    each_option(words, |name, value| {
        match name {
            "--port" => stub.port = parse(name, value)?,
            "--delay-ms" => stub.delay = Duration::from_millis(parse(name, value)?),
            "--events" => stub.events = parse(name, value)?,
            "--event-gap-ms" => stub.event_gap = Duration::from_millis(parse(name, value)?),
            _ => return Err(unknown(name)),
        }
        Ok(())
    })?;
    Ok(stub)
}

/// The load's settings.
pub(crate) fn load(words: impl Iterator<Item = String>) -> Result<Load, Error> {
    let (mut url, mut headers, mut body) = (None, Vec::new(), BODY.to_owned());
    let (mut connections, mut seconds, mut warm_up, mut rate) = (64, 10.0, 2.0, 0.0);
    each_option(words, |name, value| {
        match name {
            "--url" => url = Some(value.to_owned()),
            "--header" => headers.push(value.to_owned()),
            "--body" => body = value.to_owned(),
            "--connections" => connections = parse(name, value)?,
            "--seconds" => seconds = parse(name, value)?,
            "--warm-up" => warm_up = parse(name, value)?,
            "--rate" => rate = parse(name, value)?,
            _ => return Err(unknown(name)),
        }
        Ok(())
    })?;
    let url = url.ok_or_else(|| Error::Arguments("--url is missing".to_owned()))?;
    let (address, path) = split_url(&url)?;
    let request = request_bytes(address, path, &headers, &body);
    Ok(Load {
        address: address.to_owned(),
        request,
        connections,
        measured: Duration::from_secs_f64(seconds),
        warm_up: Duration::from_secs_f64(warm_up),
        rate: (rate > 0.0).then_some(rate),
    })
}

/// The exporters' settings.
pub(crate) fn export(words: impl Iterator<Item = String>) -> Result<Export, Error> {
    let (mut url, mut head, mut acknowledged) = (None, String::new(), None);
    let (mut connections, mut requests, mut first, mut spans, mut seed) = (4, 100, 0, 512, 1);
    let (mut seconds, mut rate, mut from, mut until) = (0.0, 0.0, 0, 0);
    each_option(words, |name, value| {
        match name {
            "--url" => url = Some(value.to_owned()),
            "--header" => head.push_str(&format!("{value}\r\n")),
            "--acknowledged" => acknowledged = Some(value.into()),
            "--connections" => connections = parse(name, value)?,
            "--requests" => requests = parse(name, value)?,
            "--first" => first = parse(name, value)?,
            "--spans" => spans = parse(name, value)?,
            "--seed" => seed = parse(name, value)?,
            "--seconds" => seconds = parse(name, value)?,
            "--rate" => rate = parse(name, value)?,
            "--from-ns" => from = parse(name, value)?,
            "--until-ns" => until = parse(name, value)?,
            _ => return Err(unknown(name)),
        }
        Ok(())
    })?;
    let url = url.ok_or_else(|| Error::Arguments("--url is missing".to_owned()))?;
    let (address, path) = split_url(&url)?;
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-protobuf\r\n{head}");
    Ok(Export {
        address: address.to_owned(),
        head,
        traffic: Traffic::new(seed, spans),
        connections,
        requests,
        first,
        limit: (seconds > 0.0).then(|| Duration::from_secs_f64(seconds)),
        rate: (rate > 0.0).then_some(rate),
        between: (from < until).then_some((from, until)),
        acknowledged,
    })
}

fn each_option(
    mut words: impl Iterator<Item = String>,
    mut take: impl FnMut(&str, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| Error::Arguments(format!("{name} needs a value")))?;
        take(&name, &value)?;
    }
    Ok(())
}

fn parse<T: FromStr>(name: &str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|_| Error::Arguments(format!("{name} cannot be {value:?}")))
}

fn unknown(name: &str) -> Error {
    Error::Arguments(format!("there is no option {name}"))
}

fn split_url(url: &str) -> Result<(&str, &str), Error> {
    let rest = url.strip_prefix("http://").ok_or_else(|| Error::Arguments("--url begins with http://".to_owned()))?;
    Ok(rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash)))
}

/// The request is the same every time, so it is written once.
fn request_bytes(address: &str, path: &str, headers: &[String], body: &str) -> Vec<u8> {
    let mut text = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> impl Iterator<Item = String> {
        line.split(' ').map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn a_load_is_understood() {
        let load = load(words("--url http://127.0.0.1:80/v1/x --rate 5 --header a:b --body {}")).unwrap();
        assert_eq!(load.address, "127.0.0.1:80");
        assert_eq!(load.rate, Some(5.0));
        let expected = "POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:80\r\ncontent-type: application/json\r\ncontent-length: 2\r\na:b\r\n\r\n{}";
        assert_eq!(String::from_utf8(load.request).unwrap(), expected);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "--connections 3",
            "--url https://x/",
            "--url http://x/ --seconds",
            "--url http://x/ --fast 1",
            "--url http://x/ --rate often",
        ] {
            assert!(load(words(line)).is_err(), "{line}");
        }
        assert!(stub(words("--port 70000")).is_err());
        assert!(export(words("--requests 3")).is_err());
    }
}
