//! What a purged user and a restored backup leave of what was good before.

use super::accounts::{rights, seen};
use super::signed::{ISSUER, claims, counted, good, signed};
use super::*;
use crate::log::accounts::Role;
use crate::log::{Ended, SignedClaims};

const SIGNED_OUT: Authentication = Authentication::Ended(Ended::SignedOut);

fn signed_at(ms: u64, subject: &str) -> SignedClaims {
    SignedClaims { issued_wall_ms: counted(ms), expires_wall_ms: at(ms + 1_000).wall_ms, ..claims(subject, None) }
}

#[test]
fn nothing_signed_for_a_purged_user_is_good_and_what_is_signed_later_is_of_somebody_new() {
    let mut desk = Desk::new();
    let (space, told) = (desk.space, desk.told);
    let shown = good(signed(&mut desk.log, "a.shown", &signed_at(0, "zoe"), 1));
    desk.log.note_devices(&[seen(shown, 1, 2)]).unwrap();
    desk.log.grant(space, "zoe", Role::Writer, at(2)).unwrap();
    assert_eq!(rights(&mut desk.log, shown, space, told), Some("writes"), "the control");
    desk.log.purge_user("zoe", false, at(10)).unwrap();
    assert_eq!(desk.log.ended(shown, at(11)).unwrap(), Some(Ended::SignedOut), "R7");
    for text in ["a.shown", "a.never-shown"] {
        assert_eq!(signed(&mut desk.log, text, &signed_at(0, "zoe"), 11), SIGNED_OUT, "R7: {text}");
        assert_eq!(signed(&mut desk.log, text, &signed_at(9, "zoe"), 11), SIGNED_OUT, "R7: {text}");
    }
    assert_eq!(desk.log.users().unwrap().len(), 2, "nobody was made");

    let back = good(signed(&mut desk.log, "a.later", &signed_at(11, "zoe"), 12));
    assert_ne!(back.user, shown.user);
    assert_eq!(rights(&mut desk.log, back, space, told), None, "it has nothing of the old one");
    assert!(desk.log.devices(Some("zoe")).unwrap().is_empty());
    assert_eq!(signed(&mut desk.log, "a.never-shown", &signed_at(0, "zoe"), 13), SIGNED_OUT, "and so it stays");
    desk.log.purge_user("zoe", false, at(5)).unwrap();
    assert_eq!(signed(&mut desk.log, "a.between", &signed_at(9, "zoe"), 14), SIGNED_OUT, "the later moment counts");
}

#[test]
fn a_purged_user_ends_nobody_elses_tokens() {
    let mut desk = Desk::new();
    good(signed(&mut desk.log, "a.1", &signed_at(0, "zoe"), 1));
    desk.log.purge_user("zoe", false, at(10)).unwrap();
    // Of another issuer, and what is the same where issuer and subject are written one behind the other.
    let elsewhere = SignedClaims { issuer: "https://other.example".to_owned(), ..signed_at(0, "zoe") };
    let shifted = SignedClaims { issuer: format!("{ISSUER}z"), ..signed_at(0, "oe") };
    for (text, other) in [("b.1", elsewhere), ("b.2", shifted), ("b.3", signed_at(0, "ben"))] {
        good(signed(&mut desk.log, text, &other, 11));
    }
}

