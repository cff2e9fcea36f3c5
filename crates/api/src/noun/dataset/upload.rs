//! `/api/v1/uploads`: files on their way in, in as many pieces as their sender likes.

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use qd_catalog::Scope;
use qd_data::UploadId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Path, Query};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::Shared;

const MEDIA: &str = "application/octet-stream";

pub(crate) fn routes() -> Vec<Route> {
    let write = Permission::Scope(Scope::Write);
    let begin = Doc::new("Datasets", "beginUpload", "Upload a file, or its first piece")
        .text("The body is the file's bytes, and goes to the disk as it comes: 64 GiB at most. A file that no import names is removed a day after its last piece.")
        .takes_bytes()
        .gives::<UploadBody>(201, "The upload");
    let more = Doc::new("Datasets", "continueUpload", "Upload the next piece of a file")
        .text("409 when the upload does not have as many bytes as `offset` says; the answer names how many it has.")
        .query::<UploadQuery>()
        .takes_bytes()
        .gives::<UploadBody>(200, "The upload with all its pieces");
    let look = Doc::new("Datasets", "getUpload", "How much of a file has come").gives::<UploadBody>(200, "The upload");
    let gone = Doc::new("Datasets", "removeUpload", "Remove a file that no import reads").gives_nothing("It is gone");
    vec![
        Route::post("/api/v1/uploads", write, begin, start).of_upload(),
        Route::get("/api/v1/uploads/{id}", write, look, show),
        Route::put("/api/v1/uploads/{id}", write, more, proceed).of_upload(),
        Route::delete("/api/v1/uploads/{id}", write, gone, remove),
    ]
}

/// The bytes of a file as they come. Their type is none that a page on the web can send without asking (see `Json`).
struct Bytes(Body);

impl FromRequest<Shared> for Bytes {
    type Rejection = Error;

    async fn from_request(request: Request, _: &Shared) -> Result<Self> {
        let found = request.headers().get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
        match found.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(MEDIA) {
            true => Ok(Self(request.into_body())),
            false => {
                let found = found.chars().take(100).collect();
                Err(Error::MediaType { header: "Content-Type", found, offered: MEDIA })
            }
        }
    }
}

async fn start(State(surface): State<Shared>, caller: Caller, Bytes(body): Bytes) -> Result<Created<UploadBody>> {
    let uploads = &surface.app.datasets.uploads;
    let id = uploads.begin(caller.project()).await?;
    match uploads.append(caller.project(), id, 0, body.into_data_stream()).await {
        Ok(bytes) => Ok(Created(UploadBody { id, bytes })),
        // Nobody has heard of it yet.
        Err(error) => {
            uploads.remove(caller.project(), id)?;
            Err(error.into())
        }
    }
}

async fn proceed(
    State(surface): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<UploadQuery>,
    Bytes(body): Bytes,
) -> Result<Json<UploadBody>> {
    let id: UploadId = id.parse()?;
    surface.app.datasets.check_unused(id).await?;
    let uploads = &surface.app.datasets.uploads;
    let bytes = uploads.append(caller.project(), id, query.offset, body.into_data_stream()).await?;
    Ok(Json(UploadBody { id, bytes }))
}

async fn show(State(surface): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<Json<UploadBody>> {
    let id: UploadId = id.parse()?;
    Ok(Json(UploadBody { id, bytes: surface.app.datasets.uploads.bytes(caller.project(), id)? }))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    let id: UploadId = id.parse()?;
    surface.app.datasets.check_unused(id).await?;
    surface.app.datasets.uploads.remove(caller.project(), id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a piece belongs.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UploadQuery {
    /// How many bytes came before it.
    offset: u64,
}

/// A file on its way in.
#[derive(Serialize, ToSchema)]
#[schema(as = Upload)]
pub struct UploadBody {
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: UploadId,
    /// How many bytes have come.
    pub bytes: u64,
}
