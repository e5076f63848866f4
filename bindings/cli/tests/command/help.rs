//! What somebody sees who asks.

use crate::running::{Person, Ran, afield, commands};

/// How many commands there are at least: one that is missing everywhere is missed here.
const COMMANDS_MIN: usize = 41;

fn run(arguments: &[&str]) -> Ran {
    Ran::from(afield().args(arguments).env("COLUMNS", "80").output().unwrap())
}

#[test]
fn the_help_names_every_command_every_exit_code_and_where_the_store_is() {
    let help = run(&["--help"]);
    let help = help.ok();
    let listed = commands(&[]);
    assert!(listed.len() >= COMMANDS_MIN, "{listed:?}");
    // The manual page is made of the commands themselves, and not of the help's text.
    let ran = run(&["man"]);
    let in_manual = ran.ok().lines().filter_map(|line| line.strip_prefix("afield\\-")?.strip_suffix("(1)"));
    let in_manual: Vec<_> = in_manual.map(|name| name.replace("\\-", "-")).filter(|name| name != "help").collect();
    assert_eq!(in_manual, listed, "{help}");
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 8, 130] {
        assert!(help.contains(&format!("\n  {code}  ")), "exit code {code} is missing in {help}");
    }
    assert!(help.contains("afield/store.db"), "the place of the store is missing in {help}");
}

#[test]
fn the_help_fits_80_columns() {
    for command in commands(&[]) {
        let ran = run(&[&command, "--help"]);
        let help = ran.ok();
        // Examples and tables of a help text are not wrapped by anybody but its author.
        let widest = help.lines().map(|line| line.chars().count()).max();
        assert!(widest.unwrap_or(0) <= 80, "{help}");
        let has_examples = ["Examples:", "Where shells look"].iter().any(|heading| help.contains(heading));
        assert!(has_examples || ["demo", "relay"].contains(&command.as_str()), "{command} has no examples: {help}");
    }
    let ran = run(&["--help"]);
    let widest = ran.ok().lines().skip_while(|line| !line.starts_with("Exit")).map(|line| line.chars().count()).max();
    assert!(widest.unwrap() <= 80);
}