#[test]
fn what_is_kept_of_a_purged_user_names_nobody_and_goes_once_nothing_of_before_can_be_good() {
    const DAY_MS: u64 = 86_400_000;
    let mut desk = Desk::new();
    let name = "somebody-to-forget";
    good(signed(&mut desk.log, "a.1", &signed_at(0, name), 1));
    let holds_name = |desk: &mut Desk| {
        let bytes = desk.log.snapshot().unwrap();
        bytes.windows(name.len()).any(|window| window == name.as_bytes())
    };
    assert!(holds_name(&mut desk), "the control");
    desk.log.purge_user(name, false, at(10)).unwrap();
    assert!(!holds_name(&mut desk));
    let kept = |desk: &Desk| -> i64 {
        desk.log.connection.query_row("SELECT count(*) FROM purged_owners", [], |row| row.get(0)).unwrap()
    };
    good(signed(&mut desk.log, "a.2", &signed_at(DAY_MS, "ben"), DAY_MS));
    assert_eq!(kept(&desk), 1, "as long as one of before could be good");
    good(signed(&mut desk.log, "a.3", &signed_at(3 * DAY_MS, "ben"), 3 * DAY_MS));
    good(signed(&mut desk.log, "a.4", &signed_at(3 * DAY_MS, "ben"), 3 * DAY_MS));
    assert_eq!(kept(&desk), 0);
    let tokens = desk.log.tokens().unwrap();
    assert!(tokens.iter().all(|token| token.user != name && token.number != 2), "the hash of its token is gone, too");
}

#[test]
fn after_all_access_has_ended_nothing_signed_before_is_good_of_whoever() {
    let mut desk = Desk::new();
    let zoe = good(signed(&mut desk.log, "a.shown", &signed_at(0, "zoe"), 1));
    desk.log.note_devices(&[seen(zoe, 1, 2), seen(zoe, 2, 3)]).unwrap();
    desk.log.end_all_access(at(10)).unwrap();
    // The clock may have been set back.
    desk.log.end_all_access(at(5)).unwrap();
    let devices = desk.log.devices(None).unwrap();
    assert!(devices.iter().all(|device| device.signed_out_wall_ms == Some(at(10).wall_ms)), "{devices:?}");
    assert!(!devices.is_empty(), "the control");
    for (text, subject) in [("a.shown", "zoe"), ("a.never-shown", "zoe"), ("b.1", "unknown to the backup")] {
        for ms in [0, 9] {
            assert_eq!(signed(&mut desk.log, text, &signed_at(ms, subject), 11), SIGNED_OUT, "R7: {subject}, {ms}");
        }
    }
    assert_eq!(desk.log.users().unwrap().len(), 2, "nobody was made");
    for (text, subject) in [("a.later", "zoe"), ("b.later", "unknown to the backup")] {
        good(signed(&mut desk.log, text, &signed_at(11, subject), 12));
    }
}

#[test]
fn what_was_signed_before_a_sign_out_is_over_although_the_clock_of_the_backend_is_ahead() {
    // Signed at 10 s, by a clock that says so a minute later at the most.
    let ahead = |subject| SignedClaims { expires_wall_ms: at(999_000).wall_ms, ..signed_by_the_clock(70_000, subject) };
    for shown_before in [false, true] {
        let mut desk = Desk::new();
        for subject in ["zoe", "ada", "ben"] {
            good(signed(&mut desk.log, subject, &signed_by_the_clock(0, subject), 1));
            if shown_before {
                good(signed(&mut desk.log, &format!("{subject}.ahead"), &ahead(subject), 11_000));
            }
        }
        desk.log.sign_out_user("zoe", at(20_000)).unwrap();
        desk.log.purge_user("ada", false, at(20_000)).unwrap();
        for subject in ["zoe", "ada"] {
            let found = signed(&mut desk.log, &format!("{subject}.ahead"), &ahead(subject), 80_000);
            assert_eq!(found, SIGNED_OUT, "R7: {subject}");
        }
        good(signed(&mut desk.log, "ben.ahead", &ahead("ben"), 80_000));
        desk.log.end_all_access(at(20_000)).unwrap();
        let found = signed(&mut desk.log, "eve.ahead", &ahead("eve"), 80_000);
        assert_eq!(found, SIGNED_OUT, "R7: of whom nothing is known");
    }
}

/// Claims with this moment in them.
fn signed_by_the_clock(ms: u64, subject: &str) -> SignedClaims {
    let (issued, expires) = (at(ms), at(ms + 1_000));
    SignedClaims { issued_wall_ms: issued.wall_ms, expires_wall_ms: expires.wall_ms, ..claims(subject, None) }
}
