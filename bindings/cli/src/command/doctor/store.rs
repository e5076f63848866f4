//! What is in a store, and whether it holds together.

use super::{Check, Report};
use crate::command::transfer;
use crate::context;
use crate::failure::{Failure, word_of};
use crate::text;
use afield::store::{SchemaVersion, Writer};
use afield::{DeviceId, ReadOnlyReplica, ReadOnlySpace, SpaceId, SpaceStatus, TransferError};
use std::io;
use std::path::Path;

/// How old a change that waits may be before somebody should be told, in milliseconds: a week.
const PENDING_AGE_WARN_MS: u64 = 7 * 24 * 3_600_000;

/// Who has the store open for writing.
pub(super) fn writer(store: &Path) -> Check {
    match Writer::of(store) {
        Ok(Writer::Nobody) => Check::ok("writer", "nobody has the store open for writing"),
        Ok(Writer::Known(holder)) => Check::ok("writer", format!("{holder} has the store open for writing")),
        Ok(_) => Check::warn(
            "writer",
            "a program that cannot be named has the store open for writing",
            "close it if other commands have to wait",
        ),
        Err(source) => Check::failed("writer", &Failure::File { path: store.to_owned(), source }),
    }
}

/// A store that could be opened; a reader opens no other version than its own.
pub(super) fn opened(store: &Path) -> Check {
    let size = store.metadata().map_or(0, |about| about.len());
    Check::ok("store", format!("{}, schema {}, {}", store.display(), SchemaVersion::NEWEST, text::bytes(size)))
}

/// The spaces of a store.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The device that the store is of; absent where that could not be read.
    pub(super) device: Option<DeviceId>,
    /// All of them.
    pub(super) spaces: Vec<SpaceId>,
    /// Those of which deletions wait for somebody to confirm them.
    pub(super) held: Vec<SpaceId>,
}

/// Checks what the store holds; gives its spaces.
pub(super) fn contents(replica: &ReadOnlyReplica, report: &mut Report<'_>) -> Result<Found, Failure> {
    let (mut device, mut held) = (None, Vec::new());
    report.tell_all(integrity(replica))?;
    let spaces = match replica.spaces() {
        Ok(spaces) => spaces,
        Err(error) => {
            report.tell(Check::failed("spaces", &error.into()))?;
            return Ok(Found::default());
        }
    };
    if spaces.is_empty() {
        report.tell(Check::warn("spaces", "none", "make one with `afield space create NAME`"))?;
    }
    for space in &spaces {
        let checks = entities(space, report);
        report.tell_all(checks)?;
    }
    match replica.status() {
        Ok(status) => {
            device = Some(status.device);
            report.tell(quarantine(status.quarantined))?;
            let oldest = status.spaces.iter().filter_map(|space| space.oldest_pending_age_ms).max();
            report.tell(outbox(status.pending_changes, oldest))?;
            for space in &status.spaces {
                report.tell_all(waiting(&space.name, space.held_to_send, space.held_here))?;
                if space.held_to_send + space.held_here > 0 {
                    held.push(space.space);
                }
            }
            report.tell_all(status.spaces.iter().filter_map(history))?;
        }
        Err(error) => report.tell(Check::failed("outbox", &error.into()))?,
    }
    report.tell_all(refusals(&spaces))?;
    Ok(Found { device, spaces: spaces.iter().map(ReadOnlySpace::id).collect(), held })
}

fn integrity(replica: &ReadOnlyReplica) -> Vec<Check> {
    match replica.verify() {
        Ok(violations) if violations.is_empty() => vec![Check::ok("integrity", "the file holds together")],
        Ok(violations) => {
            let next = Failure::Damaged { violations: violations.len() as u64 }.next();
            let fail = |violation: &afield::store::Violation| Check::fail("integrity", violation.to_string(), &next);
            violations.iter().map(fail).collect()
        }
        Err(error) => vec![Check::failed("integrity", &error.into())],
    }
}

