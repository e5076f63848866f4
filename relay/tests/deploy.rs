//! What DEPLOYMENT.md and `deploy/` say, held against the program; nginx itself stands in front of a relay in the workspace's `behind_nginx`.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const DOCUMENT: &str = include_str!("../DEPLOYMENT.md");
const UNIT: &str = include_str!("../deploy/afield-relay.service");
const BACKUP: &str = include_str!("../deploy/afield-relay-backup.service");
const COMPOSE: &str = include_str!("../deploy/compose.yaml");
const DOCKERFILE: &str = include_str!("../deploy/Dockerfile");
const CADDYFILE: &str = include_str!("../deploy/Caddyfile");
const NGINX: &str = include_str!("../deploy/nginx.conf");
/// The worst exposure that `systemd-analyze security` may find, in tenths; it calls up to 20 "OK".
const EXPOSURE_MAX: &str = "15";
/// The variable of the environment that makes a test fail where there is no `systemd-analyze`.
const SYSTEMD_REQUIRED: &str = "AFIELD_REQUIRE_SYSTEMD";

fn relay(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afield-relay"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AFIELD_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

/// The blocks of a language in the document.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    DOCUMENT.split(&*begin).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// What is between two texts, each time.
fn between<'a>(text: &'a str, begin: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0))
}

#[test]
fn every_variable_in_the_files_is_one_of_the_relay() {
    let keys = said(&mut relay(&["config", "keys"]));
    let known: BTreeSet<&str> = between(&keys, "`AFIELD_", "`").collect();
    let mut count = 0;
    let given: Vec<&str> = between(DOCUMENT, "--env ", "=").collect();
    for text in [&[UNIT, COMPOSE, DOCKERFILE][..], &given].concat() {
        for rest in text.split("AFIELD_").skip(1) {
            let name: &str = rest.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_').next().unwrap();
            assert!(known.contains(name), "AFIELD_{name}");
            count += 1;
        }
    }
    assert!(count >= 5, "the control: {count}");
}

#[test]
fn every_container_behind_a_proxy_is_told_which_one_to_believe() {
    assert!(DOCKERFILE.contains("AFIELD_BEHIND_PROXY=true"), "the control");
    let run =
        blocks("sh").into_iter().find_map(|block| Some(block.split_once("docker run")?.1.split_once("\ndocker")?.0));
    let proxies = between(run.unwrap(), "--env AFIELD_TRUSTED_PROXIES=", " ").next().expect("or no address is limited");
    said(relay(&["config", "check"]).env("AFIELD_TRUSTED_PROXIES", proxies));
    assert!(COMPOSE.contains("AFIELD_TRUSTED_PROXIES: "));
}

#[test]
fn every_configuration_in_the_document_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    // What the files named there have to be for a check: a certificate and its key.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["fullchain.pem", "privkey.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, pem::encode(&pem::Pem::new("CERTIFICATE", &made.cert.der()[..]))).unwrap();
    std::fs::write(&key, pem::encode(&pem::Pem::new("PRIVATE KEY", made.signing_key.serialize_der()))).unwrap();
    let file = folder.path().join("relay.toml");
    let mut texts = blocks("toml");
    texts.extend(between(DOCUMENT, "<<'TOML'\n", "TOML\n"));
    let in_comments =
        [NGINX, CADDYFILE].map(|text| between(text, "`trusted_proxies", "`").next().expect("one is told"));
    let in_comments = in_comments.map(|value| format!("trusted_proxies{value}\n"));
    texts.extend(in_comments.iter().map(String::as_str));
    assert!(texts.len() >= 4, "the control: {texts:?}");
    for text in texts {
        let here = text.replace("/etc/afield/", &format!("{}/", folder.path().display()));
        std::fs::write(&file, here.replace("/var/lib/", &format!("{}/", folder.path().display()))).unwrap();
        said(relay(&["config", "check", "--config"]).arg(&file));
    }
}

#[test]
fn every_command_in_the_document_is_one() {
    let mut count = 0;
    let lines = blocks("sh").into_iter().flat_map(str::lines).map(|line| line.split(" #").next().unwrap());
    for line in lines {
        let Some((_, rest)) =
            line.split_once("afield-relay afield-relay ").or_else(|| line.split_once("exec relay afield-relay "))
        else {
            continue;
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let verbs = words.iter().take_while(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())).take(2);
        let verbs: Vec<&str> = verbs.copied().filter(|word| *word != "ada").collect();
        let help = said(relay(&verbs).arg("--help"));
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "{line}");
        }
        count += 1;
    }
    assert!(count >= 8, "the control: {count}");
}

