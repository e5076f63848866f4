use super::*;
use crate::config::LogFormat;
use crate::config::setting::Shown;

/// What comes of a file, variables and flags.
fn loaded(text: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.toml");
    std::fs::write(&path, text).unwrap();
    let flags =
        flags.iter().map(|(name, value)| (KEYS.iter().find(|key| key.name == *name).unwrap(), (*value).to_owned()));
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Sources { file: Some(path), variables, flags: Flags(flags.collect()), ..Sources::default() }.load()
}

/// What is wrong with a file, without its folder.
fn wrong(text: &str) -> String {
    told(&loaded(text, &[], &[]).unwrap_err())
}

fn told(error: &ConfigError) -> String {
    let text = error.to_string();
    let name = |line: &str| line.split_once("relay.toml:").map_or(line.to_owned(), |(_, rest)| rest.to_owned());
    text.lines().map(name).collect::<Vec<_>>().join("\n")
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let file = "connections_max = 1\nlog_format = 'json'\n[space]\nchunks_max = 1";
    let variables = [("AFIELD_CONNECTIONS_MAX", "2"), ("AFIELD_SPACE_CHUNKS_MAX", "2")];
    let loaded = loaded(file, &variables, &[("connections_max", "3")]).unwrap();
    let config = &loaded.config;
    assert_eq!(
        (config.connections_max.get(), loaded.origin("connections_max").to_string()),
        (3, "--connections-max".to_owned())
    );
    let of_space = (config.space.chunks_max.get(), loaded.origin("space.chunks_max").to_string());
    assert_eq!(of_space, (2, "AFIELD_SPACE_CHUNKS_MAX".to_owned()));
    assert_eq!(config.log_format, LogFormat::Json);
    assert!(matches!(loaded.origin("log_format"), Origin::File(_, 2)));
    assert_eq!(loaded.origin("log"), Origin::Default);
}

