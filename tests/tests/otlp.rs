//! A real relay process and a collector of OpenTelemetry: what it is sent, and what becomes of a relay whose collector is sick.

use afield::{Durability, Relay, Replica};
use afield_tests::processes::{Access, Program, RelayProcess};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// What stands in documents, and in nothing that is sent.
const CONTENT: &str = "the diagnosis of a patient";
/// What the collector wants to be shown.
const KEY: &str = "a key of the collector";
/// The trace and the span of whoever asks the administration (W3C Trace Context).
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// One request that a collector got.
#[derive(Debug, Clone)]
struct Got {
    path: String,
    key: Option<String>,
    body: Bytes,
}

/// A collector of OpenTelemetry that keeps what it gets.
struct Collector {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Collector {
    fn start(runtime: &Runtime) -> Self {
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let take = |State(got): State<Arc<Mutex<Vec<Got>>>>, uri: Uri, headers: HeaderMap, body: Bytes| async move {
            let key = headers.get("x-api-key").map(|key| key.to_str().unwrap().to_owned());
            got.lock().unwrap().push(Got { path: uri.path().to_owned(), key, body });
        };
        let routes = axum::Router::new()
            .route("/in/v1/traces", post(take))
            .route("/in/v1/logs", post(take))
            .with_state(Arc::clone(&got));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { address, got }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    fn spans(&self) -> Vec<Span> {
        let traces = self.got().into_iter().filter(|got| got.path.ends_with("traces"));
        let requests = traces.map(|got| ExportTraceServiceRequest::decode(got.body).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        let resources = resources.inspect(|about| is_named(&about.resource.as_ref().unwrap().attributes));
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The texts of the log lines.
    fn lines(&self) -> Vec<String> {
        let logs = self.got().into_iter().filter(|got| got.path.ends_with("logs"));
        let requests = logs.map(|got| ExportLogsServiceRequest::decode(got.body).unwrap());
        let resources = requests.flat_map(|request| request.resource_logs);
        let resources = resources.inspect(|about| is_named(&about.resource.as_ref().unwrap().attributes));
        let records = resources.flat_map(|resource| resource.scope_logs).flat_map(|scope| scope.log_records);
        records.filter_map(|record| text(record.body?.value)).collect()
    }
}

fn text(value: Option<Value>) -> Option<String> {
    match value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    text(found.value.clone()?.value)
}

fn is_named(attributes: &[KeyValue]) {
    assert_eq!(attribute(attributes, "service.name").as_deref(), Some("afield-relay"));
    assert!(attribute(attributes, "service.instance.id").is_some_and(|id| !id.is_empty()));
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_relay_process"))
}

/// A configuration that names a collector.
fn configured(folder: &Path, collector: SocketAddr, more: &str) -> String {
    let file = folder.join("relay.toml");
    std::fs::write(&file, format!("[otlp]\nendpoint = \"http://{collector}/in\"\n{more}")).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Syncs a device's note with a relay.
fn sync(runtime: &Runtime, relay: &RelayProcess, file: &Path, token: Option<&str>) -> Replica {
    let replica = Replica::open(file).unwrap();
    let home = replica.create_space("home").unwrap();
    let notes = home.collection::<()>("notes").unwrap().json();
    notes.insert(&json!({ "title": CONTENT })).unwrap();
    let mut to = Relay::new(relay.url());
    if let Some(token) = token {
        to = to.token(token);
    }
    replica.connect(to).unwrap();
    let synced = async { tokio::time::timeout(Duration::from_secs(30), replica.sync_now()).await };
    runtime.block_on(synced).expect("it does not take long").unwrap();
    replica
}

/// Asks the administration for the sessions, as a part of somebody's trace.
fn ask(address: SocketAddr, token: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let trace = format!("traceparent: 00-{TRACE}-{PARENT}-01");
    write!(stream, "GET /v1/sessions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n").unwrap();
    write!(stream, "authorization: Bearer {token}\r\n{trace}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_collector_gets_what_a_relay_does_and_says_and_neither_content_nor_secrets() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let collector = Collector::start(&runtime);
    let file = configured(folder.path(), collector.address, &format!("headers = \"x-api-key={KEY}\"\n"));
    let data = folder.path().join("data");
    let options = ["--config", &file, "--log", "trace", "--log-format", "json"];
    let mut relay = RelayProcess::start_administered_with(&program(), &data, &options);
    let (token, admin) = (relay.create_token(), relay.create_token_with(&["--admin"]));
    let replica = sync(&runtime, &relay, &folder.path().join("notes.db"), Some(&token));
    let answer = ask(relay.admin_address().unwrap(), &admin);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let request_id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().to_owned();
    replica.disconnect();
    relay.stop();

    let (spans, lines) = (collector.spans(), collector.lines());
    let names: BTreeSet<_> = spans.iter().map(|span| span.name.as_str()).collect();
    let [push] = named(&spans, "push")[..] else { panic!("one push: {names:?}") };
    let (home, session) = (replica.spaces().unwrap()[0].id().to_string(), attribute(&push.attributes, "session"));
    assert_eq!(attribute(&push.attributes, "space"), Some(home));
    assert_eq!(attribute(&push.attributes, "chunks").as_deref(), Some("1"));
    let [commit] = named(&spans, "commit")[..] else { panic!("one commit: {names:?}") };
    let links: Vec<_> = commit.links.iter().map(|link| hex(&link.span_id)).collect();
    assert_eq!(links, [hex(&push.span_id)], "a commit names the pushes that it was for");
    assert!(commit.end_time_unix_nano <= push.end_time_unix_nano, "a push takes until its receipt is ready");
    let [sign_in] = named(&spans, "sign_in")[..] else { panic!("one sign-in: {names:?}") };
    assert_eq!(attribute(&sign_in.attributes, "session"), session);
    let [request] = named(&spans, "GET /v1/sessions")[..] else { panic!("one request: {names:?}") };
    assert_eq!((hex(&request.trace_id).as_str(), hex(&request.parent_span_id).as_str()), (TRACE, PARENT));
    assert_eq!(attribute(&request.attributes, "request"), Some(request_id));
    assert_eq!(attribute(&request.attributes, "http.response.status_code").as_deref(), Some("200"));
    for line in ["the relay is ready", "a session is welcome", "a look at the administration", "the relay stops"] {
        assert!(lines.iter().any(|sent| sent == line), "{line}: {lines:#?}");
    }

    for got in collector.got() {
        assert_eq!(got.key.as_deref(), Some(KEY), "{}", got.path);
        let body = String::from_utf8_lossy(&got.body).into_owned();
        for secret in [CONTENT, KEY, &token["afield_".len()..], &admin["afield_".len()..]] {
            assert!(!body.contains(secret), "{} holds {secret}", got.path);
        }
    }
}

#[test]
fn a_relay_goes_on_while_its_collector_is_away_and_while_it_never_answers() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (nth, collector) in [silent.local_addr().unwrap(), away].into_iter().enumerate() {
        let data = folder.path().join(format!("relay-{nth}"));
        let file = configured(folder.path(), collector, "");
        let mut relay = RelayProcess::start_with_options(&program(), &data, Access::Open, &["--config", &file]);
        let replica = sync(&runtime, &relay, &folder.path().join(format!("{nth}.db")), None);
        let notes = replica.spaces().unwrap()[0].collection::<()>("notes").unwrap().json();
        let id = notes.insert(&json!({ "title": "another" })).unwrap();
        let written = notes.put(id, &json!({ "title": "changed" })).unwrap();
        let synced = async { tokio::time::timeout(Duration::from_secs(30), written.wait(Durability::Relay)).await };
        runtime.block_on(synced).expect("a collector keeps nobody waiting").unwrap();
        let began = Instant::now();
        relay.stop();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

/// The names of a process's threads.
#[cfg(target_os = "linux")]
fn threads(process: u32) -> BTreeSet<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap().trim().to_owned()).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn no_traces_are_sent_where_none_are_wanted_and_nothing_is_started_without_a_collector() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let collector = Collector::start(&runtime);
    let file = configured(folder.path(), collector.address, "sample_percent = 0\n");
    let is_sending = |name: &String| name.contains("OpenTelemetry") || name.contains("reqwest");
    for (nth, (options, sends)) in
        [(vec!["--config", &file, "--log", "info"], true), (vec![], false)].into_iter().enumerate()
    {
        let data = folder.path().join(format!("relay-{nth}"));
        let mut relay = RelayProcess::start_with_options(&program(), &data, Access::Open, &options);
        let threads = threads(relay.process().unwrap());
        assert_eq!(threads.iter().any(is_sending), sends, "{threads:?}");
        sync(&runtime, &relay, &folder.path().join(format!("{nth}.db")), None);
        let before = collector.got().len();
        relay.stop();
        assert_eq!(collector.got().len() > before, sends, "the last lines are sent as it stops");
    }
    assert!(collector.lines().iter().any(|line| line == "the relay is ready"), "the control: it does send");
    assert!(collector.spans().is_empty(), "{:?}", collector.spans());
}
