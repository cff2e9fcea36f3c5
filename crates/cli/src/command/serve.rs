//! `quarterdeck serve`: takes the folder, opens everything, answers until it is told to stop.

use std::net::SocketAddr;

use qd_gateway::Gateway;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::command::{model, rows_of};
use crate::config::{Config, Models, Origin};
use crate::context::Context;
use crate::door::Door;
use crate::house::House;
use crate::lock::{self, Lock};
use crate::{Error, output};

/// The name of the key that the first start makes.
const FIRST_KEY: &str = "first";

/// Serves until SIGTERM or SIGINT, then lets what is under way finish.
///
/// # Errors
/// When the folder has another owner, the address is taken, or a room cannot be opened or closed.
pub async fn run(context: &Context) -> Result<(), Error> {
    let config = &context.resolved.config;
    check_keys(config)?;
    let lock = Lock::take(context.data())?.ok_or_else(|| locked(context))?;
    let (listener, address) = bind(config.server.address).await?;
    let grpc = bind_grpc(context).await?;
    let stop = stop_signals()?;
    let token = lock::token()?;
    let House { app, keep } = House::open(config, lock, token.clone(), Some(address.ip())).await?;
    let grpc_address = grpc.as_ref().map(|(_, address)| *address);
    let grpc = grpc.map(|(listener, _)| listener);
    let serving = tokio::spawn(qd_api::serve_with_grpc(listener, grpc, app, told(stop.clone())));
    keep.lock.announce(address, grpc_address, &token)?;
    preload(keep.gateway.clone(), &config.models);
    let door = Door::to(address, token, None)?;
    tokio::select! {
        greeted = greet(context, &door, address, grpc_address) => note_greeting(greeted),
        () = told(stop) => {}
    }
    let ended = serving.await.map_err(|cause| Error::doing("serving", cause))?;
    tracing::info!(?ended, "stopped answering");
    keep.close().await;
    Ok(())
}

/// A command that only reads can do without the upstreams' keys; a server that starts without one would fail its calls.
fn check_keys(config: &Config) -> Result<(), Error> {
    for provider in &config.providers {
        if let Some(variable) = &provider.api_key_env
            && let Err(cause) = std::env::var(variable)
        {
            let why = format!("the key of provider {} should be in {variable}: {cause}", provider.name);
            return Err(Error::Configuration { why });
        }
    }
    Ok(())
}

/// Whoever started the server may have closed its output, or a first step may have failed: it serves all the same.
fn note_greeting(greeted: Result<(), Error>) {
    if let Err(error) = greeted {
        tracing::error!(error = &error as &dyn std::error::Error, "the server runs, and could not greet");
    }
}

fn locked(context: &Context) -> Error {
    let holder = lock::holder(context.data()).map_or_else(String::new, |pid| format!(" ({pid})"));
    Error::Locked { dir: context.data().clone(), holder }
}

/// Listens before anything else is opened, so that a taken address is said at once.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|cause: std::io::Error| Error::doing(format!("listening on {address}"), cause))
}

/// The address for OpenTelemetry's gRPC, if it is wanted. One that nobody asked for may be taken, by a second server on a
/// laptop or by a collector: that is said, and the same is still taken over HTTP.
async fn bind_grpc(context: &Context) -> Result<Option<(TcpListener, SocketAddr)>, Error> {
    let settings = &context.resolved.config.otlp;
    if !settings.grpc {
        return Ok(None);
    }
    let is_default =
        context.resolved.settings.get("otlp.address").is_some_and(|(_, origin)| *origin == Origin::Default);
    match bind(settings.address).await {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if is_default => {
            eprintln!(
                "{error}: OpenTelemetry is taken over HTTP only. `otlp.address` sets another address for gRPC, `otlp.grpc = false` switches it off."
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Becomes true with the first SIGTERM or SIGINT; the second ends the process at once, for who cannot wait.
fn stop_signals() -> Result<watch::Receiver<bool>, Error> {
    let listen = |kind| signal(kind).map_err(|cause| Error::doing("listening for signals", cause));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping: what is under way may finish; a second signal ends it at once");
        stop.send_replace(true);
        either(&mut terminate, &mut interrupt).await;
        std::process::exit(1);
    });
    Ok(stopping)
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

async fn told(mut stop: watch::Receiver<bool>) {
    // The sender lives as long as the process.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Loads models while requests are answered already; one that is asked for meanwhile is loaded once.
fn preload(gateway: Gateway, models: &Models) {
    let names = models.preload.clone();
    tokio::spawn(async move {
        for name in names {
            match gateway.load(&name).await {
                Ok(loaded) => tracing::info!(%loaded, "model loaded"),
                // Before the first pull has ended there is nothing to load; the first call will.
                Err(error) => tracing::debug!(%name, %error, "model not loaded yet"),
            }
        }
    });
}

/// Says where the server is; the first time also fetches the default models and makes the first key.
async fn greet(context: &Context, door: &Door, address: SocketAddr, grpc: Option<SocketAddr>) -> Result<(), Error> {
    output::line(&format!("Quarterdeck is listening on http://{address}"))?;
    if let Some(grpc) = grpc {
        output::line(&format!("OpenTelemetry is taken there and over gRPC on {grpc}"))?;
    }
    let defaults = &context.resolved.config.models.defaults;
    fetch(context, door, defaults).await?;
    if rows_of(door.get("/api/v1/keys").await?).iter().all(never_shown) {
        introduce(door, address, defaults).await?;
    }
    Ok(())
}

/// Fetches those default models that are not installed. Without them the server still routes and records, so a failure is
/// only said; the next start tries again.
async fn fetch(context: &Context, door: &Door, names: &[String]) -> Result<(), Error> {
    let installed = model::installed(door).await?;
    for name in names.iter().filter(|name| !installed.contains(name)) {
        if let Err(error) = model::pull(door, name, context.progress).await {
            eprintln!("The model {name} could not be fetched: {error}. `quarterdeck model pull {name}` tries again.");
        }
    }
    Ok(())
}

/// Whether this is a first key that was revoked because nobody could see it.
fn never_shown(key: &Value) -> bool {
    key["name"] == FIRST_KEY && !key["revoked"].is_null()
}

/// Makes the first key and prints it, this once, with a line that works. The answer's length is limited: a small model
/// that does not stop by itself would fill its whole context.
async fn introduce(door: &Door, address: SocketAddr, models: &[String]) -> Result<(), Error> {
    let made = door.post("/api/v1/keys", &json!({"name": FIRST_KEY, "scopes": ["admin"]})).await?;
    let key = made["key"].as_str().unwrap_or_default();
    let model = models.first().map_or("MODEL", String::as_str);
    let shown = output::line(&format!(
        "\n  API key (shown this once): {key}\n  With it, sign in to the console: http://{address}/\n\n  \
         curl http://{address}/v1/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \
         -d '{{\"model\": \"{model}\", \"max_tokens\": 64, \"messages\": [{{\"role\": \"user\", \"content\": \"Say hello.\"}}]}}'\n"
    ));
    if shown.is_err() {
        door.delete(&format!("/api/v1/keys/{}", made["id"].as_str().unwrap_or_default())).await?;
    }
    shown
}
