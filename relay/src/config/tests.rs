use super::setting::Setting;
use super::*;
use std::net::SocketAddr;

#[test]
fn the_defaults_are_those_of_a_relay_without_a_configuration() {
    let data = Config::default().data;
    let of_config = format!("{:?}", Config::default().options(Access::Tokens));
    assert_eq!(of_config, format!("{:?}", RelayOptions::new(data)));
}

/// Keys that are no option of the server: where they are used says [`Config::options`]'s caller, and a test of its own.
const BESIDE: [&str; 5] = ["log", "log_format", "otlp.endpoint", "otlp.headers", "otlp.sample_percent"];

#[test]
fn every_key_has_an_effect_on_what_a_relay_is_started_with() {
    const VALUES: [&str; 16] = [
        "1",
        "7",
        "4096",
        "2 MiB",
        "300000",
        "3s",
        "true",
        "false",
        "127.0.0.1:9",
        "10.9.0.0/16",
        "https://b.example",
        "ES256",
        "info,afield_relay=trace",
        "json",
        "http://127.0.0.1:4319",
        "x-other=1",
    ];
    let mut base = Config { data: "data".into(), ..Config::default() };
    base.tls = TlsSection { certificate: Some("c".into()), key: Some("k".into()) };
    base.jwt = JwtSection {
        keys: Some("keys".into()),
        algorithm: Setting::parse("EdDSA"),
        issuer: Setting::parse("them"),
        audience: Setting::parse("us"),
    };
    let options = |config: &Config| format!("{:?}", config.options(Access::Tokens));
    let mut beside = Vec::new();
    for key in keys::KEYS.iter() {
        let changed = VALUES.iter().find_map(|value| {
            let mut config = base.clone();
            (key.set)(&mut config, value).filter(|()| config != base).map(|()| config)
        });
        let changed = changed.unwrap_or_else(|| panic!("no value here is another one of {}", key.name));
        if options(&changed) == options(&base) {
            beside.push(key.name);
        }
    }
    assert_eq!(beside, BESIDE, "what else is set and does nothing");
}

#[test]
fn a_refusal_says_where_the_value_stands_that_it_is_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.toml");
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let loaded = Sources { file: Some(path.clone()), ..Sources::default() }.load().unwrap();
        loaded.check()
    };
    refused("listen = '127.0.0.1:1'").expect("the control");
    let error = refused("log = 'info'\nlisten = '0.0.0.0:1'").unwrap_err();
    let CheckError::Located { at, key, source: StartError::PlainText(address) } = &error else { panic!("{error:?}") };
    assert_eq!((at, *key), (&Origin::File(path.clone(), 2), "listen"));
    assert_eq!(*address, SocketAddr::from(([0, 0, 0, 0], 1)));
    assert!(error.is_wrong_configuration());

    let missing = folder.path().join("missing.pem");
    let error = refused(&format!("[tls]\nkey = {missing:?}\ncertificate = {missing:?}")).unwrap_err();
    let CheckError::Located { at, key, .. } = &error else { panic!("{error:?}") };
    assert_eq!((at, *key), (&Origin::File(path.clone(), 3), "tls.certificate"));

    let error = refused(&format!("data = {path:?}")).unwrap_err();
    assert!(error.to_string().contains("relay.toml:1: data: ") && error.is_wrong_configuration(), "{error}");
}

#[test]
fn the_documented_table_is_the_one_that_the_keys_make() {
    let documented = include_str!("../../CONFIGURATION.md");
    assert!(documented.ends_with(&table()), "put what `config keys` prints at the end of relay/CONFIGURATION.md");
}

#[test]
fn the_example_says_of_every_key_what_the_default_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.toml");
    let load = || Sources { file: Some(path.clone()), ..Sources::default() }.load().unwrap();
    std::fs::write(&path, example()).unwrap();
    assert_eq!(load().config, Config::default(), "all of it is commented out");

    let begun = |line: &&str| line.strip_prefix('#').is_some_and(|rest| !rest.starts_with(' '));
    let set: Vec<_> =
        example().lines().map(|line| if begun(&line) { line[1..].to_owned() } else { line.to_owned() }).collect();
    std::fs::write(&path, set.join("\n")).unwrap();
    let loaded = load();
    let mut expected = Config { data: "PATH".into(), ..Config::default() };
    expected.tls = TlsSection { certificate: Some("PATH".into()), key: Some("PATH".into()) };
    expected.admin.listen = Some("127.0.0.1:8454".parse().unwrap());
    expected.metrics.listen = expected.admin.listen;
    expected.otlp.endpoint = Setting::parse("http://127.0.0.1:4318");
    expected.otlp.headers = Setting::parse("x-api-key=...");
    expected.jwt = JwtSection {
        keys: Some("PATH".into()),
        algorithm: Setting::parse("EdDSA"),
        issuer: Setting::parse("TEXT"),
        audience: Setting::parse("TEXT"),
    };
    expected.trusted_proxies = Setting::parse("10.0.0.0/8").unwrap();
    expected.origins = Setting::parse("https://app.example").unwrap();
    assert_eq!(loaded.config, expected);
    assert!(objects(&loaded).iter().all(|object| object["from"] != "default"), "and each key is in it");
}

#[test]
fn what_is_printed_reads_back_as_the_same_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Sources { file: Some(path.clone()), ..Sources::default() }.load().unwrap()
    };
    let first = load(
        "data = 'a \"b\"'\nshutdown_deadline = '90s'\n[space]\nbytes_max = 1000\n[tls]\nkey = 'k'\ncertificate = 'c'",
    );
    let printed = page(&first);
    assert!(printed.contains("shutdown_deadline = \"90s\"  # ") && printed.contains("relay.toml:2"), "{printed}");
    assert_eq!(load(&printed).config, first.config);
}
