//! Whether the relay is there, and serves this device.

use super::store::Found;
use super::{Check, Level};
use crate::context;
use crate::failure::{AFTER_CERTIFICATE, Failure, after_sign_in, is_of_certificate};
use crate::interrupt;
use crate::remembered::{LastError, LastState, RefusedSpace, Remembered};
use crate::text;
use afield::{Class, ProbeError, Probed, SignInReason, SpaceId};

/// How long ago the last sync may be before somebody should be told, in milliseconds: a week.
const SYNCED_AGE_WARN_MS: u64 = 7 * 24 * 3_600_000;

/// When the store was last in step, and what stands in its way. Where a check after the first says what to do, the first does not.
pub(super) fn checks(remembered: &Remembered, found: &Found, is_offline: bool) -> Result<Vec<Check>, Failure> {
    let reasons = reasons(remembered, found, is_offline)?;
    let mut first = synced(remembered, !found.held.is_empty(), is_offline);
    if reasons.iter().any(|check| check.level != Level::Ok) {
        first.next = None;
    }
    Ok(std::iter::once(first).chain(reasons).collect())
}

fn reasons(remembered: &Remembered, found: &Found, is_offline: bool) -> Result<Vec<Check>, Failure> {
    let Found { device, spaces, held } = found;
    // What waits for somebody here is remembered, too, and told of already.
    let is_held = |space: &RefusedSpace| held.iter().any(|held| held.to_string() == space.id);
    let unserved_before = remembered.spaces.iter().filter(|space| !is_held(space));
    let mut checks: Vec<_> = unserved_before.map(|space| unserved(&space.id, &space.reason)).collect();
    if is_offline {
        checks.push(Check::ok("relay", format!("{}: not asked", remembered.address)));
        return Ok(checks);
    }
    let relay = match remembered.relay() {
        Ok(relay) => relay,
        Err(error) => {
            checks.push(Check::failed("relay", &error.into()));
            return Ok(checks);
        }
    };
    let runtime = interrupt::runtime()?;
    let probe = async {
        match device {
            Some(device) => relay.probe_for(*device).await,
            None => relay.probe().await,
        }
    };
    let probed = runtime.block_on(async {
        tokio::select! {
            biased;
            () = interrupt::listen() => None,
            probed = probe => Some(probed),
        }
    });
    runtime.shutdown_background();
    match probed.ok_or(Failure::Interrupted)? {
        Ok(probed) => {
            let Probed { protocol_version, elapsed, .. } = &probed;
            let elapsed = text::duration(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            let found = format!("{}: answered in {elapsed}, protocol {protocol_version}", remembered.address);
            checks.push(Check::ok("relay", found));
            let token = if remembered.has_token() { "the relay accepts it" } else { "none, and the relay wants none" };
            checks.push(Check::ok("token", token));
            let told = |space: &&SpaceId| remembered.spaces.iter().any(|refused| refused.id == space.to_string());
            let others = spaces.iter().filter(|space| !told(space) && !is_served(&probed, **space));
            checks.extend(others.map(|space| unserved(&space.to_string(), "it is not among those of this token")));
        }
        Err(error) => checks.push(unreached(remembered, &error)),
    }
    Ok(checks)
}

fn synced(remembered: &Remembered, is_held: bool, is_offline: bool) -> Check {
    let age = remembered.last_synced_ms.map(|at| u64::try_from(context::wall_ms().saturating_sub(at)).unwrap_or(0));
    let last =
        age.map_or_else(|| "never in step with the relay yet".to_owned(), |age| format!("in step {}", text::ago(age)));
    match (&remembered.last_error, age) {
        (Some(error), _) if is_held && error.state == LastState::Blocked => {
            Check::warn("sync", format!("{last}; since then: {}", error.reason), "`afield confirm`, then `afield sync`")
        }
        // Where the relay is asked it says whether that is still so.
        (Some(LastError { reason, sign_in: Some(why), .. }), _) if is_offline => {
            Check::warn("sync", format!("{last}; since then: {reason}"), after_sign_in(*why))
        }
        (Some(error), _) => Check::warn("sync", format!("{last}; since then: {}", error.reason), "`afield sync`"),
        (None, Some(0..SYNCED_AGE_WARN_MS)) => Check::ok("sync", last),
        (None, _) => Check::warn("sync", last, "`afield sync`"),
    }
}

/// Whether the relay names the space, or lets this token make it.
fn is_served(probed: &Probed, space: SpaceId) -> bool {
    probed.may_create || probed.spaces.contains(&space)
}

fn unserved(space: &str, reason: &str) -> Check {
    Check::warn(
        "spaces",
        format!("the relay does not serve {space}: {reason}"),
        "sync the device that made the space first, or ask who runs the relay whether this token may use it",
    )
}

fn unreached(remembered: &Remembered, error: &ProbeError) -> Check {
    let mut found = format!("{}: {error}", remembered.address);
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !found.contains(&text) {
            found.push_str(&format!(": {text}"));
        }
        cause = error.source();
    }
    match error.class() {
        Class::SignIn => {
            let why = error.sign_in().unwrap_or(SignInReason::TokenRefused);
            Check::fail("token", found, after_sign_in(why))
        }
        Class::Upgrade => Check::fail("relay", found, "install the newest afield here, or ask who runs the relay to"),
        Class::Retry if is_of_certificate(&found) => Check::fail("relay", found, AFTER_CERTIFICATE),
        _ => Check::fail("relay", found, "check the network and the address; what waits is stored here and sent later"),
    }
}
