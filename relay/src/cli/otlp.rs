//! Log lines and traces for a collector of OpenTelemetry, sent by OTLP over HTTP from threads of their own.
//!
//! Only what the relay itself writes is sent: what other crates log may be about the sending, which would never end, and
//! goes to standard error alone. That a collector cannot be reached is told there, and keeps nothing waiting: what finds no
//! place in the queues of the SDK is dropped.

use crate::config::OtlpSection;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use std::collections::HashMap;
use std::time::Duration;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

/// How a service is called in OpenTelemetry, unless its variable says otherwise.
const SERVICE_NAME: &str = "afield-relay";
/// The variable of OpenTelemetry's own in which the service is called otherwise ("Environment Variable Specification").
const SERVICE_NAME_VARIABLE: &str = "OTEL_SERVICE_NAME";
/// How long a relay that stops waits for a collector to take what is left, of each kind.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Why nothing can be sent to a collector.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OtlpError {
    #[error("no client of HTTP could be made for the collector of OpenTelemetry")]
    Client(#[source] reqwest::Error),
    #[error("nothing can be sent to the collector of OpenTelemetry")]
    Exporter(#[source] ExporterBuildError),
}

/// What sends; dropping it sends what is left, for as long as that may take.
#[derive(Debug)]
pub(super) struct Exporter {
    spans: SdkTracerProvider,
    lines: SdkLoggerProvider,
}

impl Exporter {
    /// Starts to send, where there is a collector. Not to be called from asynchronous code: the client blocks.
    pub(super) fn start(section: &OtlpSection) -> Result<Option<Self>, OtlpError> {
        let Some(endpoint) = &section.endpoint else { return Ok(None) };
        // A certificate is checked by the one provider of the tree, whatever else could be built in.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::blocking::Client::builder()
            // A collector that sends elsewhere would be told there what only it is to be told.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(OtlpError::Client)?;
        let headers = || section.headers.iter().flat_map(|headers| headers.iter());
        let headers: HashMap<String, String> =
            headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(client.clone())
            .with_endpoint(endpoint.path("v1/traces"))
            .with_headers(headers.clone())
            .build()
            .map_err(OtlpError::Exporter)?;
        let lines = LogExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(endpoint.path("v1/logs"))
            .with_headers(headers)
            .build()
            .map_err(OtlpError::Exporter)?;
        let resource = resource();
        #[expect(clippy::cast_precision_loss, reason = "it is at most a hundred")]
        let share = section.sample_percent.get() as f64 / 100.0;
        Ok(Some(Self {
            spans: SdkTracerProvider::builder()
                .with_batch_exporter(spans)
                .with_resource(resource.clone())
                .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))))
                .build(),
            lines: SdkLoggerProvider::builder().with_batch_exporter(lines).with_resource(resource).build(),
        }))
    }

    /// What takes the relay's spans, and the lines of its log that `wanted` lets through.
    pub(super) fn layer<S, W>(&self, wanted: W) -> impl Layer<S> + use<S, W>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
        W: Filter<S> + Send + Sync + 'static,
    {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.spans.tracer(SERVICE_NAME))
            // Where in the code and on which thread says nothing to who operates a relay.
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|about| about.is_span() && is_own(about) && *about.level() <= Level::DEBUG));
        let own = filter_fn(|about| about.is_event() && is_own(about));
        spans.and_then(OpenTelemetryTracingBridge::new(&self.lines).with_filter(own.and(wanted)))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // The SDK has logged what could not be sent, and there is nobody else to tell.
        let _ = self.spans.shutdown_with_timeout(END_TIMEOUT);
        let _ = self.lines.shutdown_with_timeout(END_TIMEOUT);
    }
}

fn is_own(about: &Metadata<'_>) -> bool {
    about.target().starts_with("afield")
}

/// Who sends.
fn resource() -> Resource {
    let instance = uuid::Builder::from_random_bytes(afield_core::time::random_bytes(&mut crate::server::SystemEntropy));
    let attributes = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance.into_uuid().to_string()),
    ];
    let resource = Resource::builder().with_attributes(attributes);
    match std::env::var_os(SERVICE_NAME_VARIABLE) {
        Some(_) => resource.build(),
        None => resource.with_service_name(SERVICE_NAME).build(),
    }
}