#[test]
fn a_command_line_that_is_not_understood_exits_with_2_as_text_and_as_json() {
    let ran = run(&["frobnicate"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("frobnicate"), "{ran:?}");
    let error = run(&["frobnicate", "--json"]).error(2);
    assert!(error["error"].as_str().unwrap().contains("frobnicate"), "{error}");
    let error = run(&["relay", "frobnicate", "--json"]).error(2);
    assert!(error["error"].as_str().unwrap().contains("frobnicate"), "{error}");
    assert_eq!((error["code"].as_str(), error["class"].as_str()), (Some("usage"), Some("permanent")));
    assert!(run(&["put", "notes"]).err.contains("Usage: afield put [OPTIONS] <COLLECTION> [ID] <JSON |"));
    let version = run(&["--version"]);
    assert_eq!(version.ok(), format!("afield {} ({})", env!("CARGO_PKG_VERSION"), afield_relay::BUILD));
}

#[test]
fn commands_without_a_store_say_how_to_make_one() {
    let person = Person::new();
    let needing: [&[&str]; 19] = [
        &["space", "list"],
        &["put", "notes", "a=b"],
        &["get", "notes", "1d0e"],
        &["list", "notes"],
        &["delete", "notes", "1d0e"],
        &["connect", "ws://127.0.0.1:9"],
        &["connect", "--off"],
        &["sync"],
        &["status"],
        &["status", "--watch"],
        &["edit", "notes", "1d0e", "a=b"],
        &["watch", "notes"],
        &["trash"],
        &["conflicts"],
        &["resolve", "notes", "1d0e", "--keep", "1"],
        &["verify"],
        &["doctor"],
        &["export"],
        &["import", "-"],
    ];
    for arguments in needing {
        assert!(person.run(arguments).failed(3).contains(&person.proposed("init")), "{arguments:?}");
        assert!(!person.store().exists(), "{arguments:?} made a store");
    }
    person.run(["init"]).ok();
    person.run(["status"]).ok();
}

/// How the script of a shell offers a command of `afield`, or of `afield relay`, as a whole word.
fn offered(shell: &str, command: &str) -> String {
    match shell {
        "bash" => format!(",{command})"),
        "zsh" => format!("\n'{command}:"),
        "fish" => format!(" -a \"{command}\" -d "),
        _ => format!("::new('{command}', '{command}', [CompletionResultType]::ParameterValue"),
    }
}

#[test]
fn completions_and_manual_pages_know_every_command_and_those_of_the_relay() {
    let (listed, of_relay) = (commands(&[]), commands(&["relay"]));
    assert!(of_relay.contains(&"serve".to_owned()) && of_relay.contains(&"token".to_owned()), "{of_relay:?}");
    let shells = [
        ("bash", "complete -F"),
        ("zsh", "#compdef afield"),
        ("fish", "complete -c afield"),
        ("powershell", "Register-ArgumentCompleter"),
    ];
    for (shell, marks) in shells {
        let ran = run(&["completions", shell]);
        let script = ran.ok();
        assert!(script.contains(marks), "{shell}: {script}");
        for command in listed.iter().chain(&of_relay) {
            assert!(script.contains(&offered(shell, command)), "{command} is missing for {shell}");
        }
        assert!(!script.contains(&offered(shell, "pu")), "the control: a part of `put` is no command for {shell}");
    }
    assert_eq!(run(&["completions", "csh"]).code, 2);
    let ran = run(&["man"]);
    let page = ran.ok();
    assert!(page.contains(".TH afield 1") && page.contains("Exit codes"), "{page}");
    let person = Person::new();
    let folder = person.folder().join("man1");
    let written = run(&["man", "--output", folder.to_str().unwrap(), "--json"]).json();
    let pages: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(written["pages"].as_u64(), Some(pages.len() as u64));
    let of_relay = of_relay.iter().map(|command| format!("relay-{command}"));
    for command in listed.iter().cloned().chain(of_relay) {
        assert!(pages.contains(&format!("afield-{command}.1")), "{command} has no page: {pages:?}");
    }
}

#[cfg(unix)]
#[test]
fn the_script_for_bash_completes_every_command_and_options() {
    let person = Person::new();
    let script = person.folder().join("afield.bash");
    std::fs::write(&script, run(&["completions", "bash"]).ok()).unwrap();
    let complete = |words: &str| {
        let count = words.split(' ').count() - 1;
        let line = format!(
            ". '{}'; COMP_WORDS=({words} ''); COMP_CWORD={}; _afield afield '' afield; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            count + 1
        );
        let output = std::process::Command::new("bash").args(["--norc", "-c", &line]).output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for below in [&[][..], &["relay"]] {
        let line = ["afield"].iter().chain(below).copied().collect::<Vec<_>>().join(" ");
        let completed = complete(&line);
        for command in commands(below) {
            assert!(completed.contains(&command), "{command} does not come after {line}: {completed:?}");
        }
    }
    assert!(complete("afield doctor").contains(&"--offline".to_owned()));
    assert!(!complete("afield doctor").contains(&"serve".to_owned()), "the control");
}

/// With this in the environment a test of a shell that is not here fails, where it would look at nothing.
#[cfg(unix)]
const SHELLS_REQUIRED: &str = "AFIELD_REQUIRE_SHELLS";

/// Whether a shell can be asked. Where it cannot, the test is told to have looked at nothing, by its name and with what to install,
/// on standard error, since its harness counts it as passed.
#[cfg(unix)]
fn is_here(shell: &str) -> bool {
    let is_here = std::process::Command::new(shell).arg("--version").output().is_ok_and(|ran| ran.status.success());
    if !is_here {
        assert!(
            std::env::var_os(SHELLS_REQUIRED).is_none(),
            "{SHELLS_REQUIRED} is set, and this system has no {shell}"
        );
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        let notice = format!(
            "\nNOT TESTED: {test} has looked at nothing, for this system has no {shell}. Install it (on Linux: \
             `apt-get install {shell}`, or what your distribution has for that); {SHELLS_REQUIRED}=1 makes this a failure.\n"
        );
        // Not `println!`, which nobody sees of a test that passes. Where nobody reads this either, there is no other place.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), notice.as_bytes());
    }
    is_here
}

#[cfg(unix)]
#[test]
fn a_script_that_no_shell_could_read_is_told_loudly_and_fails_where_one_is_required() {
    for (shell, test) in [("fish", FISH), ("zsh", ZSH)] {
        let without = |is_required: bool| {
            let mut again = std::process::Command::new(std::env::current_exe().unwrap());
            // Two threads: with one the harness runs a test on its own thread, which has no name.
            again.args(["--exact", test, "--test-threads=2"]).env("PATH", "").env_remove(SHELLS_REQUIRED);
            if is_required {
                again.env(SHELLS_REQUIRED, "1");
            }
            again.output().unwrap()
        };
        let passed = without(false);
        let told = String::from_utf8(passed.stderr).unwrap();
        assert!(passed.status.success(), "{told}");
        assert!(told.contains(&format!("NOT TESTED: {test} has looked at nothing")), "{told}");
        assert!(told.contains(&format!("apt-get install {shell}")) && told.contains(SHELLS_REQUIRED), "{told}");
        assert!(!without(true).status.success(), "{shell} is required");
    }
}

#[cfg(unix)]
const FISH: &str = "help::the_script_for_fish_completes_every_command_where_fish_is_here";
#[cfg(unix)]
const ZSH: &str = "help::the_script_for_zsh_is_read_without_an_error_where_zsh_is_here";

#[cfg(unix)]
#[test]
fn the_script_for_fish_completes_every_command_where_fish_is_here() {
    if !is_here("fish") {
        return;
    }
    let person = Person::new();
    let script = person.folder().join("afield.fish");
    std::fs::write(&script, run(&["completions", "fish"]).ok()).unwrap();
    let line = format!("source '{}'; complete -C 'afield '", script.display());
    let output = std::process::Command::new("fish").args(["--no-config", "-c", &line]).output().unwrap();
    let completed = String::from_utf8(output.stdout).unwrap();
    for command in commands(&[]) {
        // What it is for stands behind a tab.
        assert!(completed.lines().any(|line| line.split('\t').next() == Some(&command)), "{command}: {completed}");
    }
}

#[cfg(unix)]
#[test]
fn the_script_for_zsh_is_read_without_an_error_where_zsh_is_here() {
    if !is_here("zsh") {
        return;
    }
    let person = Person::new();
    let script = person.folder().join("_afield");
    std::fs::write(&script, run(&["completions", "zsh"]).ok()).unwrap();
    let output = std::process::Command::new("zsh").args(["-f", "-n"]).arg(&script).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