#[test]
fn every_key_is_known_by_its_variable_and_its_flag() {
    for key in KEYS.iter() {
        let value = match (key.show)(&Config::default()) {
            Some(Shown::Text(text)) => text,
            Some(other) => other.to_string(),
            None => key.sample.to_owned(),
        };
        // The certificate and its key are of no use alone, which is another question.
        let pair = [
            ("AFIELD_TLS_KEY", "file.pem"),
            ("AFIELD_TLS_CERTIFICATE", "file.pem"),
            ("AFIELD_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
            ("AFIELD_JWT_KEYS", "file.pem"),
            ("AFIELD_JWT_ISSUER", "them"),
            ("AFIELD_JWT_AUDIENCE", "us"),
        ];
        let by_variable = loaded("", &[&[(key.variable.as_str(), value.as_str())], &pair[..]].concat(), &[]).unwrap();
        assert_eq!(by_variable.origin(key.name), Origin::Variable(key.variable.clone()));
        if key.is_secret {
            continue;
        }
        let by_flag = loaded("", &pair, &[(key.name, &value)]).unwrap();
        assert!(matches!(by_flag.origin(key.name), Origin::Flag(_)), "{}", key.name);
    }
}

#[test]
fn a_key_that_there_is_not_is_told_with_its_line_and_the_nearest() {
    for (text, expected) in [
        ("\n\nlisen = '127.0.0.1:1'", "3: there is no key lisen; did you mean listen?"),
        ("[tls]\ncertificat = 'a'", "2: there is no key tls.certificat; did you mean tls.certificate?"),
        ("tls_key = 'a'", "1: there is no key tls_key; did you mean tls.key?"),
        ("[limits]\nspace_bytes_max = 1", "2: there is no key limits.space_bytes_max; did you mean space.bytes_max?"),
        ("tls.kei = 'a'", "1: there is no key tls.kei; did you mean tls.key?"),
        ("[spaces]\nbytes_max = 1", "2: there is no key spaces.bytes_max; did you mean space.bytes_max?"),
        ("[lisen]", "1: there is no key lisen; did you mean listen?"),
    ] {
        assert_eq!(wrong(text), expected);
    }
}

#[test]
fn several_values_are_a_text_with_commas_or_a_list_of_texts() {
    let proxies = |text: &str| loaded(text, &[], &[]).map(|loaded| loaded.config.trusted_proxies.as_slice().to_vec());
    let as_text = proxies("trusted_proxies = '127.0.0.1, 10.0.0.0/8'").unwrap();
    assert_eq!(proxies("trusted_proxies = ['127.0.0.1', '10.0.0.0/8']").unwrap(), as_text);
    assert_eq!((as_text.len(), proxies("trusted_proxies = []").unwrap().len()), (2, 0));
    let config = loaded("origins = [\n  'https://a.example',\n  'https://b.example',\n]", &[], &[]).unwrap().config;
    assert_eq!(config.origins.as_slice(), ["https://a.example", "https://b.example"]);
    for (text, expected) in [
        ("origins = ['https://a.example', 7]", "and not a list"),
        ("origins = ['https://a.example, https://b.example']", "and not a list"),
        ("trusted_proxies = ['127.0.0.1', '']", "and not a list"),
        (
            "trusted_proxies = ['127.0.0.1', 'here']",
            "or in a file a list of texts, and not a list of \"127.0.0.1, here\"",
        ),
        ("log = ['info', 'debug']", "and not a list of \"info, debug\""),
    ] {
        let told = wrong(text);
        assert!(told.ends_with(expected), "{told}");
    }
}

#[test]
fn a_value_that_cannot_be_understood_is_told_with_line_and_key_and_what_to_give() {
    for (text, expected) in [
        ("\nlisten = 'nowhere'", "2: listen: give an address and port, such as 127.0.0.1:8453, and not \"nowhere\""),
        ("connections_max = '5'", "1: connections_max: give a number from 1 to 1000000, and not \"5\""),
        ("connections_max = 0", "1: connections_max: give a number from 1 to 1000000, and not 0"),
        ("behind_proxy = 'yes'", "1: behind_proxy: give true or false, and not \"yes\""),
        ("behind_proxy = [true]", "1: behind_proxy: give true or false, and not a list"),
        ("[data]", "1: data: give a path, and not a section"),
        ("data = ''", "1: data: give a path, and not \"\""),
        (
            "shutdown_deadline = 8",
            "1: shutdown_deadline: give a number and a unit of w, d, h, m or s, such as 30s, and not 8",
        ),
    ] {
        assert_eq!(wrong(text), expected);
    }
    let control =
        loaded("connections_max = 0x10\nbehind_proxy = true\n[space]\nbytes_max = '1 KiB'", &[], &[]).unwrap();
    assert_eq!((control.config.connections_max.get(), control.config.space.bytes_max.get()), (16, 1_024));
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_the_order_of_the_lines() {
    let told = told(&loaded("lisen = 1\nlog = 'inof'\n[tls]\nkee = 'a'", &[("AFIELD_LISTEN", "x")], &[]).unwrap_err());
    let begins: Vec<_> = told.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(begins, ["1", "2", "4", "AFIELD_LISTEN"], "{told}");
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line_and_without_what_stands_there() {
    let told = wrong("log = 'info'\nlisten = hush-hush\n");
    assert!(told.starts_with("2: ") && !told.contains("hush"), "{told}");
    assert!(wrong("log = 'info'\nlog = 'warn'").starts_with("2: "), "the same key twice");
    let missing = Sources { file: Some("no-such-file.toml".into()), ..Sources::default() }.load().unwrap_err();
    assert!(missing.to_string().contains("no-such-file.toml"), "{missing}");
}

#[test]
fn variables_of_other_programs_are_left_alone_and_slips_are_not() {
    let others =
        [("AFIELD_STORE", "a"), ("AFIELD_SPACE", "b"), ("AFIELD_TOKEN", "c"), ("AFIELD_TAG", "d"), ("HOME", "e")];
    loaded("", &others, &[]).expect("the control");
    for (slip, nearest) in [
        ("AFIELD_LISTN", "AFIELD_LISTEN"),
        ("AFIELD_TLS_CERTFICATE", "AFIELD_TLS_CERTIFICATE"),
        ("AFIELD_CONFG", "AFIELD_CONFIG"),
        ("AFIELD_LOGS", "AFIELD_LOG"),
        ("AFIELD_RATES_FAILURES_BURST", "AFIELD_RATES_PUSHES_BURST"),
        ("AFIELD_LIMITS_SPACE_BYTES_MAX", "AFIELD_LIMITS_FRAME_BYTES_MAX"),
        ("AFIELD_ADMIN_PORT", "AFIELD_ADMIN_LISTEN"),
    ] {
        let error = loaded("", &[(slip, "x")], &[]).unwrap_err();
        assert_eq!(error.to_string(), format!("{slip}: there is no such variable; did you mean {nearest}?"));
    }
}

#[test]
fn what_kubernetes_says_of_its_services_is_not_taken_for_configuration() {
    let of_services = [
        ("AFIELD_ADMIN_SERVICE_HOST", "10.0.0.11"),
        ("AFIELD_ADMIN_SERVICE_PORT", "8454"),
        ("AFIELD_ADMIN_SERVICE_PORT_HTTP", "8454"),
        ("AFIELD_ADMIN_PORT", "tcp://10.0.0.11:8454"),
        ("AFIELD_ADMIN_PORT_8454_TCP", "tcp://10.0.0.11:8454"),
        ("AFIELD_ADMIN_PORT_8454_TCP_PROTO", "tcp"),
        ("AFIELD_ADMIN_PORT_8454_TCP_ADDR", "10.0.0.11"),
    ];
    loaded("", &of_services, &[]).expect("they are there for whoever wants them");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let loaded = loaded("", &[("AFIELD_LISTEN", ""), ("AFIELD_CONFIG", ""), ("AFIELD_TLS_KEY", "")], &[]).unwrap();
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn a_certificate_and_its_key_need_each_other() {
    let alone = told(&loaded("[tls]\ncertificate = 'a'", &[], &[]).unwrap_err());
    assert_eq!(alone, "2: tls.certificate needs tls.key, which is not set");
    let alone = loaded("", &[], &[("tls.key", "a")]).unwrap_err();
    assert_eq!(alone.to_string(), "--tls-key: tls.key needs tls.certificate, which is not set");
    loaded("[tls]\ncertificate = 'a'", &[("AFIELD_TLS_KEY", "b")], &[]).expect("the control: from two places");
}

#[test]
fn the_file_is_the_one_that_is_named_and_else_the_one_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, listen: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("listen = '127.0.0.1:{listen}'")).unwrap();
        path
    };
    let (flag, variable, default) = (write("flag", "1"), write("variable", "2"), write("default", "3"));
    let port = |file: Option<&PathBuf>, named: Option<&PathBuf>, default: &Path| {
        let variables = named.map(|path| (FILE_VARIABLE.into(), path.into())).into_iter().collect();
        let sources =
            Sources { file: file.cloned(), default_file: Some(default.into()), variables, ..Sources::default() };
        sources.load().unwrap().config.listen.port()
    };
    assert_eq!(port(Some(&flag), Some(&variable), &default), 1);
    assert_eq!(port(None, Some(&variable), &default), 2);
    assert_eq!(port(None, None, &default), 3);
    assert_eq!(port(None, None, &folder.path().join("none")), Config::default().listen.port());
}

#[test]
fn a_key_that_was_taken_away_says_what_to_do_instead() {
    const GONE: &[Removed] = &[Removed { name: "tls.chain", flag: "tls-chain", instead: "it is tls.certificate now" }];
    let mut reading = Reading::new(&KEYS, GONE);
    reading
        .entry(Path::new("relay.toml"), &file::Entry { name: "tls.chain".into(), line: 7, found: Found::Truth(true) });
    reading.variable(&"AFIELD_TLS_CHAIN".into(), "x".into());
    assert_eq!(
        reading.finish().unwrap_err().to_string(),
        "relay.toml:7: the key tls.chain is no more: it is tls.certificate now\n\
         AFIELD_TLS_CHAIN: the key tls.chain is no more: it is tls.certificate now"
    );
}

#[test]
fn a_secret_is_in_no_error_and_has_no_flag() {
    let keys: &'static [Key] = vec![crate::config::show::tests::a_secret_key()].leak();
    assert_eq!(keys[0].flag, None);
    let mut reading = Reading::new(keys, &[]);
    let found = Found::Text("hush".into());
    reading.entry(Path::new("relay.toml"), &file::Entry { name: "database.password".into(), line: 1, found });
    assert_eq!(reading.finish().unwrap_err().to_string(), "relay.toml:1: database.password: give a longer one");
}
