//! What the relay answers to devices, and to those who ask how it is.

use super::engine::{Caller, EngineHandle};
use super::listen::{Accepted, Place};
use super::session::{self, SharedRoom};
use crate::hub::Access;
use afield_core::Limits;
use afield_core::limits::UNAUTHENTICATED_BYTES_MAX;
use afield_transport::{LinkOptions, SYNC_PATH, ServerOptions, accept, bearer_token, upgrade_response};
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{HeaderValue, StatusCode, header};
use hyper_util::rt::TokioIo;

/// What a peer may send before it is welcome, WebSocket framing included.
const STRANGER_BYTES_MAX: u64 = 2 * UNAUTHENTICATED_BYTES_MAX as u64;

/// What every request needs.
#[derive(Debug, Clone)]
struct Shared {
    engine: EngineHandle,
    access: Access,
    limits: Limits,
    room: SharedRoom,
}

/// The routes of the listener for devices.
pub(super) fn router(access: Access, limits: Limits, engine: EngineHandle) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/version", get(version))
        .route(SYNC_PATH, any(sync))
        .with_state(Shared { engine, access, limits, room: SharedRoom::new() })
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
    let body = concat!(r#"{"version":""#, env!("CARGO_PKG_VERSION"), r#"","protocol":1}"#);
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
    if place.is_spare {
        let retry_after = (header::RETRY_AFTER, HeaderValue::from_static("5"));
        return (StatusCode::SERVICE_UNAVAILABLE, [retry_after]).into_response();
    }
    // Without tokens a web page in the same machine's browser could use the relay; browsers always say where a page is
    // from, and devices never do.
    if shared.access == Access::Open && request.headers().contains_key(header::ORIGIN) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(token) = bearer_token(request.headers()) else {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
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
                let caller = Caller { address: accepted.from.to_canonical(), began: accepted.at.into_std() };
                session::run(link, token, caller, &shared.engine, shared.room).await;
            }
            Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
        }
        drop(place);
    });
    response.map(|()| Body::empty())
}
