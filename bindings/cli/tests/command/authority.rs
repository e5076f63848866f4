//! Relays whose certificate no authority of the system has signed.

use crate::running::{Person, Relay};
use serde_json::Value as Json;
use std::path::Path;

/// A relay with a certificate of its own, its address, and the file of the certificate.
fn of_its_own(folder: &Path, more: &[&str]) -> (Relay, String, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let pem = |tag: &str, der: &[u8]| pem::encode(&pem::Pem::new(tag, der));
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.join(name));
    std::fs::write(&certificate, pem("CERTIFICATE", made.cert.der())).unwrap();
    std::fs::write(&key, pem("PRIVATE KEY", &made.signing_key.serialize_der())).unwrap();
    let [certificate, key] = [certificate, key].map(|path| path.to_str().unwrap().to_owned());
    let tls = ["--tls-certificate", &certificate, "--tls-key", &key];
    let relay = Relay::start(folder, "127.0.0.1:0", &[&tls, more].concat());
    let url = relay.url().replace("ws://", "wss://");
    (relay, url, certificate)
}

#[test]
fn a_relay_with_an_authority_of_its_own_is_trusted_once_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_relay, url, certificate) = of_its_own(folder.path(), &["--insecure-open"]);
    let person = Person::with_store();
    let refused = person.run(["connect", &url]);
    assert_eq!(refused.failed(4).matches("UnknownIssuer").count(), 1, "said once: {refused:?}");
    person.run(["connect", &url, "--ca", &certificate]).ok();
    person.run(["sync"]).ok();
    person.run(["connect", &url, "--ca", person.store().to_str().unwrap()]).failed(1);
    std::fs::write(person.folder().join("empty"), "").unwrap();
    let none = person.run(["connect", &url, "--ca", person.folder().join("empty").to_str().unwrap()]);
    assert!(none.failed(1).contains("--ca"), "{none:?}");
    person.run(["sync"]).ok();
}

#[test]
fn the_authority_of_a_relay_stays_trusted_when_the_same_relay_is_given_another_token() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, url, certificate) = of_its_own(folder.path(), &[]);
    let first = relay.token(&["--user", "ada"]);
    let person = Person::with_store();
    person.run(["connect", &url, "--token", &first, "--ca", &certificate]).ok();
    relay.administer(&["user", "sign-out", "ada"]);
    person.run(["sync"]).failed(5);
    let second = relay.administer(&["token", "create", "--user", "ada"])[0]["token"].as_str().unwrap().to_owned();
    let file = person.folder().join("token");
    std::fs::write(&file, &second).unwrap();
    person.run(["connect", &url, "--token-file", file.to_str().unwrap()]).ok();
    person.run(["sync"]).ok();

    // It is the authority of that relay, and of no other one.
    let elsewhere = tempfile::tempdir().unwrap();
    let (_other, other_url, _) = of_its_own(elsewhere.path(), &["--insecure-open"]);
    assert!(person.run(["connect", &other_url]).failed(4).contains("stays connected to"));
    person.run(["connect", "--off"]).ok();
    let forgotten = person.run(["connect", &url, "--token", &second]);
    assert!(forgotten.failed(4).contains("UnknownIssuer"), "{forgotten:?}");
}

#[test]
fn who_does_not_trust_a_certificate_is_told_how_to_name_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (_relay, url, certificate) = of_its_own(folder.path(), &["--insecure-open"]);
    let person = Person::with_store();
    let names_it = |told: &Json| assert!(told.as_str().unwrap().contains("--ca FILE"), "{told}");
    names_it(&person.run(["connect", &url, "--json"]).error(4)["next"]);
    names_it(&person.run(["sync", "--json"]).error(4)["next"]);
    let doctor = person.run(["doctor", "--json"]);
    let checks: Vec<Json> = doctor.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    names_it(&checks.iter().find(|check| check["check"] == "relay").expect("a check of the relay")["next"]);

    person.run(["connect", &url, "--ca", &certificate]).ok();
    let unreached = person.run(["connect", "wss://127.0.0.1:1", "--json"]).error(4);
    assert!(!unreached["next"].as_str().unwrap().contains("--ca"), "nobody is there: {unreached}");
}
