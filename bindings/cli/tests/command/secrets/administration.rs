//! Every operation of the administration over HTTP, and every file of its dashboard.

use super::talkative::Talkative;
use super::{CONTENT, PASSWORD, Written};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Whom the operations are about.
pub(super) struct About<'a> {
    pub(super) admin: &'a str,
    /// A token that is good, and not of an administrator.
    pub(super) phone: &'a str,
    pub(super) space: &'a str,
    /// A device of ada that is connected.
    pub(super) device: &'a str,
}

/// Asks for each operation of `openapi.json` as an administrator, and for each as somebody else and in a wrong way. What is made keeps its
/// secret, which nothing but the answer that shows it may tell.
pub(super) fn ask_all(relay: &Talkative, about: &About<'_>, written: &mut Written) {
    let document: Value = serde_json::from_str(include_str!("../../../../../relay/openapi.json")).unwrap();
    let mut asked = BTreeSet::new();
    let bearer = format!("Bearer {}", about.admin);
    let mut ask = |method: &str, route: &str, path: &str, body: &Value| {
        let operation = &document["paths"][route][method.to_lowercase()];
        asked.insert(operation["operationId"].as_str().expect(route).to_owned());
        let body_text = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!("{method} {path}");
        let answer = relay.ask("admin_address", &bearer, &request, &body_text);
        assert!(answer.starts_with("HTTP/1.1 20"), "{request}: {answer}");
        let (head, answer) = answer.split_once("\r\n\r\n").unwrap();
        written.answers.push_str(head);
        let json: Value = serde_json::from_str(answer).unwrap_or_default();
        match ["token", "code"].into_iter().find_map(|key| json[key].as_str()) {
            Some(secret) => written.secrets.push(secret.to_owned()),
            None => written.answers.push_str(answer),
        }
        // The same of somebody who may not, with what nobody understands, and with a secret in the place of each name.
        let mut again = |authorization: &str, request: &str, body: &str| {
            written.answers.push_str(&relay.ask("admin_address", authorization, request, body));
        };
        again(&format!("Bearer {}", about.phone), &request, &body_text);
        again(&format!("Basic {PASSWORD}"), &request, &body_text);
        if body.is_object() {
            let forged =
                json!({ CONTENT: 1, "name": 7, "role": CONTENT, "code": [CONTENT], "user": 7, "disabled": CONTENT });
            again(&bearer, &request, &forged.to_string());
            again(&bearer, &request, &format!("{{ \"name\": \"{CONTENT}"));
        }
        if method == "GET" {
            again(&bearer, &format!("{request}?after={PASSWORD}"), "");
            again(&bearer, &format!("{request}?{PASSWORD}={PASSWORD}"), "");
        }
        let secret_path = route.split('/').map(|part| if part.starts_with('{') { PASSWORD } else { part });
        if route.contains('{') {
            again(&bearer, &format!("{method} {}", secret_path.collect::<Vec<_>>().join("/")), &body_text);
        }
        json
    };
    let About { space, device, .. } = about;
    let none = Value::Null;
    ask("GET", "/v1/overview", "/v1/overview", &none);
    for list in ["devices", "sessions", "spaces", "tokens", "users"] {
        let path = format!("/v1/{list}");
        ask("GET", &path, &format!("{path}?limit=10"), &none);
    }
    ask("POST", "/v1/users", "/v1/users", &json!({ "name": "dora" }));
    ask("PATCH", "/v1/users/{name}", "/v1/users/dora", &json!({ "disabled": false }));
    let made = ask("POST", "/v1/tokens", "/v1/tokens", &json!({ "user": "dora", "name": "phone" }));
    let new = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    ask("POST", "/v1/spaces", "/v1/spaces", &json!({ "space": new, "owner": "dora" }));
    let invitations = format!("/v1/spaces/{space}/invitations");
    let of_space = "/v1/spaces/{space}/invitations";
    let used = ask("POST", of_space, &invitations, &json!({ "role": "reader" }));
    let unused = ask("POST", of_space, &invitations, &json!({ "role": "reader", "expires_in_s": 60 }));
    let accepted = json!({ "user": "dora", "code": used["code"] });
    ask("POST", "/v1/invitations/accept", "/v1/invitations/accept", &accepted);
    ask("GET", of_space, &invitations, &none);
    let withdrawn = format!("/v1/invitations/{}", unused["number"]);
    ask("DELETE", "/v1/invitations/{number}", &withdrawn, &none);
    let member = format!("/v1/spaces/{space}/members/dora");
    ask("PUT", "/v1/spaces/{space}/members/{user}", &member, &json!({ "role": "writer" }));
    ask("GET", "/v1/spaces/{space}/members", &format!("/v1/spaces/{space}/members"), &none);
    ask("DELETE", "/v1/spaces/{space}/members/{user}", &member, &none);
    ask("DELETE", "/v1/tokens/{number}", &format!("/v1/tokens/{}", made["number"]), &none);
    ask("POST", "/v1/users/{name}/sign-out", "/v1/users/dora/sign-out", &none);
    let route = "/v1/devices/{user}/{device}";
    ask("PATCH", route, &format!("/v1/devices/ada/{device}"), &json!({ "name": "the one that is here" }));
    let sessions = ask("GET", "/v1/sessions", "/v1/sessions", &none);
    let here = sessions["rows"].as_array().unwrap().iter().find(|session| session["device"] == *device);
    let session = here.expect("it is connected")["id"].as_str().unwrap();
    ask("DELETE", "/v1/sessions/{session}", &format!("/v1/sessions/{session}"), &none);
    let route = "/v1/devices/{user}/{device}/sign-out";
    ask("POST", route, &format!("/v1/devices/ada/{device}/sign-out"), &json!({ "keep_tokens": true }));

    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let all: BTreeSet<_> = operations.filter_map(|one| one["operationId"].as_str().map(str::to_owned)).collect();
    assert_eq!(asked, all, "each operation of the administration was asked for");
    ask_pages(relay, &bearer, written);
}

/// The files of the dashboard, and what others ask a relay.
fn ask_pages(relay: &Talkative, bearer: &str, written: &mut Written) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../relay/dashboard");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = names.map(|name| ("admin_address", if name == "index.html" { String::new() } else { name }));
    let others = [
        ("admin_address", "openapi.json"),
        ("address", "healthz"),
        ("address", "readyz"),
        ("address", "version"),
        ("metrics_address", "metrics"),
    ];
    let pages: Vec<_> = pages.chain(others.map(|(listener, name)| (listener, name.to_owned()))).collect();
    assert!(pages.len() > 10, "the control: {pages:?}");
    for (listener, page) in pages {
        let answer = relay.ask(listener, bearer, &format!("GET /{page}"), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{page}: {answer}");
        written.answers.push_str(&answer);
    }
    for refused in [format!("GET /{PASSWORD}"), format!("GET /v1/sync?token={PASSWORD}")] {
        written.answers.push_str(&relay.ask("address", &format!("Bearer {PASSWORD}"), &refused, ""));
        written.answers.push_str(&relay.ask("admin_address", bearer, &refused, ""));
    }
}