#[test]
fn what_builds_on_what_in_the_document_stops_where_a_line_fails() {
    let blocks = blocks("sh");
    let with = |verb: &str| blocks.iter().copied().find(|block| block.contains(verb)).expect(verb);
    for verb in ["afield-relay verify", "config check", "restore --replace"] {
        // Without comments, which stand behind the `&&`.
        let lines: Vec<&str> = with(verb).lines().map(|line| line.split(" #").next().unwrap().trim_end()).collect();
        let first = lines.iter().position(|line| line.ends_with("&&")).expect(verb);
        let (last, steps) = lines.get(first..).unwrap().split_last().unwrap();
        assert!(steps.iter().all(|line| line.ends_with("&&")) && !last.ends_with("&&"), "{verb}: {lines:?}");
    }
    // A name that was given yesterday, or an hour ago, is given once.
    for block in [with("afield-relay verify"), with("config check")] {
        assert!(block.contains("$(date +%F-%H%M%S)"), "{block}");
    }
    let [upgrade, rollback] = ["config check", "restore --replace"].map(with);
    for kept in ["\"/var/backups/afield/before-$WHEN.sqlite\"", "\"/var/backups/afield/afield-relay-$WHEN\""] {
        assert!(upgrade.contains(kept) && rollback.contains(kept), "what is put back was kept: {kept}");
    }
}

#[test]
fn the_files_agree_with_the_relay_on_its_port() {
    for (name, text) in
        [("nginx.conf", NGINX), ("Caddyfile", CADDYFILE), ("Dockerfile", DOCKERFILE), ("compose.yaml", COMPOSE)]
    {
        assert!(text.contains(":8453"), "{name}");
    }
    assert!(said(&mut relay(&["config", "print"])).contains("127.0.0.1:8453"), "the default");
}

/// What the unit of the backup runs, done here: the log is copied and checked, what is two weeks old goes, also what a killed one left, and
/// what an upgrade has kept stays.
#[cfg(unix)]
#[test]
fn the_nightly_backup_keeps_two_weeks_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backups, programs) =
        (folder.path().join("data"), folder.path().join("backups"), folder.path().join("bin"));
    std::fs::create_dir(&backups).unwrap();
    std::fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_afield-relay"), programs.join("afield-relay")).unwrap();
    said(relay(&["user", "create", "ada", "--data"]).arg(&data));
    let script = BACKUP.lines().find_map(|line| line.strip_prefix("ExecStart=/bin/sh -eu -c '")?.strip_suffix('\''));
    let script = script.expect("the unit has a script").replace("%%", "%");
    assert_eq!(script.matches("/var/backups/afield").count(), 2);
    let script = script.replace("/var/backups/afield", backups.to_str().unwrap());
    // The `.partial` ones are what a backup leaves that was killed on its way.
    for (name, days) in [
        ("nightly-old.sqlite", 14),
        ("nightly-old.sqlite.partial", 14),
        ("nightly-old.sqlite.partial-journal", 14),
        ("nightly-new.sqlite", 13),
        ("before-old.sqlite", 400),
    ] {
        let file = std::fs::File::create(backups.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(days * 86_400)).unwrap();
    }
    let path =
        std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())));
    let mut command = Command::new("/bin/sh");
    said(command.args(["-eu", "-c", &script]).env("PATH", path.unwrap()).env("AFIELD_DATA", &data));
    let left = std::fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let (mut made, mut kept): (Vec<_>, Vec<_>) = left.partition(|name| name.starts_with("nightly-2"));
    kept.sort();
    assert_eq!((made.len(), kept), (1, vec!["before-old.sqlite".to_owned(), "nightly-new.sqlite".to_owned()]));
    let (made, again) = (backups.join(made.remove(0)), folder.path().join("again"));
    said(relay(&["restore"]).arg(made).arg("--data").arg(&again));
    assert!(said(relay(&["user", "list", "--data"]).arg(&again)).contains("ada"), "it is one of the log");
}

/// `systemd-analyze`, where there is one that looks at files; `None`, told, where there is none and none is required.
fn systemd_analyze() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("systemd-analyze")).find(|at| at.is_file());
    // Older ones cannot look at a file.
    let knows = |program: &PathBuf| {
        let help = Command::new(program).arg("--help").output().unwrap();
        String::from_utf8_lossy(&help.stdout).contains("--offline")
    };
    let found = found.filter(knows);
    if found.is_none() {
        let wanted = "what the units may do is looked at with `systemd-analyze` of systemd 250 or newer";
        assert!(std::env::var_os(SYSTEMD_REQUIRED).is_none(), "{SYSTEMD_REQUIRED} is set: {wanted}");
        // Not `println!`, which nobody sees of a test that passes.
        let notice = format!("\nNOT TESTED: {wanted}; {SYSTEMD_REQUIRED}=1 makes this an error\n");
        let _ = std::io::stderr().write_all(notice.as_bytes());
    }
    found
}

#[test]
fn the_services_may_do_little() {
    let Some(analyze) = systemd_analyze() else { return };
    let folder = tempfile::tempdir().unwrap();
    // The control: a unit that is not hardened is found out.
    let open = folder.path().join("open.service");
    std::fs::write(&open, "[Service]\nExecStart=/bin/true\n").unwrap();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let units = [deploy.join("afield-relay.service"), deploy.join("afield-relay-backup.service")];
    for (unit, is_hardened) in units.into_iter().map(|unit| (unit, true)).chain([(open, false)]) {
        let mut command = Command::new(&analyze);
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        let told = command.args(["security", "--offline=true", "--no-pager", &threshold]).arg(&unit).output().unwrap();
        let said = String::from_utf8_lossy(&told.stdout);
        assert!(said.contains("Overall exposure level"), "{}: {said}", unit.display());
        assert_eq!(told.status.success(), is_hardened, "{}: {said}", unit.display());
    }
}
