//! The spans of what a relay does, for whoever traces it: how long each part took, and which ids it was about. None holds
//! content, names or tokens (invariant S6).
//!
//! They are on level `debug`, so that a relay without a collector makes none unless its log is told to.

use afield_core::{SessionId, SpaceId};
use std::fmt;
use tracing::field::Empty;
use tracing::{Span, debug_span};

/// A message that may be a push, from the moment at which it was read off the connection until its receipt is ready.
pub(crate) fn push(connection: impl fmt::Display, bytes: usize) -> Span {
    debug_span!("push", otel.kind = "server", %connection, bytes, session = Empty, space = Empty, chunks = Empty)
}

/// Notes what a push is of, on the span in which its message is handled.
pub(crate) fn tell_push(session: SessionId, space: SpaceId, chunks: usize) -> Span {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("session", tracing::field::display(session));
        span.record("space", tracing::field::display(space));
        span.record("chunks", chunks);
    }
    span
}

/// The one transaction for the pushes of a turn.
pub(crate) fn commit(pushes: &[Span]) -> Span {
    let span = debug_span!(parent: None, "commit", pushes = pushes.len());
    if !span.is_disabled() {
        pushes.iter().filter(|push| !push.is_disabled()).for_each(|push| {
            span.follows_from(push);
        });
    }
    span
}

/// Ends the spans of pushes now that they were answered: a span that is not entered once more counts as over since it was.
pub(crate) fn answered(pushes: Vec<Span>) {
    pushes.into_iter().for_each(|push| push.in_scope(|| {}));
}

/// A part of a space's log, read for a session that is behind.
pub(crate) fn read(session: SessionId, space: SpaceId) -> Span {
    debug_span!("read", %session, %space)
}

/// Finding out who a session is.
pub(crate) fn sign_in(session: SessionId) -> Span {
    debug_span!("sign_in", %session)
}

/// Preparing a piece of the old part of a log.
pub(crate) fn pack() -> Span {
    debug_span!("pack")
}

/// Putting such a piece in place, on the thread that appends.
pub(crate) fn settle() -> Span {
    debug_span!("settle")
}

/// A request of the administration, called as the conventions of OpenTelemetry say ("HTTP spans").
pub(crate) fn request(id: impl fmt::Display, method: &http::Method, route: &str) -> Span {
    debug_span!(
        "request",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        request = %id,
        http.request.method = %method,
        http.route = route,
        http.response.status_code = Empty,
    )
}

/// Notes how a request was answered.
pub(crate) fn tell_answer(span: &Span, status: http::StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}
