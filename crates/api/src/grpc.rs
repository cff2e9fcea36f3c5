//! OpenTelemetry's protocol over gRPC, behind the same gate as everything else: who calls, and whether they may.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use qd_base::RequestId;
use qd_catalog::Scope;
use qd_trace::otlp::Grpc;
use qd_trace::otlp::grpc::{Sender, refused};

use crate::authentication::authenticate;
use crate::error::{Error, Result};
use crate::state::{Shared, Slot};

/// The router of the address for gRPC. A method that is not OTLP's is answered as gRPC demands, not by HTTP.
pub(crate) fn router(surface: Shared) -> Router {
    let services = Grpc::new(surface.app.otlp.clone());
    Router::new().fallback_service(services).layer(from_fn_with_state(surface, admit))
}

async fn admit(State(surface): State<Shared>, mut request: Request, next: Next) -> Response {
    match permit(&surface, &mut request).await {
        // The answer is small and whole when it comes, so the place is given back with it. A message that does not end
        // would hold it for ever.
        Ok(_slot) => {
            let after_ms = surface.app.config.limits.request_ms;
            match tokio::time::timeout(Duration::from_millis(after_ms), next.run(request)).await {
                Ok(response) => response,
                Err(_) => answer(&Error::Timeout { after_ms }),
            }
        }
        Err(error) => answer(&error),
    }
}

fn answer(error: &Error) -> Response {
    let (code, message) = error.grpc(RequestId::new());
    refused(code, &message).map(Body::new)
}

async fn permit(surface: &Shared, request: &mut Request) -> Result<Slot> {
    let slot = surface.take_slot()?;
    let caller = authenticate(surface, request.method(), request.headers()).await?;
    let needed = Scope::Write;
    if !caller.may(needed) {
        return Err(Error::MissingScope { needed });
    }
    request.extensions_mut().insert(Sender(caller.project_name().clone()));
    Ok(slot)
}
