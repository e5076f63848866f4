//! The program as a person, a script and a service manager meet it.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn relay(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afield-relay"));
    command.args(arguments).arg("--data").arg(data).env_remove("AFIELD_LOG").env_remove("AFIELD_LISTEN");
    command
}

fn done(data: &Path, arguments: &[&str]) -> Output {
    relay(data, arguments).output().unwrap()
}

fn json(data: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = relay(data, arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_token_is_shown_once_then_listed_without_it_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let created = done(&data, &["token", "create", "--name", "phone"]);
    let token = String::from_utf8(created.stdout).unwrap();
    let token = token.trim_end();
    assert!(created.status.success() && token.starts_with("afield_") && !token.contains(char::is_whitespace));

    let nobody = done(&data, &["token", "create", "--user", "ada"]);
    assert_eq!(nobody.status.code(), Some(4));
    assert!(String::from_utf8(nobody.stderr).unwrap().contains("user create"), "what is next");
    assert!(done(&data, &["user", "create", "ada"]).status.success());
    let limited = ["token", "create", "--user", "ada", "--read-only", "--expires-in", "90d", "--space"];
    let space = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    let made = json(&data, &[&limited[..], &[space]].concat());
    assert_eq!(made[0]["number"], 2);

    let listed = json(&data, &["token", "list"]);
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["name"], &listed[0]["user"]), (&Value::from("phone"), &Value::from("default")));
    assert_eq!((&listed[0]["may_create_spaces"], &listed[0]["spaces"]), (&Value::from(true), &Value::Null));
    assert_eq!((&listed[1]["read_only"], &listed[1]["spaces"]), (&Value::from(true), &Value::from(vec![space])));
    assert!(listed[1]["expires_ms"].as_i64() > listed[1]["created_ms"].as_i64());
    let text = done(&data, &["token", "list"]);
    assert!(!String::from_utf8(text.stdout).unwrap().contains(token), "S6");

    assert!(done(&data, &["token", "revoke", "1"]).status.success());
    assert!(json(&data, &["token", "list"])[0]["revoked_ms"].is_i64());
    for missing in ["1", "99"] {
        assert_eq!(done(&data, &["token", "revoke", missing]).status.code(), Some(4));
    }
}

#[test]
fn a_token_in_a_file_is_its_owners_and_takes_no_files_place() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("token"));
    let name = file.to_str().unwrap();
    let told = done(&data, &["token", "create", "--output", name]);
    assert!(told.status.success(), "{told:?}");
    let token = std::fs::read_to_string(&file).unwrap();
    assert!(token.starts_with("afield_") && token.ends_with('\n') && token.lines().count() == 1);
    let said = [told.stdout, told.stderr].concat();
    assert!(!String::from_utf8(said).unwrap().contains(token.trim_end()), "it is in the file alone");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let again = done(&data, &["token", "create", "--output", name]);
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), token);
    let nowhere = folder.path().join("nowhere/token");
    assert_eq!(done(&data, &["token", "create", "--output", nowhere.to_str().unwrap()]).status.code(), Some(1));
    let of_nobody = folder.path().join("of-nobody");
    let refused = done(&data, &["token", "create", "--user", "ada", "--output", of_nobody.to_str().unwrap()]);
    assert!(refused.status.code() == Some(4) && !of_nobody.exists(), "{refused:?}");
    assert_eq!(json(&data, &["token", "list"]).len(), 1, "no token was made that nobody has");

    let other = folder.path().join("other");
    let made = json(&data, &["token", "create", "--output", other.to_str().unwrap()]);
    assert_eq!((&made[0]["number"], &made[0]["file"]), (&Value::from(2), &Value::from(other.to_str().unwrap())));
    assert!(made[0]["token"].is_null() && other.exists());
}

