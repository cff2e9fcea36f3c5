//! One request: parsed once for what routing needs, and kept as bytes for everything else.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// Which of OpenAI's endpoints a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
}

impl Endpoint {
    /// The path below an upstream's base URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }

    /// The name of the trace row.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completion",
            Self::Embeddings => "embedding",
        }
    }
}

/// A request whose head has been read. Its body stays as it came, so that what we do not know reaches the upstream.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub endpoint: Endpoint,
    pub body: Bytes,
    /// The model asked for.
    pub model: String,
    /// Whether events are wanted.
    pub stream: bool,
    /// Whether the client itself asked for the usage at the end of its stream.
    pub wants_usage: bool,
    /// Whether ends of prompts are to be measured, which is a field of ours: only the engine here can.
    pub measures: bool,
    model_at: Range<usize>,
    stream_options_at: Option<Range<usize>>,
}

/// The fields that the gateway reads. A field given twice is refused: two readers of the same bytes could then disagree.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default)]
    measure: Option<&'a RawValue>,
}

/// Keeps an explicit `null` apart from an absent field: the place of the former must be overwritten, not doubled.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The one stream option that the gateway reads; the rest are kept.
#[derive(Deserialize, Default)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Call {
    /// Reads the head of a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the body is not a JSON object, or `model`, `stream` or `stream_options` have a wrong type.
    pub fn parse(endpoint: Endpoint, body: Bytes) -> Result<Self> {
        let text = std::str::from_utf8(&body).map_err(|_| invalid("the body is not UTF-8", None))?;
        // A list of values in the right order would do for the parser, and for no upstream.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(invalid("the body is not a JSON object", None));
        }
        let head: Head = serde_json::from_str(text)
            .map_err(|cause| invalid(&format!("the body is not a valid request: {cause}"), None))?;
        let raw_model = head.model.ok_or_else(|| invalid("you must provide a model", Some("model")))?;
        let model: String =
            serde_json::from_str(raw_model.get()).map_err(|_| invalid("model must be a string", Some("model")))?;
        let options = head.stream_options.map(read_options).transpose()?.unwrap_or_default();
        Ok(Self {
            endpoint,
            model,
            stream: head.stream.unwrap_or(false) && endpoint != Endpoint::Embeddings,
            wants_usage: options.include_usage.unwrap_or(false),
            measures: head.measure.is_some() && endpoint == Endpoint::Completions,
            model_at: place_in(text, raw_model.get()),
            stream_options_at: head.stream_options.map(|raw| place_in(text, raw.get())),
            body,
        })
    }

    /// Whether the gateway should ask the upstream for a usage that the client did not ask for.
    pub fn asks_usage_itself(&self) -> bool {
        self.stream && !self.wants_usage
    }

    /// The body for a provider that calls the model `model`: the same bytes except for the model's name, and the wish for
    /// usage when `asks_usage`. When neither changes, nothing is copied.
    pub fn body_for(&self, model: &str, asks_usage: bool) -> Bytes {
        if model == self.model && !asks_usage {
            return self.body.clone();
        }
        let name = serde_json::Value::from(model).to_string();
        let mut edits = vec![(self.model_at.clone(), name)];
        if asks_usage {
            edits.push(self.usage_edit());
        }
        edits.sort_by_key(|(place, _)| place.start);
        splice(&self.body, &edits)
    }

    /// The edit that sets `stream_options.include_usage`.
    fn usage_edit(&self) -> (Range<usize>, String) {
        let Some(place) = self.stream_options_at.clone() else {
            // The body is an object, so its first brace opens it; `model` follows, so a comma is right.
            let inside = self.body.iter().position(|&byte| byte == b'{').map_or(0, |brace| brace + 1);
            return (inside..inside, r#""stream_options":{"include_usage":true},"#.to_owned());
        };
        let old: Option<StreamOptions> = serde_json::from_slice(&self.body[place.clone()]).unwrap_or_default();
        let mut options = old.unwrap_or_default().rest;
        options.insert("include_usage".to_owned(), true.into());
        (place, serde_json::Value::Object(options).to_string())
    }
}

fn read_options(raw: &RawValue) -> Result<StreamOptions> {
    let options: Option<StreamOptions> = serde_json::from_str(raw.get())
        .map_err(|cause| invalid(&format!("stream_options: {cause}"), Some("stream_options")))?;
    Ok(options.unwrap_or_default())
}

