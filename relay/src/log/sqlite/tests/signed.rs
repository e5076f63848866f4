//! Tokens that an app's backend signed, as the log keeps them.

use super::accounts::{ada, rights, seen};
use super::*;
use crate::log::accounts::{Role, ShownTokens};
use crate::log::sqlite::account::INSERT_USER;
use crate::log::{Ended, SignedClaims, TokenHash};
use rusqlite::StatementStatus;

pub(super) const ISSUER: &str = "https://app.example";

/// What a token says of its moment that is to count as signed at this one.
pub(super) fn counted(ms: u64) -> i64 {
    at(ms).wall_ms + crate::signed::CLOCK_SKEW_MAX_MS
}

pub(super) fn claims(subject: &str, spaces: Option<Vec<(SpaceId, Role)>>) -> SignedClaims {
    SignedClaims {
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
        spaces,
        may_create: true,
        issued_wall_ms: counted(0),
        expires_wall_ms: at(1_000).wall_ms,
    }
}

pub(super) fn signed(log: &mut SqliteLog, text: &str, claims: &SignedClaims, ms: u64) -> Authentication {
    log.authenticate_signed(&TokenHash::of_signed(text), claims, DEVICE, at(ms)).unwrap()
}

pub(super) fn good(authentication: Authentication) -> Principal {
    match authentication {
        Authentication::Good(principal) => principal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signed_token_may_what_it_says_and_nothing_else() {
    let mut desk = Desk::new();
    let (space, told) = (desk.space, desk.told);
    let [owned, written] = [5, 6].map(|id| SpaceId::from_bytes([id; 16]));
    let cases = [
        (Some(vec![(space, Role::Reader)]), Some("reads")),
        (Some(vec![(space, Role::Writer), (owned, Role::Owner), (written, Role::Writer)]), Some("writes")),
        (Some(vec![(owned, Role::Owner)]), None),
        (Some(vec![]), None),
        (None, None),
    ];
    for (number, (spaces, may)) in (0..).zip(cases) {
        let token = good(signed(&mut desk.log, &format!("header.{number}"), &claims("zoe", spaces.clone()), 1));
        assert_eq!(rights(&mut desk.log, token, space, told), may, "{spaces:?}");
        let named: Vec<_> = desk.log.standing(token, usize::MAX, at(1)).unwrap().unwrap().spaces;
        assert_eq!(named, may.map(|_| space).into_iter().collect::<Vec<_>>());
    }
    let token = good(signed(&mut desk.log, "header.1", &claims("zoe", None), 1));
    assert!(open_is(&mut desk.log, token, written, false), "only what it is to own is created");
    assert!(open_is(&mut desk.log, token, SpaceId::from_bytes([7; 16]), false), "and what it names");
    assert!(open_is(&mut desk.log, token, owned, true));
    assert_eq!(desk.log.users().unwrap().len(), 2, "one user for all its tokens");
    // Being a member now, through what names no spaces.
    let member = good(signed(&mut desk.log, "header.4", &claims("zoe", None), 1));
    assert!(open_is(&mut desk.log, member, owned, true));
}

fn open_is(log: &mut SqliteLog, principal: Principal, space: SpaceId, expected: bool) -> bool {
    matches!(open(log, principal, space, None, true), OpenAnswer::Served { .. }) == expected
}

#[test]
fn a_signed_token_ends_in_time_and_by_every_way_of_signing_out() {
    let mut desk = Desk::new();
    let token = good(signed(&mut desk.log, "header.1", &claims("zoe", None), 1));
    assert_eq!(desk.log.ended(token, at(999)).unwrap(), None, "the control");
    assert_eq!(desk.log.ended(token, at(1_000)).unwrap(), Some(Ended::Expired));
    desk.log.sign_out_user("zoe", at(10)).unwrap();
    assert_eq!(desk.log.ended(token, at(11)).unwrap(), Some(Ended::SignedOut));
    let earlier = claims("zoe", None);
    let other = signed(&mut desk.log, "header.2", &earlier, 12);
    assert_eq!(other, Authentication::Ended(Ended::SignedOut), "what was signed before and is shown only now");
    let later = SignedClaims { issued_wall_ms: counted(11), ..earlier };
    let back = good(signed(&mut desk.log, "header.3", &later, 12));
    let number = desk.log.tokens().unwrap().last().unwrap().number;
    desk.log.revoke_token(number, at(13)).unwrap();
    assert_eq!(desk.log.ended(back, at(14)).unwrap(), Some(Ended::SignedOut));
    assert_eq!(
        signed(&mut desk.log, "header.3", &later, 14),
        Authentication::Ended(Ended::SignedOut),
        "once and for all"
    );
}

#[test]
fn a_signed_token_is_found_by_nothing_but_what_was_signed() {
    let mut desk = Desk::new();
    good(signed(&mut desk.log, "header.claims", &claims("zoe", None), 1));
    let without_signature = TokenHash::of("header.claims");
    assert_eq!(desk.log.authenticate(&without_signature, DEVICE, at(1)).unwrap(), Authentication::Unknown);
}

#[test]
fn signed_users_of_the_same_name_are_not_the_same() {
    let mut desk = Desk::new();
    desk.log.create_user("zoe", at(0)).unwrap();
    good(signed(&mut desk.log, "a.1", &claims("zoe", None), 1));
    let elsewhere = SignedClaims { issuer: "https://other.example".to_owned(), ..claims("zoe", None) };
    good(signed(&mut desk.log, "a.2", &elsewhere, 1));
    good(signed(&mut desk.log, "a.3", &claims("\u{1b}[2J", None), 1));
    let users: Vec<_> = desk.log.users().unwrap().into_iter().map(|user| (user.name, user.issuer)).collect();
    let name = |name: &str, issuer: Option<&str>| (name.to_owned(), issuer.map(str::to_owned));
    let expected = [
        name("default", None),
        name("zoe", None),
        name("zoe 2", Some(ISSUER)),
        name("zoe 3", Some("https://other.example")),
        name("signed", Some(ISSUER)),
    ];
    assert_eq!(users, expected);
}

#[test]
fn old_signed_tokens_go_away_and_no_number_is_given_twice() {
    let mut desk = Desk::new();
    for number in 0..6 {
        let principal = good(signed(&mut desk.log, &format!("a.{number}"), &claims("zoe", None), 1));
        desk.log.note_devices(&[seen(principal, number, 1)]).unwrap();
    }
    let two_days = 2 * 86_400_000 + 1_000;
    let fresh = |ms: u64| SignedClaims {
        issued_wall_ms: counted(ms),
        expires_wall_ms: at(ms + 1_000).wall_ms,
        ..claims("zoe", None)
    };
    good(signed(&mut desk.log, "b.1", &fresh(two_days), two_days));
    good(signed(&mut desk.log, "b.2", &fresh(two_days), two_days));
    let numbers: Vec<_> = desk.log.tokens().unwrap().into_iter().map(|token| token.number).collect();
    assert_eq!(numbers, [1, 8, 9], "the relay's own, and the two that are good");
}

#[test]
fn who_is_signed_out_once_more_after_the_clock_was_set_back_stays_so() {
    let mut desk = Desk::new();
    let phone = principal(&mut desk.log, &ada(), 2);
    good(signed(&mut desk.log, "a.1", &claims("zoe", None), 1));
    desk.log.note_devices(&[seen(phone, 1, 5)]).unwrap();
    let id = DeviceId::from_bytes([1; 16]);
    for ms in [20, 10] {
        desk.log.sign_out_device("ada", id, ShownTokens::Keep, at(ms)).unwrap();
        desk.log.sign_out_user("zoe", at(ms)).unwrap();
    }
    let between = SignedClaims { issued_wall_ms: counted(15), ..claims("zoe", None) };
    let found = signed(&mut desk.log, "a.2", &between, 21);
    assert_eq!(found, Authentication::Ended(Ended::SignedOut), "R7: a token of before the later moment");
    let token = Token::new(&mut Seeded(3));
    desk.log.create_token(&token, &ada(), at(15)).unwrap();
    let found = desk.log.authenticate(&token.hash(), id, at(21)).unwrap();
    assert_eq!(found, Authentication::Ended(Ended::SignedOut), "R7");
    let signed_out = desk.log.devices(Some("ada")).unwrap().remove(0).signed_out_wall_ms;
    assert_eq!(signed_out, Some(at(20).wall_ms));
    let later = SignedClaims { issued_wall_ms: counted(21), ..between };
    good(signed(&mut desk.log, "a.3", &later, 22));
    desk.log.sign_out_user("ada", at(12)).unwrap();
    let signed_out = desk.log.devices(Some("ada")).unwrap().remove(0).signed_out_wall_ms;
    assert_eq!(signed_out, Some(at(20).wall_ms), "nor by signing out everything of its user");
}

#[test]
fn the_name_of_the_next_signed_user_is_found_at_once_however_many_there_are() {
    const USERS: i32 = 300;
    let mut desk = Desk::new();
    for number in 0..USERS {
        let unusable = claims(&format!("\u{1b}{number}"), None);
        good(signed(&mut desk.log, &format!("a.{number}"), &unusable, 1));
        let taken = SignedClaims { issuer: format!("https://{number}.example"), ..claims("zoe", None) };
        good(signed(&mut desk.log, &format!("b.{number}"), &taken, 1));
    }
    let tried = desk.log.connection.prepare_cached(INSERT_USER).unwrap().get_status(StatementStatus::Run);
    assert!(tried >= 2 * USERS, "the control: each was made by it, {tried}");
    assert!(tried <= 2 * USERS * 12, "{tried}");
    let names: std::collections::BTreeSet<_> = desk.log.users().unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names.len(), 1 + 2 * USERS as usize);
    assert!(names.iter().all(|name| name.chars().count() <= 20), "they fit a line");
}

#[test]
fn of_the_signed_tokens_of_a_user_so_many_are_good_at_once_and_those_of_others_stay() {
    let mut desk = Desk::new();
    let show = |desk: &mut Desk, subject: &str, number: usize| {
        good(signed(&mut desk.log, &format!("{subject}.{number}"), &claims(subject, None), 1))
    };
    let other = show(&mut desk, "ada", 0);
    let shown: Vec<_> = (0..1_002).map(|number| show(&mut desk, "zoe", number)).collect();
    let ended: Vec<_> = shown.iter().map(|token| desk.log.ended(*token, at(2)).unwrap()).collect();
    assert_eq!(ended[..2], [Some(Ended::SignedOut); 2], "R8: the oldest");
    assert!(ended[2..].iter().all(Option::is_none));
    assert_eq!(desk.log.ended(other, at(2)).unwrap(), None);
    let again = signed(&mut desk.log, "zoe.0", &claims("zoe", None), 3);
    assert_eq!(again, Authentication::Ended(Ended::SignedOut), "showing it again makes it no newer");
}