#[test]
fn users_are_made_listed_closed_and_signed_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert_eq!(json(&data, &["user", "create", "ada"])[0]["name"], "ada");
    let twice = relay(&data, &["user", "create", "ada", "--json"]).output().unwrap();
    assert_eq!((twice.status.code(), &error(&twice)["code"]), (Some(1), &Value::from("failed")));
    let nameless = relay(&data, &["user", "create", " ", "--json"]).output().unwrap();
    assert_eq!((nameless.status.code(), &error(&nameless)["code"]), (Some(2), &Value::from("usage")));
    done(&data, &["token", "create", "--user", "ada"]);
    let listed = json(&data, &["user", "list"]);
    assert_eq!((&listed[1]["name"], &listed[1]["tokens"]), (&Value::from("ada"), &Value::from(1)));
    assert_eq!(json(&data, &["user", "disable", "ada"])[0]["disabled"], true);
    assert!(json(&data, &["user", "list"])[1]["disabled_ms"].is_i64());
    assert_eq!(json(&data, &["user", "enable", "ada"])[0]["disabled"], false);
    assert_eq!(json(&data, &["user", "sign-out", "ada"])[0]["revoked_tokens"], Value::from(vec![1]));
    assert!(json(&data, &["token", "list"])[0]["revoked_ms"].is_i64());
    let unknown = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    for missing in [
        &["user", "disable", "nobody"][..],
        &["user", "sign-out", "nobody"],
        &["space", "members", unknown],
        &["space", "grant", unknown, "ada", "reader"],
        &["space", "invite", unknown],
        &["space", "withdraw", "1"],
        &["device", "sign-out", "ada", unknown],
        &["device", "list", "--user", "nobody"],
        &["session", "sign-out", "0123456789abcdef0123456789abcdef"],
    ] {
        let output = relay(&data, missing).arg("--json").output().unwrap();
        assert_eq!(
            (output.status.code(), &error(&output)["code"]),
            (Some(4), &Value::from("not_found")),
            "{missing:?}"
        );
        assert!(error(&output)["next"].is_string(), "{missing:?}");
    }
    assert!(json(&data, &["space", "list"]).is_empty() && json(&data, &["device", "list"]).is_empty());
}

#[test]
fn an_admins_token_is_for_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    json(&data, &["token", "create", "--admin", "--name", "dashboard"]);
    let listed = json(&data, &["token", "list"]);
    assert_eq!((&listed[0]["admin"], &listed[0]["may_create_spaces"]), (&Value::from(true), &Value::from(false)));
    assert_eq!(done(&data, &["token", "create", "--admin", "--read-only"]).status.code(), Some(2));
}

#[test]
fn compaction_says_what_it_did_and_which_space_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    done(&data, &["token", "create"]);
    let lines = json(&data, &["compact"]);
    assert_eq!(lines.len(), 1, "there is no space yet: {lines:?}");
    let parts = &lines[0]["after"];
    let sum: u64 = ["rows", "segments", "snapshots", "hashes", "other", "free"]
        .iter()
        .map(|part| parts[part].as_u64().unwrap())
        .sum();
    assert_eq!(Some(sum), parts["total"].as_u64());
    let text = String::from_utf8(done(&data, &["compact"]).stdout).unwrap();
    assert!(text.contains("0 chunks packed"), "{text}");
    let unknown = ["compact", "--space", "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e", "--json"];
    let output = done(&data, &unknown);
    assert_eq!((output.status.code(), &error(&output)["code"]), (Some(4), &Value::from("not_found")));
}

fn error(output: &Output) -> Value {
    assert!(output.stdout.is_empty(), "{output:?}");
    let error: Value = serde_json::from_slice(&output.stderr).expect("one object");
    let keys: Vec<_> = error.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["class", "code", "error", "next"]);
    error
}

#[test]
fn errors_are_objects_where_json_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("typo");
    for command in [&["token", "list"][..], &["token", "revoke", "1"]] {
        let output = relay(&data, command).arg("--json").output().unwrap();
        assert_eq!((output.status.code(), &error(&output)["code"]), (Some(4), &Value::from("not_found")));
        assert!(!data.exists(), "looking for it makes nothing");
    }
    let output = relay(&data, &["serve", "--listen", "0.0.0.0:0", "--log", "off", "--json"]).output().unwrap();
    assert_eq!((output.status.code(), &error(&output)["code"]), (Some(2), &Value::from("configuration")));
    let output = relay(&data, &["token", "create", "--expires-in", "soon", "--json"]).output().unwrap();
    assert_eq!((output.status.code(), &error(&output)["code"]), (Some(2), &Value::from("usage")));
    assert!(error(&output)["error"].as_str().unwrap().contains("soon"));
}

