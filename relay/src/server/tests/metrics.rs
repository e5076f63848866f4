//! The figures, as Prometheus reads them.

use super::*;
use afield_core::wire::ChunkCode;
use std::collections::{BTreeMap, BTreeSet};

async fn scrape(relay: &RunningRelay) -> String {
    let mut stream = TcpStream::connect(relay.metrics_address().unwrap()).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("# EOF\n"), "{answer}");
    answer
}

fn value(scrape: &str, name: &str) -> f64 {
    let line = scrape.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name} in {scrape}")).rsplit(' ').next().unwrap().parse().unwrap()
}

fn refusals() -> impl Iterator<Item = (&'static str, String)> {
    ChunkCode::ALL.iter().map(|code| ("chunks_refused", format!("{code:?}")))
}

/// The names as queries use them, without what a histogram or a counter adds, each with its kind.
fn kinds(scrape: &str) -> BTreeMap<&str, &str> {
    scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

async fn busy_relay(folder: &Path) -> (RunningRelay, Device) {
    let token = new_token(folder);
    let anywhere = Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
    let relay = Relay::start(RelayOptions { metrics: anywhere, ..options(folder) }).await.unwrap();
    let mut device = Device::connect(&relay, &token).await;
    device.catch_up(1).await;
    let mut author = Author::new(1, 1);
    let change = author.edit("secret content");
    device.send_message(push_message(1, author.entity, &[change.clone(), vec![7; 9]])).await;
    device.until(|seen| matches!(seen, Seen::Receipt(..))).await;
    let mut stranger = Device::try_connect(&relay.url(), Some("afield_guess"), Vec::new()).await.unwrap();
    stranger.send(ToRelay::Hello(hello(2))).await;
    assert_eq!(stranger.next().await, Some(Seen::Goodbye(GoodbyeCode::Unauthorized)));
    (relay, device)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_shows_in_the_figures_and_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, _device) = busy_relay(folder.path()).await;
    let text = scrape(&relay).await;
    for (name, expected) in [
        ("afield_sessions", 1.0),
        ("afield_open_spaces", 1.0),
        ("afield_ready", 1.0),
        ("afield_sessions_begun_total", 1.0),
        ("afield_pushes_total", 1.0),
        ("afield_chunks_stored_total", 1.0),
        ("afield_commits_total", 1.0),
        ("afield_commit_seconds_count", 1.0),
        ("afield_chunks_refused_total{code=\"Malformed\"}", 1.0),
        ("afield_sessions_ended_total{code=\"Unauthorized\"}", 1.0),
        ("afield_refused_connections_total{reason=\"rate\"}", 0.0),
    ] {
        assert_eq!(value(&text, name), expected, "{name}");
    }
    assert!(value(&text, "afield_log_bytes") > 0.0 && value(&text, "afield_received_bytes_total") > 0.0);
    for (name, code) in GoodbyeCode::ALL.iter().map(|code| ("sessions_ended", format!("{code:?}"))).chain(refusals()) {
        let began = value(&text, &format!("afield_{name}_total{{code=\"{code}\"}}"));
        assert!(began == 0.0 || ["Unauthorized", "Malformed"].contains(&code.as_str()), "{name} {code}: {began}");
    }
    for secret in ["secret", "default", "127.0.0.1", "afield_guess", &SPACE.to_string(), &hello(1).device.to_string()] {
        assert!(!text.contains(secret), "S6: {secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_is_documented_and_the_dashboard_asks_for_none_that_there_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, _device) = busy_relay(folder.path()).await;
    let scrape = scrape(&relay).await;
    let names = kinds(&scrape);
    assert!(names.len() > 15, "{names:?}");
    let documented = include_str!("../../../METRICS.md");
    let rows = documented.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let written: BTreeMap<&str, &str> =
        rows.map(|(name, rest)| (name.trim_end_matches("_total"), rest.split(" |").next().unwrap())).collect();
    assert_eq!(written, names, "METRICS.md lists all figures with their kinds, and no other");

    let dashboard: serde_json::Value = serde_json::from_str(include_str!("../../../grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked = BTreeSet::new();
    for panel in panels {
        assert!(panel["title"].is_string());
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            asked.extend(query.split(|c| !is_name(c)).filter(|word| word.starts_with("afield_")).map(str::to_owned));
        }
    }
    let is_known = |name: &str| {
        let base =
            ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        names.contains_key(base) || names.contains_key(name)
    };
    assert!(asked.len() > 10 && asked.iter().all(|name| is_known(name)), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_figures_unless_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(options(folder.path())).await.unwrap();
    assert_eq!(relay.metrics_address(), None);
    assert!(http(&relay, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 404"));
}