/// Opens every entity, as an export does.
fn entities(space: &ReadOnlySpace, report: &Report<'_>) -> Vec<Check> {
    let exported = transfer::export_shown(space, io::sink(), "opened", report.output);
    let name = space.name();
    match exported {
        Ok(all) => {
            vec![Check::ok(
                "entities",
                format!("{name:?}: {} can be opened", text::count(all.entities, "entity", "entities")),
            )]
        }
        Err(TransferError::Incomplete { skipped, .. }) => {
            let fail = |one: &afield::SkippedEntity| {
                Check::fail(
                    "entities",
                    format!("{name:?}: {} {}: {}", one.collection, one.entity, one.error),
                    "nothing was deleted: another device may still hold it, and new changes of it still arrive",
                )
            };
            skipped.iter().map(fail).collect()
        }
        Err(error) => vec![Check::failed("entities", &error.into())],
    }
}

fn quarantine(chunks: u64) -> Check {
    if chunks == 0 {
        return Check::ok("quarantine", "empty");
    }
    let found = text::count(chunks, "chunk from others did not fit and was", "chunks from others did not fit and were")
        + " put aside, unchanged";
    Check::warn(
        "quarantine",
        found,
        "install the newest afield, which tries them again; other entities are not affected",
    )
}

fn outbox(changes: u64, oldest_ms: Option<u64>) -> Check {
    let Some(age) = oldest_ms.filter(|_| changes > 0) else { return Check::ok("outbox", "nothing waits to be sent") };
    let found = format!("{}, the oldest from {}", text::count(changes, "change", "changes"), text::ago(age));
    if age < PENDING_AGE_WARN_MS {
        return Check::ok("outbox", found);
    }
    Check::warn("outbox", found, "`afield sync`, or connect to a relay: they are on this device alone")
}

fn waiting(name: &str, to_send: u64, here: u64) -> Option<Check> {
    let words = |deletions| text::count(deletions, "deletion", "deletions");
    let wait = |deletions| if deletions == 1 { "waits" } else { "wait" };
    let found = match (to_send, here) {
        (0, 0) => return None,
        (sent, 0) => {
            format!("{name:?}: {} made here {}, and nothing of the space is sent meanwhile", words(sent), wait(sent))
        }
        (0, here) => format!("{name:?}: {} by others {}", words(here), wait(here)),
        (sent, here) => format!("{name:?}: {} made here and {} by others wait", words(sent), words(here)),
    };
    let next = match to_send + here {
        1 => "`afield confirm` shows it, and lets it go",
        _ => "`afield confirm` shows them, and lets them go",
    };
    Some(Check::warn("deletions", found, next))
}

/// Whether the relay has lost history of a space. What it was given again is a warning no more: where that was a restored backup,
/// nobody has to do anything.
fn history(space: &SpaceStatus) -> Option<Check> {
    let at = space.last_reset_ms.filter(|_| space.resets > 0)?;
    let ago = text::ago(u64::try_from(context::wall_ms().saturating_sub(at)).unwrap_or(0));
    let times = text::count(space.resets, "time", "times");
    let lost = format!("the relay had lost history of {:?} {times}, last {ago}", space.name);
    let is_repaired = space.last_synced_ms.is_some_and(|synced| synced >= at);
    Some(if is_repaired {
        Check::ok("history", format!("{lost}, and was given all of it again"))
    } else {
        Check::warn("history", format!("{lost}, and is not in step since"), "`afield sync` gives it all of it again")
    })
}

fn refusals(spaces: &[ReadOnlySpace]) -> Vec<Check> {
    let mut checks = Vec::new();
    for space in spaces {
        let refusals = match space.refusals() {
            Ok(refusals) => refusals,
            Err(error) => {
                checks.push(Check::failed("refused", &error.into()));
                continue;
            }
        };
        for (code, entities) in refusals {
            let next = match word_of(code.class()) {
                "quota" => "ask who runs the relay for more room, then `afield sync`",
                "upgrade" => "install the newest afield here, or ask who runs the relay to",
                "sign_in" => "get another token from who runs the relay, then `afield connect URL --token-file FILE`",
                _ => "`afield sync` offers them again; if that does not help, `afield export` keeps what matters",
            };
            let entities = text::count(entities, "entity", "entities");
            let found = format!("{:?}: the relay refuses changes of {entities}: {code}", space.name());
            checks.push(Check::warn("refused", found, next));
        }
    }
    checks
}
