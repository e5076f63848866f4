//! What the relay answers to devices, and to those who ask how it is.

use super::engine::{Caller, EngineHandle};
use super::gate::Gate;
use super::listen::{Accepted, Place};
use super::origin::Origins;
use super::requests::log_devices;
use super::session::{self, Common, Handshake, SharedRoom};
use super::throttle::{Refused, TooMany};
use crate::hub::Access;
use afield_core::Limits;
use afield_core::limits::UNAUTHENTICATED_BYTES_MAX;
use afield_core::wire::PROTOCOL_VERSION;
use afield_transport::{LinkOptions, SYNC_PATH, ServerOptions, accept, bearer_token, upgrade_response};
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{StatusCode, header};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a peer may send before it is welcome, WebSocket framing included.
const STRANGER_BYTES_MAX: u64 = 2 * UNAUTHENTICATED_BYTES_MAX as u64;

/// What every request needs.
#[derive(Debug, Clone)]
struct Shared {
    engine: EngineHandle,
    access: Access,
    limits: Limits,
    room: SharedRoom,
    gate: Arc<Gate>,
    origins: Arc<Origins>,
    /// A place for each session that was not welcomed yet.
    handshakes: Arc<Semaphore>,
}

/// Who may connect, and how many at once.
pub(super) struct Doorkeeping {
    pub(super) access: Access,
    pub(super) limits: Limits,
    pub(super) gate: Arc<Gate>,
    pub(super) origins: Origins,
    pub(super) handshakes_max: usize,
}

/// The routes of the listener for devices.
pub(super) fn router(doorkeeping: Doorkeeping, engine: EngineHandle) -> Router {
    let Doorkeeping { access, limits, gate, origins, handshakes_max } = doorkeeping;
    let origins = Arc::new(origins);
    let handshakes = Arc::new(Semaphore::new(handshakes_max));
    let room = SharedRoom::new();
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/version", get(version))
        .route(SYNC_PATH, any(sync))
        .layer(middleware::from_fn(log_devices))
        .with_state(Shared { engine, access, limits, room, gate, origins, handshakes })
}

/// Whether the relay can append: what a load balancer asks before it sends anybody here.
async fn readyz(State(shared): State<Shared>) -> Response {
    let (status, body) = match shared.engine.ask(crate::hub::Hub::readiness).await {
        Some(Ok(())) => (StatusCode::OK, r#"{"status":"ready"}"#),
        Some(Err(_)) | None => (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"not_ready"}"#),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn version() -> Response {
    let (version, build) = (env!("CARGO_PKG_VERSION"), env!("AFIELD_RELAY_BUILD"));
    let body = format!(r#"{{"version":"{version}","build":"{build}","protocol":{PROTOCOL_VERSION}}}"#);
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn healthz(State(shared): State<Shared>) -> Response {
    let (status, body) = if shared.engine.is_alive() {
        (StatusCode::OK, r#"{"status":"ok"}"#)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"failed"}"#)
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn sync(
    State(shared): State<Shared>,
    Extension(place): Extension<Place>,
    Extension(accepted): Extension<Accepted>,
    mut request: Request,
) -> Response {
    let Shared { gate, .. } = &shared;
    if let Some(refused) = place.refused {
        return sent_away(gate, refused);
    }
    let address = gate.client_address(accepted.from, request.headers());
    if let Err(refused) = gate.throttle.check_sign_in(address) {
        return too_many(StatusCode::TOO_MANY_REQUESTS, refused);
    }
    // A connection of a proxy is one of whom it asks for.
    let of_address = match gate.is_proxy(accepted.from).then(|| gate.let_in(address)).transpose() {
        Ok(of_client) => of_client.unwrap_or_else(|| place.take_of_address()),
        Err(refused) => return sent_away(gate, refused),
    };
    // A browser says which page asks, and a device that is none never does.
    if let Some(origin) = request.headers().get(header::ORIGIN)
        && (shared.access == Access::Open || !shared.origins.include(origin))
    {
        gate.throttle.count(Refused::Origin);
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(token) = bearer_token(request.headers()) else {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
    };
    // When many come back at once, some are asked to come a little later: those who are let in are not kept waiting by them.
    let Ok(handshake) = Arc::clone(&shared.handshakes).try_acquire_owned() else {
        gate.throttle.count(Refused::Handshakes);
        return too_many(StatusCode::SERVICE_UNAVAILABLE, TooMany::after(Duration::ZERO));
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let response = match upgrade_response(&parts) {
        Ok(response) => response,
        Err(refusal) => return refusal.response().map(|()| Body::empty()),
    };
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let link = LinkOptions { frame_bytes_max: shared.limits.frame_bytes_max, ..LinkOptions::default() };
                let options = ServerOptions { bytes_until_admitted_max: Some(STRANGER_BYTES_MAX), link };
                let link = accept(TokioIo::new(upgraded), options).await;
                let token = token.map(|token| token.expose().to_owned());
                let caller = Caller { address, began: accepted.at.into_std() };
                let handshake = Handshake::new(handshake, of_address);
                let throttle = Arc::clone(&shared.gate.throttle);
                let common = Common { room: shared.room, throttle, handshake };
                session::run(link, token, caller, &shared.engine, common).await;
            }
            Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
        }
        drop(place);
    });
    response.map(|()| Body::empty())
}

fn sent_away(gate: &Gate, (why, wait): (Refused, TooMany)) -> Response {
    gate.throttle.count(why);
    let status = if why == Refused::Rate { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::SERVICE_UNAVAILABLE };
    too_many(status, wait)
}

fn too_many(status: StatusCode, refused: TooMany) -> Response {
    (status, [(header::RETRY_AFTER, refused.retry_after_s.to_string())]).into_response()
}
