//! `GET /api/v1/traces/export`: all spans that a filter wants, as JSON lines or Parquet, while they are read.

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, stream};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Uri};
use qd_catalog::Scope;
use qd_lake::ParquetPieces;
use qd_trace::export::Export;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::{NewSpan, Payloads, TraceQuery};
use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Query, ThisRequest};
use crate::permission::{Caller, Permission};
use crate::route::Route;
use crate::state::Shared;

const JSON_LINES: &str = "application/x-ndjson";
/// <https://www.iana.org/assignments/media-types/application/vnd.apache.parquet>
const PARQUET: &str = "application/vnd.apache.parquet";

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("Traces", "exportTraces", "All spans that are wanted, as a file")
        .text("As JSON lines, each a span as `POST /api/v1/traces` takes it, or as a Parquet file with the columns of the table `spans`. In no order; with the filters of a list, without its pages. The connection breaks off when the spans cannot be read to the end, so an answer that came to its end is whole.")
        .query::<TraceQuery>()
        .query::<ExportQuery>()
        .streams(JSON_LINES, "The spans; with `format=parquet` as application/vnd.apache.parquet");
    vec![Route::get("/api/v1/traces/export", Permission::Scope(Scope::Read), doc, export)]
}

/// How spans are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Jsonl,
    Parquet,
}

/// In which form, and with how much of large payloads.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// `jsonl` or `parquet`; `jsonl` when absent.
    #[param(value_type = Option<String>)]
    format: Option<Form>,
    /// `whole` or `beginning` of inputs and outputs that are too large for a row. When absent, whole in JSON lines, and
    /// in Parquet the beginning, as the table has it.
    #[param(value_type = Option<String>)]
    payloads: Option<Payloads>,
}

/// Both parts of the query, each of which refuses what is not its own.
struct Wanted {
    filter: TraceQuery,
    form: Form,
    whole: bool,
}

impl FromRequestParts<Shared> for Wanted {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, surface: &Shared) -> Result<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let is_form = |pair: &&str| pair.starts_with("format=") || pair.starts_with("payloads=");
        let (form, filter): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_form);
        let mut read = parts.clone();
        read.uri = with_query(&form)?;
        let Query(form): Query<ExportQuery> = Query::from_request_parts(&mut read, surface).await?;
        read.uri = with_query(&filter)?;
        let Query(filter): Query<TraceQuery> = Query::from_request_parts(&mut read, surface).await?;
        let whole = form.payloads.map(|payloads| payloads == Payloads::Whole);
        let form = form.format.unwrap_or_default();
        Ok(Self { filter, form, whole: whole.unwrap_or(form == Form::Jsonl) })
    }
}

fn with_query(pairs: &[&str]) -> Result<Uri> {
    let uri = format!("/?{}", pairs.join("&")).parse();
    uri.map_err(|_| Error::parameter("query", "invalid_value", "Invalid query: it is not one of a URL."))
}

async fn export(
    State(surface): State<Shared>,
    caller: Caller,
    ThisRequest(request): ThisRequest,
    wanted: Wanted,
) -> Result<Response> {
    wanted.filter.refuse_pages("An export")?;
    let filter = wanted.filter.into_filter(&caller)?;
    let export = surface.app.traces.export(&filter, wanted.whole).await?;
    let cut = surface.lifecycle.cut.clone();
    let told = move |error: &Error| tracing::error!(%request, %error, "an export broke off");
    let (media, name, body) = match wanted.form {
        Form::Jsonl => (JSON_LINES, "traces.jsonl", Body::from_stream(noted(lines(export, cut), told))),
        Form::Parquet => (PARQUET, "traces.parquet", Body::from_stream(noted(parquet(export, cut), told))),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    let disposition = format!("attachment; filename=\"{name}\"");
    headers.insert(CONTENT_DISPOSITION, HeaderValue::try_from(disposition).map_err(Error::encode)?);
    Ok(response)
}

/// An error ends the body, which the reader sees as a broken connection; why stands in the log.
fn noted<T>(pieces: impl Stream<Item = Result<T>>, told: impl Fn(&Error)) -> impl Stream<Item = Result<T>> {
    use futures::TryStreamExt as _;
    pieces.inspect_err(told)
}

fn lines(export: Export, cut: CancellationToken) -> impl Stream<Item = Result<Bytes>> {
    stream::try_unfold(export, move |mut export| {
        let cut = cut.clone();
        async move {
            let Some(spans) = unless_cut(&cut, export.spans()).await? else { return Ok(None) };
            // Much text takes long enough to write to hold up other requests of this thread.
            let write = move || -> serde_json::Result<Vec<u8>> {
                let mut lines = Vec::new();
                for span in &spans {
                    serde_json::to_writer(&mut lines, &NewSpan::from(span))?;
                    lines.push(b'\n');
                }
                Ok(lines)
            };
            let written = tokio::task::spawn_blocking(write).await.map_err(Error::encode)?;
            Ok(Some((Bytes::from(written.map_err(Error::encode)?), export)))
        }
    })
}

/// A Parquet file that is being written.
#[expect(clippy::large_enum_variant, reason = "there is one, and it moves once a batch")]
enum Writing {
    /// No rows have come yet, so its columns are those of the table.
    Begun(Export, ParquetPieces),
    Done,
}

fn parquet(export: Export, cut: CancellationToken) -> impl Stream<Item = Result<Bytes>> {
    let begun = ParquetPieces::new(&Export::schema()).map(|pieces| Writing::Begun(export, pieces));
    stream::try_unfold(begun.map_err(Error::from), move |writing| {
        let cut = cut.clone();
        async move {
            let Writing::Begun(mut export, mut pieces) = writing? else { return Ok(None) };
            let Some(rows) = unless_cut(&cut, export.rows()).await? else {
                return Ok(Some((Bytes::from(pieces.finish()?), Ok(Writing::Done))));
            };
            let write = move || (pieces.push(&rows), pieces);
            let (written, pieces) = tokio::task::spawn_blocking(write).await.map_err(Error::encode)?;
            Ok(Some((Bytes::from(written?), Ok(Writing::Begun(export, pieces)))))
        }
    })
}

/// What is read next, unless the server ends its streams: an export that stops must not look like one that is done.
async fn unless_cut<T>(
    cut: &CancellationToken,
    next: impl Future<Output = qd_trace::Result<Option<T>>>,
) -> Result<Option<T>> {
    tokio::select! {
        () = cut.cancelled() => Err(Error::Stopping),
        next = next => Ok(next?),
    }
}
