//! Who may ask the administration for what: every operation of its document, from every kind of token.

mod operations;
mod site;

use super::admin::{Answer, Office};
use super::*;
use crate::log::accounts::SessionFilter;
use afield_core::SpaceId;
use operations::{Asked, Operation};
use serde_json::{Value, json};
use site::Site;
use std::collections::BTreeSet;

const NOWHERE: SpaceId = SpaceId::from_bytes([99; 16]);

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_administrator_learns_or_changes_anything() {
    let site = Site::open().await;
    let (operations, before) = (site.operations(), site.everything().await);
    let listed: BTreeSet<String> = operations.iter().map(|operation| operation.name.to_owned()).collect();
    let documented = site.document["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    assert_eq!(listed, documented.collect(), "an operation that is new stands here, too");

    let mut answers = BTreeSet::new();
    for (kind, token) in &site.strangers {
        let token = token.as_deref();
        for operation in &operations {
            let asked = std::iter::once(&operation.there).chain(operation.missing.iter().map(|(asked, _)| asked));
            for asked in asked {
                let answer = site.ask(token, operation, asked).await;
                assert_eq!(answer.status, 401, "{kind}: {} {}", operation.method(), asked.path);
                answers.insert(answer.as_bytes());
            }
        }
        for (method, path) in [("GET", "/openapi.json"), ("GET", "/v1/nothing"), ("PATCH", "/v1/users")] {
            answers.insert(site.office.ask_as(token, method, path, None).await.as_bytes());
        }
    }
    assert_eq!(answers.len(), 1, "all of them are the same bytes: {answers:?}");
    assert_eq!(site.everything().await, before, "and change nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_is_told_what_is_missing_which_changes_nothing_and_does_what_is_there_to_do() {
    let site = Site::open().await;
    let (operations, before) = (site.operations(), site.everything().await);
    let admin = Some(&site.office.admin as &str);
    for operation in &operations {
        for (asked, wanted) in &operation.missing {
            let answer = site.ask(admin, operation, asked).await;
            let what = format!("{} {}: {}", operation.method(), asked.path, answer.body);
            assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("not_found")), "{what}");
            assert!(answer.json()["error"].as_str().unwrap().starts_with(wanted), "{what}");
            assert_eq!(site.everything().await, before, "{what}");
        }
    }
    let mut before = before;
    for operation in &operations {
        let answer = site.ask(admin, operation, &operation.there).await;
        assert_eq!(answer.status, operation.status, "{}: {}", operation.name, answer.body);
        let after = site.everything().await;
        assert_eq!(after != before, operation.method() != "GET", "the control: {}", operation.name);
        before = after;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_told_as_the_document_says_and_changes_nothing() {
    let site = Site::open().await;
    let (operations, before) = (site.operations(), site.everything().await);
    let admin = Some(&site.office.admin as &str);
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(70_000));
    const JSON: &str = "application/json";
    let mut seen = BTreeSet::new();
    for operation in &operations {
        let verb = &site.document["paths"][operation.template()][operation.method().to_lowercase()];
        let parameters: Vec<&Value> = verb["parameters"].as_array().into_iter().flatten().collect();
        let path = &operation.there.path;
        let mut cases: Vec<(String, &str, &str, u16)> = Vec::new();
        if verb["requestBody"].is_object() {
            let bodies =
                [(JSON, "{", 400), ("text/plain", "{}", 415), (JSON, r#"{"surely":"not"}"#, 422), (JSON, &large, 413)];
            cases.extend(bodies.map(|(kind, body, status)| (path.clone(), kind, body, status)));
        }
        if parameters.iter().any(|parameter| parameter["in"] == "query") {
            let path = path.split('?').next().unwrap();
            cases.push((format!("{path}?surely=not"), JSON, "", 400));
        }
        let own = operation.there.body.to_string();
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "path") {
            let place = format!("{{{}}}", parameter["name"].as_str().unwrap());
            let (wanted, given) = (operation.template().split('/'), path.split('/'));
            let with = |other: &str| {
                let segments = wanted.clone().zip(given.clone());
                segments.map(|(name, given)| if name == place { other } else { given }).collect::<Vec<_>>().join("/")
            };
            // What is no UTF-8 is no name, and no id either.
            cases.push((with("%ff"), JSON, "", 400));
            if !matches!(&place[..], "{name}" | "{user}" | "{session}") {
                cases.push((with("surely-not"), JSON, if operation.there.body.is_null() { "" } else { &own }, 400));
            }
        }
        for (path, kind, body, status) in cases {
            let answer = site.office.ask_typed(admin, operation.method(), &path, (kind, body)).await;
            assert_eq!(answer.status, status, "{} {path}: {}", operation.method(), answer.body);
            assert!(answer.json()["error"].is_string(), "{}", answer.body);
            site.is_documented(operation, &answer);
            seen.insert(status);
        }
        for status in ["401", "408", "429", "500", "503"] {
            let described = verb["responses"][status]["content"].is_object();
            assert!(described, "{}: any request may be answered with {status}", operation.name);
        }
    }
    assert_eq!(seen, BTreeSet::from([400, 413, 415, 422]), "the control");
    assert_eq!(site.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_have_is_told_as_every_error_is_with_those_that_it_has() {
    let site = Site::open().await;
    let paths = site.document["paths"].as_object().unwrap();
    for path in paths.keys().map(String::as_str).chain(["/", "/style.css"]) {
        let answer = site.office.ask_as(Some(&site.office.admin), "TRACE", path, None).await;
        assert_eq!((answer.status, &answer.json()["code"]), (405, &json!("method_not_allowed")), "{path}");
        let allow = answer.head.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap_or_default();
        let allowed: BTreeSet<String> = allow.split(',').map(str::to_lowercase).collect();
        let mut wanted: BTreeSet<String> = match paths.get(path) {
            Some(methods) => methods.as_object().unwrap().keys().cloned().collect(),
            None => BTreeSet::from(["get".to_owned()]),
        };
        wanted.extend(wanted.contains("get").then(|| "head".to_owned()));
        assert_eq!(allowed, wanted, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_sessions_is_narrowed_down_as_on_a_terminal() {
    let site = Site::open().await;
    let all = site.office.list("/v1/sessions").await;
    let beside = || {
        let folder = site.office.folder.path().to_owned();
        DataFolder::existing(folder).unwrap().open_log().unwrap()
    };
    let ids = |rows: &Value| rows.as_array().unwrap().iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
    let device = hello(2).device;
    let filter = |user: Option<&str>, device, space| SessionFilter { user: user.map(str::to_owned), device, space };
    for (query, filter, count) in [
        ("user=ada", filter(Some("ada"), None, None), 3),
        (&format!("device={device}"), filter(None, Some(device), None), 1),
        (&format!("user=ada&device={device}"), filter(Some("ada"), Some(device), None), 0),
        (&format!("device={}", hello(99).device), filter(None, Some(hello(99).device), None), 0),
        // Those who were refused it have it not open, whoever else has.
        (&format!("space={SPACE}"), filter(None, None, Some(SPACE)), 6),
        (&format!("space={SPACE}&user=dan"), filter(Some("dan"), None, Some(SPACE)), 0),
    ] {
        let told = site.office.list(&format!("/v1/sessions?{query}")).await;
        assert_eq!(told.as_array().unwrap().len(), count, "{query}");
        let written = beside().sessions(&filter).unwrap();
        let written: Vec<_> = written.into_iter().map(|session| json!(session.id.to_string())).collect();
        assert_eq!(ids(&told), written, "{query}");
    }
    let first = site.office.get("/v1/sessions?user=ada&limit=1").await;
    let next = first["next"].as_str().expect("more follow");
    let second = site.office.get(&format!("/v1/sessions?user=ada&limit=1&after={next}")).await;
    assert_ne!(ids(&first["rows"]), ids(&second["rows"]));
    assert_eq!(all.as_array().unwrap().len(), 7, "the control");
    for wrong in ["device=surely-not", "space=surely-not"] {
        assert_eq!(site.office.ask("GET", &format!("/v1/sessions?{wrong}"), None).await.status, 400, "{wrong}");
    }
}
