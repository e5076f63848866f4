//! The trace that a request of the administration belongs to, where whoever asks has one (W3C Trace Context).

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// Puts a span below the one that the headers name. Without a collector there is none, and nothing happens.
pub(in crate::server) fn set_parent(span: &Span, headers: &HeaderMap) {
    if !span.is_disabled() {
        // It fails where nobody collects spans.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Headers(headers)));
    }
}