#[test]
fn options_mean_what_they_look_like() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in ["0", "99999999999", "-1", "many"] {
        let output = done(folder.path(), &["serve", "--connections-max", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {output:?}");
    }
    for (value, starts) in [("1", true), ("yes", true), ("0", false)] {
        let mut command = relay(folder.path(), &["serve", "--listen", "0.0.0.0:0", "--json"]);
        let mut child =
            command.env("AFIELD_BEHIND_PROXY", value).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.contains("ready"), starts, "{value}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [
        &["token", "create", "--expires-in", "soon"][..],
        &["token", "create", "--space", "not-an-id"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--tls-key", "key.pem"],
        &["frobnicate"],
    ] {
        let output = done(folder.path(), wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
}

#[test]
fn a_relay_that_would_speak_plain_text_to_the_world_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["serve", "--listen", "0.0.0.0:0"][..], &["serve", "--listen", "0.0.0.0:0", "--insecure-open"]] {
        let output = done(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("refusing"), "{output:?}");
    }
}

/// A running relay, killed when a test fails.
struct Serving {
    child: Child,
    ready: Value,
}

impl Serving {
    fn start(data: &Path, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0", "--json"], arguments].concat();
        let mut child = relay(data, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).expect("the first line says where it listens");
        Self { child, ready }
    }

    /// Tells it to stop, and gives its exit code and its log.
    #[cfg(unix)]
    fn terminate(mut self) -> (Option<i32>, String) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn serve_says_where_it_listens_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ready_file = folder.path().join("ready.json");
    let serving = Serving::start(&data, &["--ready-file", ready_file.to_str().unwrap(), "--log-format", "json"]);
    assert_eq!(serving.ready["event"], "ready");
    assert_eq!(serving.ready["has_tokens"], false);
    let written: Value = serde_json::from_slice(&std::fs::read(&ready_file).unwrap()).unwrap();
    assert_eq!(written, serving.ready);
    let address: std::net::SocketAddr = serving.ready["address"].as_str().unwrap().parse().unwrap();
    std::net::TcpStream::connect(address).expect("it listens there");

    let process = serving.child.id();
    let second = done(&data, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&second.stderr).contains(&process.to_string()), "it names the holder: {second:?}");
    assert_eq!(json(&data, &["token", "create"])[0]["number"], 1, "tokens are made beside it");

    let (code, log) = serving.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    let again = Serving::start(&data, &[]);
    assert_eq!(again.ready["has_tokens"], true);
}

/// One request, and its answer.
#[cfg(unix)]
fn asked(address: &str, request: &str) -> String {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(unix)]
#[test]
fn every_request_of_devices_and_load_balancers_has_an_id_that_the_log_names() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let serving = Serving::start(&data, &["--log-format", "json", "--log", "afield_relay=debug"]);
    let address = serving.ready["address"].as_str().unwrap().to_owned();
    let id_of = |answer: &str| {
        let ids: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix("x-request-id: ")).collect();
        let [id] = ids[..] else { panic!("{answer}") };
        id.to_owned()
    };
    let requests = [
        ("GET", "/healthz", Some("/healthz"), 200),
        ("GET", "/readyz", Some("/readyz"), 200),
        ("GET", "/version", Some("/version"), 200),
        // No upgrade, what is not done there, and what is not there, in which a name may stand.
        ("GET", "/v1/sync", Some("/v1/sync"), 426),
        ("POST", "/healthz", Some("/healthz"), 405),
        ("GET", "/secret-name", None, 404),
    ];
    let mut expected: Vec<_> = requests
        .iter()
        .map(|(method, path, route, status)| {
            // An id that a request brings along is nothing to go by: anybody could write in the log what he likes.
            let given = "x-request-id: given-by-the-peer";
            let answer = asked(&address, &format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{given}\r\n\r\n"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
            (id_of(&answer), route.unwrap_or("-"), *status)
        })
        .collect();
    let refused = "GET /v1/sync HTTP/1.1\r\nhost: x\r\nauthorization: Basic dXNlcjpwYXNz\r\n\r\n";
    expected.push((id_of(&asked(&address, refused)), "/v1/sync", 401));
    let different: std::collections::BTreeSet<_> = expected.iter().map(|(id, ..)| id).collect();
    assert_eq!(different.len(), expected.len());

    let (_, log) = serving.terminate();
    assert!(!log.contains("secret-name") && !log.contains("given-by-the-peer"), "S6: {log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (id, route, status) in expected {
        let fields = lines.iter().map(|line| line.get("fields").unwrap_or(line));
        let named: Vec<_> = fields.filter(|fields| fields["request"] == id.as_str()).collect();
        assert!(matches!(named[..], [one] if one["route"] == route && one["status"] == status), "{id}: {log}");
    }
}

