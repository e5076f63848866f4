//! The id of each HTTP request: its answer carries it, and the log names it. Never the path, in which names stand.

use super::admin::remote;
use crate::spans;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method};
use std::time::Instant;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request of the administration. Whoever only looks, as the dashboard does every other second, stands in the log at its level for
/// details.
pub(super) async fn log_administration(request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let (id, method, route) = (&asked.id, &asked.method, asked.route());
    let span = spans::request(id, method, route);
    remote::set_parent(&span, request.headers());
    let answer = asked.marked(next.run(request).instrument(span.clone()).await);
    let (status, ms) = (answer.status(), asked.ms());
    spans::tell_answer(&span, status);
    // So that the line below belongs to it.
    let _entered = span.entered();
    if *method == Method::GET && status.is_success() {
        tracing::debug!(request = %id, %method, route, status = status.as_u16(), ms, "a look at the administration");
    } else {
        tracing::info!(request = %id, %method, route, status = status.as_u16(), ms, "a request of the administration");
    }
    answer
}

/// A request at the listener for devices: somebody asks how the relay is, or to sync. All of them stand in the log at its level for details:
/// load balancers ask every second, and thousands of devices are turned away at once where many come back.
pub(super) async fn log_devices(request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let answer = asked.marked(next.run(request).await);
    let (id, method, route, ms) = (&asked.id, &asked.method, asked.route(), asked.ms());
    let status = answer.status().as_u16();
    tracing::debug!(request = %id, %method, route, status, ms, "a request at the listener for devices");
    answer
}

/// What is known of a request before it is answered.
struct Asked {
    id: String,
    method: Method,
    path: Option<MatchedPath>,
    began: Instant,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let random = afield_core::time::random_bytes(&mut super::SystemEntropy);
        let id = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
        let path = request.extensions().get::<MatchedPath>().cloned();
        Self { id, method: request.method().clone(), path, began: Instant::now() }
    }

    /// The route that it takes; a dash where there is none.
    fn route(&self) -> &str {
        self.path.as_ref().map_or("-", MatchedPath::as_str)
    }

    /// Puts its id into its answer.
    fn marked(&self, mut answer: Response) -> Response {
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        answer
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
