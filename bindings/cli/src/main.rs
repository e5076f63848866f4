//! The `afield` command: Afield for a person at a terminal.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `arguments` | what can be typed, and the help |
//! | `context` | which store and which space a command works on |
//! | `command` | one module per command, each thin over the crate `afield` |
//! | `editor`, `merge` | a person's editor, and what was changed in it brought to what is stored by now |
//! | `live`, `screen` | sync that goes on while somebody looks, and a page that is drawn in place |
//! | `demo` | the whole point in one go: a real relay, three devices, a crash, and every claim checked |
//! | `failure`, `hint` | what can go wrong, with exit code, class and what to do next |
//! | `output` | text for people, JSON for programs |
//! | `warning` | what whoever wrote something has to know, though it is stored |
//! | `remembered` | the relay of a store, in a file that only its owner reads |
//!
//! # Exit codes
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | failed; for `doctor`, a check failed |
//! | 2 | the command line was not understood |
//! | 3 | not found: no store, space, entity or relay of that name |
//! | 4 | the relay was not reached: try again later |
//! | 5 | the relay wants a token, or another one |
//! | 6 | the store cannot be used: in use, damaged (an export lacks what is), read-only, or the disk is full |
//! | 7 | the relay refused something: a space, a change, or more than a quota allows |
//! | 8 | one side is too old: a newer version is needed |
//! | 130 | interrupted; `watch` and `status --watch` end so with 0 |
//!
//! `afield relay` has exit codes of its own, which are those of `afield-relay`.
//!
//! Deliberately absent: anything that stores or sends, and all merging but one: what was typed into an editor while others
//! changed the same entity. Whatever this command can do, an application can do with the same few calls.

mod arguments;
mod command;
mod context;
mod demo;
mod editor;
mod failure;
mod fields;
mod hint;
mod identity;
mod interrupt;
mod live;
mod merge;
mod moment;
mod moved;
mod output;
mod remembered;
mod screen;
mod text;
mod warning;

use crate::arguments::{Arguments, Global};
use crate::failure::Failure;
use crate::hint::Hints;
use crate::output::Output;
use clap::{ColorChoice, Parser};
use std::ffi::OsString;
use std::process::ExitCode;

/// What every invitation begins with.
const INVITATION_PREFIX: &str = "afield_invitation_";

fn main() -> ExitCode {
    // The default hook prints a panic's message, and the engine's messages can hold content (invariant S6).
    std::panic::set_hook(Box::new(report_panic));
    let line: Vec<OsString> = std::env::args_os().collect();
    // Asked before anything is parsed, so that the relay's options need not differ from those of the other commands.
    if let [_, first, after @ ..] = line.as_slice()
        && first == "relay"
    {
        return relay(after, &line);
    }
    let Arguments { global, command } = match Arguments::parse_line(&line) {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error, &line),
    };
    if let arguments::Command::Relay { line: mut after } = command {
        if global.json {
            after.insert(0, OsString::from("--json"));
        }
        return relay(&after, &line);
    }
    if global.color != ColorChoice::Auto {
        let is_wanted = global.color == ColorChoice::Always;
        console::set_colors_enabled(is_wanted);
        console::set_colors_enabled_stderr(is_wanted);
    }
    start_log(&global);
    let output = Output::new(global.json, global.quiet);
    match command::run(command, &global, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(output.is_json(), &global.hints);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Runs the relay, which has options, logs, output and exit codes of its own.
fn relay(after: &[OsString], line: &[OsString]) -> ExitCode {
    let name = OsString::from("afield relay");
    match arguments::Relay::try_parse_from(std::iter::once(&name).chain(after)) {
        Ok(relay) => command::relay::run(relay),
        Err(error) => {
            let wants_json = line.iter().any(|word| word == "--json");
            afield_relay::cli::not_understood(&error, wants_json, "`afield relay --help` shows what there is")
        }
    }
}

/// Answers a command line that clap did not take: help and version included.
fn not_understood(error: &clap::Error, line: &[OsString]) -> ExitCode {
    let is_json = line.iter().any(|word| word == "--json");
    // What clap says repeats the word that it did not take, and an invitation is a secret (invariant S6).
    let has_invitation = line.iter().any(|word| word.to_string_lossy().contains(INVITATION_PREFIX));
    if error.use_stderr() && (is_json || has_invitation) {
        let failure =
            if has_invitation { Failure::InvitationTyped } else { Failure::Usage(afield_relay::cli::subject(error)) };
        failure.report(is_json, &Hints::default());
        return ExitCode::from(failure.exit_code());
    }
    // Nobody is left to tell when the help cannot be printed.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}

/// Says that there is a bug, and where, even when no log is listening yet.
fn report_panic(info: &std::panic::PanicHookInfo<'_>) {
    if !tracing::event_enabled!(tracing::Level::ERROR) {
        let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
        output::tell(&format!("afield: this is a bug{}; please report it", place.unwrap_or_default()));
    }
    afield::report_panic(info);
}

/// Sends what the library tells about itself to stderr: panics always, more with every `-v`.
///
/// Only Afield's own crates are turned up. Those below them print whole messages at finer levels, and content has no
/// place in a log (invariant S6). Why a certificate is not trusted is said by the command's error, and not twice.
fn start_log(global: &Global) {
    let level = match global.verbose {
        0 => "error",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(format!(
            "error,rustls_platform_verifier=off,afield={level}"
        )))
        .with_writer(std::io::stderr)
        // Without this, a line that cannot be written would be reported on stderr too, by a macro that panics.
        .log_internal_errors(false)
        .with_ansi(console::colors_enabled_stderr())
        .init();
}
