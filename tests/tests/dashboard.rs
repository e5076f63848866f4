//! The relay's dashboard in a real browser, before a real relay with real devices.
//!
//! What the browser does stands in `tests/dashboard/dashboard.mjs`. It needs Chromium, Node and what `npm ci` installs there; where one is
//! missing the test is skipped and says so, or fails where `AFIELD_REQUIRE_BROWSER` is set.

#![cfg(unix)]

use afield_tests::processes::agent::Command;
use afield_tests::processes::{DeviceProcess, Program, RelayProcess};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

/// The environment variable under which the test fails that finds no browser.
const BROWSER_REQUIRED: &str = "AFIELD_REQUIRE_BROWSER";
/// Within what time a device stops that is signed out (R7).
const STOPS_WITHIN: Duration = Duration::from_secs(5);
/// How many chunks the relay takes of a space: more than are pushed before one is to be refused.
const CHUNKS_MAX: u64 = 60;
/// A name that would do harm where it is not taken as text.
const HOSTILE: &str = "<img src=x onerror=\"window.hacked=1;alert(1)\">";

/// What is needed to use a page as a person does.
struct Tools {
    chromium: PathBuf,
    node: PathBuf,
    folder: PathBuf,
}

fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|at| at.is_file())
}

fn tools() -> Option<Tools> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard");
    let chromium = std::env::var_os("AFIELD_CHROMIUM").map(PathBuf::from).or_else(|| on_path("chromium"));
    let is_installed = folder.join("node_modules/playwright-core").is_dir();
    let found = chromium.zip(on_path("node")).filter(|_| is_installed);
    if found.is_none() {
        let wanted = "the dashboard's test takes Chromium (`chromium`, or AFIELD_CHROMIUM), Node, and `npm ci` in tests/dashboard";
        assert!(std::env::var_os(BROWSER_REQUIRED).is_none(), "{BROWSER_REQUIRED} is set: {wanted}");
        // Not `println!`, which nobody sees of a test that passes.
        let notice = format!("\nNOT TESTED: {wanted}; {BROWSER_REQUIRED}=1 makes this an error\n");
        let _ = std::io::stderr().write_all(notice.as_bytes());
    }
    found.map(|(chromium, node)| Tools { chromium, node, folder })
}