/// Where `part`, a slice of `whole`, lies in it.
fn place_in(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// `body` with each range replaced; the ranges are ascending and do not overlap.
fn splice(body: &[u8], edits: &[(Range<usize>, String)]) -> Bytes {
    let grown: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut out = BytesMut::with_capacity(body.len() + grown);
    let mut copied = 0;
    for (place, text) in edits {
        out.put_slice(&body[copied..place.start]);
        out.put_slice(text.as_bytes());
        copied = place.end;
    }
    out.put_slice(&body[copied..]);
    out.freeze()
}

fn invalid(message: &str, param: Option<&str>) -> Error {
    Error::Invalid { message: message.to_owned(), param: param.map(str::to_owned), code: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Call> {
        Call::parse(Endpoint::Chat, Bytes::copy_from_slice(body.as_bytes()))
    }

    /// What an upstream gets for `body` when its name for the model is `m`.
    fn check(body: &str, expected: &str) {
        let call = parse(body).unwrap();
        assert_eq!(call.body_for("m", call.asks_usage_itself()), expected);
    }

    #[test]
    fn only_the_model_changes() {
        check(r#"{"model":"a","x":[1, 2],"é":"\u00e9"}"#, r#"{"model":"m","x":[1, 2],"é":"\u00e9"}"#);
        check(
            r#" { "x" : {"model":"inner"} , "model" : "a\"b" } "#,
            r#" { "x" : {"model":"inner"} , "model" : "m" } "#,
        );
    }

    #[test]
    fn an_unchanged_body_is_not_copied() {
        let call = parse(r#"{"model":"m","messages":[]}"#).unwrap();
        assert_eq!(call.body_for("m", false).as_ptr(), call.body.as_ptr());
    }

    #[test]
    fn usage_is_asked_for_in_streams() {
        check(
            r#"{"model":"a","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
        );
        check(
            r#"{"stream_options":null,"model":"a","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
        );
        check(
            r#"{"model":"a","stream":true,"stream_options":{"include_usage":false,"x":1}}"#,
            r#"{"model":"m","stream":true,"stream_options":{"x":1,"include_usage":true}}"#,
        );
        let asked = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        check(asked, asked);
        check(r#"{"model":"a","stream":false}"#, r#"{"model":"m","stream":false}"#);
        check(r#"{"model":"a","stream":null}"#, r#"{"model":"m","stream":null}"#);
    }

    #[test]
    fn wrong_requests_are_refused_by_field() {
        let refused = |body: &str| match parse(body) {
            Err(Error::Invalid { param, .. }) => param,
            other => panic!("{body} gave {other:?}"),
        };
        assert_eq!(refused("[]"), None);
        assert_eq!(refused("{"), None);
        assert_eq!(refused(r#"{"messages":[]}"#).as_deref(), Some("model"));
        assert_eq!(refused(r#"{"model":7}"#).as_deref(), Some("model"));
        assert_eq!(refused(r#"{"model":null}"#).as_deref(), Some("model"));
        assert_eq!(refused(r#"{"model":"a","model":"b"}"#), None);
        assert_eq!(refused(r#"{"model":"a","stream":"yes"}"#), None);
        assert_eq!(refused(r#"{"model":"a","stream_options":[]}"#).as_deref(), Some("stream_options"));
        assert!(Call::parse(Endpoint::Chat, Bytes::from_static(b"{\"model\":\"\xff\"}")).is_err());
    }

    proptest::proptest! {
        /// Whatever else a request holds, an upstream sees the same JSON with another model.
        #[test]
        fn a_splice_equals_a_change_of_the_document(key in "[a-z\"\\\\é]{1,8}", text in ".*", first: bool, stream: bool) {
            let mut document = serde_json::Map::new();
            if first { document.insert(format!("k{key}"), text.clone().into()); }
            document.insert("model".into(), text.clone().into());
            document.insert("stream".into(), stream.into());
            if !first { document.insert(format!("k{key}"), text.into()); }
            let call = parse(&serde_json::to_string(&document).unwrap()).unwrap();
            document.insert("model".into(), "m/\"x\"".into());
            if stream { document.insert("stream_options".into(), serde_json::json!({"include_usage": true})); }
            let sent: serde_json::Value = serde_json::from_slice(&call.body_for("m/\"x\"", stream)).unwrap();
            proptest::prop_assert_eq!(sent, serde_json::Value::Object(document));
        }
    }
}