#[cfg(unix)]
#[test]
fn every_request_of_the_administration_has_an_id_that_the_log_names_and_a_route_instead_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let token = String::from_utf8(done(&data, &["token", "create", "--admin"]).stdout).unwrap();
    let serving = Serving::start(&data, &["--admin-listen", "127.0.0.1:0", "--log-format", "json"]);
    let address = serving.ready["admin_address"].as_str().unwrap().to_owned();
    let mut expected = Vec::new();
    for (method, path, route, status) in [
        ("POST", "/v1/users/secret-name/sign-out", "/v1/users/{name}/sign-out", 404),
        ("POST", "/v1/users/secret-name/sign-out", "/v1/users/{name}/sign-out", 404),
        ("GET", "/v1/secret-name", "-", 404),
    ] {
        let head = format!("host: x\r\nauthorization: Bearer {}\r\nx-request-id: given-by-the-peer", token.trim_end());
        let answer = asked(&address, &format!("{method} {path} HTTP/1.1\r\n{head}\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let ids: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix("x-request-id: ")).collect();
        let [id] = ids[..] else { panic!("{answer}") };
        expected.push((id.to_owned(), route, status));
    }
    let different: std::collections::BTreeSet<_> = expected.iter().map(|(id, ..)| id).collect();
    assert_eq!(different.len(), expected.len());
    let (_, log) = serving.terminate();
    assert!(!log.contains("secret-name") && !log.contains("given-by-the-peer"), "S6: {log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (id, route, status) in expected {
        let fields = lines.iter().map(|line| line.get("fields").unwrap_or(line));
        let named: Vec<_> = fields.filter(|fields| fields["request"] == id.as_str()).collect();
        assert!(matches!(named[..], [one] if one["route"] == route && one["status"] == status), "{id}: {log}");
    }
}

#[test]
fn a_list_that_has_several_parts_is_printed_whole() {
    const USERS: usize = 2_500;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert!(done(&data, &["user", "create", "ada"]).status.success());
    let log = rusqlite::Connection::open(data.join("log.sqlite")).unwrap();
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO users (name, created_ms) SELECT 'user ' || i, 0 FROM n";
    log.execute(sql, [USERS as i64]).unwrap();
    let names: std::collections::BTreeSet<_> =
        json(&data, &["user", "list"]).iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 2 + USERS, "with the default one");
    let text = String::from_utf8(done(&data, &["user", "list"]).stdout).unwrap();
    assert_eq!(text.lines().count(), 2 + USERS, "each once");
}

#[test]
fn the_first_start_says_how_to_create_a_user_and_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("it's new");
    let mut child = relay(&data, &["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told: Vec<String> = (0..4).map(|_| lines.next().unwrap().unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(told[0].contains("ws://127.0.0.1:"), "{told:?}");
    for (line, command) in [(&told[2], "user create NAME"), (&told[3], "token create --user NAME")] {
        assert!(line.contains(&format!("{command} --data '")) && line.contains(r"it'\''s new"), "{line}");
    }
}