/// A browser on the dashboard, which tells what it does. It ends when this is dropped.
struct Visitor {
    child: Child,
    input: ChildStdin,
    steps: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Visitor {
    fn come(tools: &Tools, site: &Value) -> Self {
        let mut command = std::process::Command::new(&tools.node);
        command.arg("dashboard.mjs").current_dir(&tools.folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("node starts");
        let input = child.stdin.take().expect("standard input is a pipe");
        let steps = BufReader::new(child.stdout.take().expect("standard output is a pipe")).lines();
        let mut visitor = Self { child, input, steps };
        visitor.answer(site);
        visitor
    }

    /// The next thing that was done; `None` once it is through.
    fn step(&mut self) -> Option<String> {
        let line = self.steps.next()?.expect("a line can be read");
        let step: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("a step, and not {line:?}"));
        Some(step["step"].as_str().unwrap().to_owned())
    }

    fn answer(&mut self, answer: &Value) {
        // One that has failed listens no more, and says why.
        let _ = writeln!(self.input, "{answer}");
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        // It closes the browser when its input ends; what is left of it is killed with it otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A device that brings a space, or joins one.
fn device(relay: &RelayProcess, store: &Path, token: String, space: Option<String>) -> (DeviceProcess, String) {
    let mut device = DeviceProcess::start(&Program::new(env!("CARGO_BIN_EXE_device_process")), store);
    let connect = Command::Connect { url: relay.url(), token: Some(token) };
    device.request(&space.map_or(Command::MakeSpace, |space| Command::JoinSpace { space }));
    device.request(&connect);
    device.request(&Command::SyncNow);
    let id = device.request(&Command::Status)["device"].as_str().unwrap().to_owned();
    (device, id)
}

/// Lets a device stand still, or go on: what the relay sends to it meanwhile it neither stores nor confirms.
fn stand_still(device: &DeviceProcess, is_still: bool) {
    use rustix::process::{Pid, Signal, kill_process};
    let process = i32::try_from(device.process()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(process, if is_still { Signal::STOP } else { Signal::CONT }).expect("it lives");
}

/// How many chunks the relay has of the only space.
fn stored(relay: &RelayProcess) -> u64 {
    let spaces = relay.administer(&["space", "list"]);
    assert_eq!(spaces.len(), 1, "{spaces:?}");
    spaces[0]["chunks"].as_u64().expect("a number")
}

/// How long it takes until a device has stopped and knows that it was signed out.
fn until_it_stops(device: &mut DeviceProcess) -> Duration {
    let began = Instant::now();
    loop {
        let status = device.request(&Command::Status);
        if status["state"] == "needs_sign_in" {
            assert_eq!(status["sign_in"], "signed_out", "{status}");
            return began.elapsed();
        }
        assert!(began.elapsed() < 4 * STOPS_WITHIN, "the device goes on: {status}");
    }
}

#[test]
fn an_administrator_signs_a_device_out_in_the_browser_and_it_stops_within_five_seconds() {
    let Some(tools) = tools() else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(env!("CARGO_BIN_EXE_relay_process"));
    let room = ["--space-chunks-max", &CHUNKS_MAX.to_string()];
    let mut relay = RelayProcess::start_administered_with(&program, &folder.path().join("relay"), &room);
    let admin = relay.admin_address().expect("its administration listens");
    for user in ["ada", "zoe"] {
        relay.administer(&["user", "create", user]);
    }
    let token = |name| relay.create_token_with(&["--user", "ada", "--name", name]);
    let (mut laptop, _) = device(&relay, &folder.path().join("laptop.db"), token(HOSTILE), None);
    laptop.request(&Command::Populate { entities: 3, changes: 4 });
    laptop.request(&Command::SyncNow);
    let space = laptop.request(&Command::Space).as_str().unwrap().to_owned();
    let (mut phone, phone_id) = device(&relay, &folder.path().join("phone.db"), token("the phone"), Some(space));

    let mut visitor = Visitor::come(
        &tools,
        &json!({
            "url": format!("http://{admin}/"),
            "token": relay.create_token_with(&["--admin", "--name", "dashboard"]),
            "hostile": HOSTILE,
            "phone": phone_id,
            "chromium": tools.chromium,
            "screenshots": std::env::var("AFIELD_SCREENSHOTS").ok(),
        }),
    );
    let mut last = String::new();
    while let Some(step) = visitor.step() {
        let mut answer = json!({});
        match step.as_str() {
            "make a user" => drop(relay.administer(&["user", "create", "newcomer"])),
            "push while the phone stands still" => {
                let before = stored(&relay);
                stand_still(&phone, true);
                laptop.request(&Command::Populate { entities: 3, changes: 5 });
                laptop.request(&Command::SyncNow);
                let after = stored(&relay);
                assert!(before < after, "the control: {before}, {after}");
                answer = json!({ "before": before, "after": after });
            }
            "let the phone go on" => stand_still(&phone, false),
            "push what has no room" => {
                let changes = usize::try_from(CHUNKS_MAX - stored(&relay)).unwrap() + 1;
                phone.request(&Command::Populate { entities: 1, changes });
            }
            "the phone is signed out" => {
                let took = until_it_stops(&mut phone);
                assert!(took <= STOPS_WITHIN, "it took {took:?} (R7)");
                laptop.request(&Command::SyncNow);
            }
            "stop the relay" => relay.kill(),
            "start the relay" => relay.restart(),
            _ => {}
        }
        visitor.answer(&answer);
        last = step;
    }
    assert_eq!(last, "everything is as it has to be", "what the browser saw is above");
    assert!(visitor.child.wait().unwrap().success());
}
