//! The administration over HTTP, on a listener of its own.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `account` | users and tokens |
//! | `answer` | errors, and who may ask |
//! | `device` | devices and sessions |
//! | `document` | what the document says of all verbs alike |
//! | `overview` | how the relay is |
//! | `page` | the dashboard, which asks for all of it |
//! | `remote` | the trace that a request belongs to |
//! | `space` | spaces, members and invitations |

mod account;
mod answer;
mod device;
mod document;
mod overview;
mod page;
pub(super) mod remote;
mod space;

use super::clock::SystemClock;
use super::engine::EngineHandle;
use super::gate::Gate;
use super::listen::REQUEST_TIMEOUT;
use crate::hub::{Hub, Occurrence};
use crate::log::SqliteLog;
use crate::log::accounts::{AccountError, Accounts};
use afield_core::Now;
use answer::Refusal;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::{HeaderValue, StatusCode, header};
pub(super) use overview::{Samples, Watched};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Info, License, OpenApi, OpenApiBuilder, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The port of the administration unless told otherwise: the one behind the relay's own.
pub const ADMIN_PORT: u16 = super::DEFAULT_PORT + 1;
/// The largest body of a request, in bytes: names and ids.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// For how long a request is waited for and worked on. It is below what [`REQUEST_TIMEOUT`] leaves any connection, so that this says what happened.
const ANSWERED_WITHIN: Duration = REQUEST_TIMEOUT.saturating_sub(Duration::from_secs(1));
/// The name of the security scheme in the OpenAPI document.
const BEARER: &str = "admin token";

/// What every request needs.
#[derive(Clone)]
pub(super) struct Desk {
    accounts: Arc<Mutex<SqliteLog>>,
    engine: EngineHandle,
    clock: SystemClock,
    gate: Arc<Gate>,
    relay: Arc<Watched>,
}

impl Desk {
    /// `log` is a connection beside the relay's own: whatever is asked here keeps no append waiting.
    pub(super) fn new(log: SqliteLog, engine: EngineHandle, gate: Arc<Gate>, relay: Watched) -> Self {
        let (accounts, relay) = (Arc::new(Mutex::new(log)), Arc::new(relay));
        Self { accounts, engine, clock: SystemClock::start(), gate, relay }
    }

    /// Does something with the accounts, on a thread that may wait for the disk.
    async fn with<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut dyn Accounts, Now) -> Result<T, AccountError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (accounts, now) = (Arc::clone(&self.accounts), self.clock.now());
        let done = tokio::task::spawn_blocking(move || {
            // After a panic in another request the connection is as its last transaction left it.
            let mut log = accounts.lock().unwrap_or_else(PoisonError::into_inner);
            verb(&mut *log, now)
        });
        match done.await {
            Ok(done) => Ok(done?),
            Err(_) => Err(Refusal::failed()),
        }
    }

    /// Changes who may do what; the sessions that are live hear of it before this returns.
    async fn change<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut dyn Accounts, Now) -> Result<T, AccountError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let done = self.with(verb).await?;
        // Where the relay's thread has ended there is no session left.
        let _ = self.engine.ask(Hub::look_for_changes).await;
        Ok(done)
    }

    /// Notes what an administrator did, for whoever looks at what happened last.
    async fn note(&self, what: Occurrence) {
        let _ = self.engine.ask(|hub, _| hub.note_event(what)).await;
    }
}

/// The document of the administration's HTTP API.
pub fn openapi() -> OpenApi {
    document::completed(routes().into_openapi())
}

/// The routes of the listener for administrators.
pub(super) fn router(desk: Desk) -> Router {
    let (verbs, _) = routes().with_state(desk.clone()).split_for_parts();
    let document = Json(openapi());
    let routed = verbs
        .route("/openapi.json", axum::routing::get(move || async move { document }))
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here") })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(desk.clone(), answer::only_administrators))
        .merge(page::routes().method_not_allowed_fallback(method_not_allowed))
        .layer(middleware::from_fn_with_state(desk, answer::only_so_many_at_once))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(answered_in_time))
        .layer(middleware::from_fn(never_stored))
        .layer(middleware::from_fn(super::requests::log_administration));
    // What is wrapped around a route does not see what axum says of its methods last of all: this is around all of them.
    Router::new().fallback_service(routed).layer(middleware::map_response(methods_untold))
}

fn routes() -> OpenApiRouter<Desk> {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token that `afield-relay token create --admin` made"));
    let components =
        utoipa::openapi::ComponentsBuilder::new().security_scheme(BEARER, SecurityScheme::Http(scheme.build())).build();
    let mut info = Info::new("Afield relay: administration", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "How a relay is, and its users, tokens, spaces, devices and sessions. Times are milliseconds since the Unix epoch. \
        Errors are objects of `error`, `code` and `next`; a verb on something that is not there changes nothing."
            .to_owned(),
    );
    info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    let document = OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(BEARER, Vec::<String>::new())]))
        .build();
    OpenApiRouter::with_openapi(document)
        .routes(routes!(overview::overview))
        .routes(routes!(account::list_users, account::create_user))
        .routes(routes!(account::change_user))
        .routes(routes!(account::sign_out_user))
        .routes(routes!(account::list_tokens, account::create_token))
        .routes(routes!(account::revoke_token))
        .routes(routes!(space::list_spaces, space::create_space))
        .routes(routes!(space::list_members))
        .routes(routes!(space::grant, space::remove_member))
        .routes(routes!(space::list_invitations, space::invite))
        .routes(routes!(space::withdraw))
        .routes(routes!(space::accept))
        .routes(routes!(device::list_devices))
        .routes(routes!(device::name_device))
        .routes(routes!(device::sign_out_device))
        .routes(routes!(device::list_sessions))
        .routes(routes!(device::sign_out_session))
}

/// Keeps answers out of every cache: what they show is of the moment, and a new token is shown once.
async fn never_stored(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Ends the wait for a request that does not come, or for an answer to it, and says so as every error is said.
async fn answered_in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWERED_WITHIN, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => {
            let error = "the request did not come in time";
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "timed_out", error).into_response()
        }
    }
}

/// The answer to a method that a path does not have; `allow` names those that it has.
async fn method_not_allowed() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path takes other methods")
}

/// Takes the methods of a path out of every answer but the one that is about them: who may not ask learns no path by them.
async fn methods_untold(mut answer: Response) -> Response {
    if answer.status() != StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().remove(header::ALLOW);
    }
    answer
}

/// The state of a handler.
type Shared = State<Desk>;

/// An answer without a body.
fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_come_in_time_is_told_so_as_every_error_is() {
        let (never, soon) = (std::future::pending::<&str>, async || "done");
        let router = Router::new().route("/never", axum::routing::get(never)).route("/soon", axum::routing::get(soon));
        let router = TowerToHyperService::new(router.layer(middleware::from_fn(answered_in_time)));
        let ask = async |path: &str| {
            let answer = router.call(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            (answer.status().as_u16(), to_bytes(answer.into_body(), 1_024).await.unwrap())
        };
        let answered = tokio::time::timeout(REQUEST_TIMEOUT, ask("/never")).await;
        let (status, body) = answered.expect("before the connection is given up");
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, error["code"].as_str()), (408, Some("timed_out")), "{error}");
        assert_eq!(ask("/soon").await, (200, "done".into()), "the control");
    }
}
