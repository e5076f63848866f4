use super::signed::{claims, good};
use super::*;
use crate::log::accounts::{AccountError, NewInvitation, Role, ShownTokens, SignedOut};
use crate::log::sqlite::account::DEVICES_PER_USER_MAX;
use crate::log::{Ended, SeenDevice, TokenHash};
use crate::testing::Author;

pub(super) fn ada() -> NewToken {
    NewToken { user: Some("ada".to_owned()), may_create: true, ..NewToken::default() }
}

fn ben() -> NewToken {
    NewToken { user: Some("ben".to_owned()), ..NewToken::default() }
}

fn revoked(revoked: &[i64], shared: &[i64]) -> SignedOut {
    SignedOut { revoked: revoked.to_vec(), shared: shared.to_vec(), kept: Vec::new() }
}

/// What a principal may do in a space: nothing, read, or write.
pub(super) fn rights(log: &mut SqliteLog, principal: Principal, space: SpaceId, told: Cursor) -> Option<&'static str> {
    if !matches!(open(log, principal, space, None, false), OpenAnswer::Served { .. }) {
        return None;
    }
    match append(log, principal, request(space, told, vec![Author::new(7, 7).chunk("x")])) {
        AppendAnswer::Verdicts(verdicts) if verdicts.iter().all(|verdict| code(verdict).is_none()) => Some("writes"),
        AppendAnswer::Verdicts(_) => Some("reads"),
        other => panic!("{other:?}"),
    }
}

pub(super) fn seen(principal: Principal, device: u8, ms: u64) -> SeenDevice {
    SeenDevice {
        user: principal.user,
        device: DeviceId::from_bytes([device; 16]),
        token: principal.token.unwrap(),
        address: Some("192.0.2.1".to_owned()),
        seen_wall_ms: at(ms).wall_ms,
    }
}

#[test]
fn a_role_is_what_it_says_from_the_next_answer_on() {
    let mut desk = Desk::new();
    let (space, told) = (desk.space, desk.told);
    let guest = principal(&mut desk.log, &ben(), 2);
    assert_eq!(rights(&mut desk.log, guest, space, told), None, "R6");
    for (role, may) in
        [(Role::Reader, "reads"), (Role::Writer, "writes"), (Role::Owner, "writes"), (Role::Reader, "reads")]
    {
        desk.log.grant(space, "ben", role, at(1)).unwrap();
        assert_eq!(rights(&mut desk.log, guest, space, told), Some(may), "{role}");
        let members: Vec<_> = desk.log.members(space).unwrap().into_iter().map(|m| (m.user, m.role)).collect();
        assert_eq!(members, [("ben".to_owned(), role), ("default".to_owned(), Role::Owner)]);
    }
    desk.log.remove_member(space, "ben", at(2)).unwrap();
    assert_eq!(rights(&mut desk.log, guest, space, told), None, "R6, R7");
}

#[test]
fn a_space_keeps_an_owner() {
    let mut desk = Desk::new();
    let space = desk.space;
    desk.log.create_user("ben", at(0)).unwrap();
    let left = |error: AccountError| matches!(error, AccountError::LastOwner(id) if id == space);
    assert!(left(desk.log.grant(space, "default", Role::Writer, at(1)).unwrap_err()));
    assert!(left(desk.log.remove_member(space, "default", at(1)).unwrap_err()));
    desk.log.grant(space, "ben", Role::Owner, at(1)).unwrap();
    desk.log.remove_member(space, "default", at(1)).expect("the control: there is another one");
}

#[test]
fn a_space_that_is_created_is_empty_and_its_owners() {
    let mut desk = Desk::new();
    let (new, fresh) = (SpaceId::from_bytes([99; 16]), LogId::from_bytes([8; 16]));
    let guest = principal(&mut desk.log, &ben(), 2);
    desk.log.create_space(new, "ben", fresh, at(1)).unwrap();
    let members: Vec<_> = desk.log.members(new).unwrap().into_iter().map(|m| (m.user, m.role)).collect();
    assert_eq!(members, [("ben".to_owned(), Role::Owner)]);
    let start = Cursor::start(fresh);
    let opened = open(&mut desk.log, guest, new, None, false);
    assert!(
        matches!(opened, OpenAnswer::Served { position, head, role: Role::Owner }
        if position == start && head == start.sequence),
        "{opened:?}"
    );
    let older = Cursor::start(LogId::from_bytes([7; 16]));
    let opened = open(&mut desk.log, guest, new, Some(older), false);
    assert!(
        matches!(opened, OpenAnswer::Reset(log) if log == fresh),
        "who had it before fills it again (R4): {opened:?}"
    );
}

#[test]
fn a_verb_on_what_is_not_there_says_so_and_changes_nothing() {
    let mut desk = Desk::new();
    let (space, nowhere) = (desk.space, SpaceId::from_bytes([99; 16]));
    let unknown = DeviceId::from_bytes([9; 16]);
    let code = Token::invitation(space, &mut Seeded(1));
    let before = desk.log.snapshot().unwrap();
    let log = &mut desk.log;
    let invitation = NewInvitation { space: nowhere, role: Role::Reader, expires_wall_ms: i64::MAX };
    let errors = [
        log.set_user_enabled("nobody", false, at(1)).unwrap_err(),
        log.sign_out_user("nobody", at(1)).unwrap_err(),
        log.create_token(&code, &NewToken { user: Some("nobody".to_owned()), ..NewToken::default() }, at(1))
            .unwrap_err(),
        log.revoke_token(99, at(1)).unwrap_err(),
        log.members(nowhere).unwrap_err(),
        log.create_space(nowhere, "nobody", LogId::from_bytes([8; 16]), at(1)).unwrap_err(),
        log.grant(nowhere, "default", Role::Reader, at(1)).unwrap_err(),
        log.grant(space, "nobody", Role::Reader, at(1)).unwrap_err(),
        log.remove_member(space, "nobody", at(1)).unwrap_err(),
        log.invite(&code, invitation, at(1)).unwrap_err(),
        log.accept(&code.hash(), "default", at(1)).unwrap_err(),
        log.invitations(nowhere).unwrap_err(),
        log.withdraw(99, at(1)).unwrap_err(),
        log.devices(Some("nobody")).unwrap_err(),
        log.name_device("default", unknown, "phone").unwrap_err(),
        log.sign_out_device("default", unknown, ShownTokens::Revoke, at(1)).unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_missing(), "{error}");
    }
    assert!(matches!(log.create_user("default", at(1)), Err(AccountError::UserExists)));
    let again = log.create_space(space, "default", LogId::from_bytes([8; 16]), at(1));
    assert!(matches!(again, Err(AccountError::SpaceExists(id)) if id == space));
    assert!(matches!(log.create_user("\u{1b}[2J", at(1)), Err(AccountError::Name)));
    assert!(log.snapshot().unwrap() == before, "nothing has changed");
    log.create_user("ben", at(1)).unwrap();
    assert!(matches!(log.remove_member(space, "ben", at(1)), Err(AccountError::NoSuchMember(_))));
    assert!(log.snapshot().unwrap() != before, "the control");
}

#[test]
fn an_invitation_is_good_once_in_time_and_never_lowers_a_role() {
    let mut desk = Desk::new();
    let (space, told) = (desk.space, desk.told);
    let guest = principal(&mut desk.log, &ben(), 2);
    desk.log.create_user("cleo", at(0)).unwrap();
    let codes: Vec<Token> = (10..15).map(|seed| Token::invitation(space, &mut Seeded(seed))).collect();
    let expires_wall_ms = at(1_000).wall_ms;
    let roles = [Role::Writer, Role::Writer, Role::Reader, Role::Writer, Role::Owner];
    for (number, (code, role)) in (1..).zip(codes.iter().zip(roles)) {
        let made = desk.log.invite(code, NewInvitation { space, role, expires_wall_ms }, at(0)).unwrap();
        assert_eq!(made, number);
    }
    let accept = |log: &mut SqliteLog, code: usize, user: &str, ms| log.accept(&codes[code].hash(), user, at(ms));
    assert_eq!(accept(&mut desk.log, 0, "ben", 999).unwrap(), (space, Role::Writer));
    assert_eq!(rights(&mut desk.log, guest, space, told), Some("writes"));
    let is_over = |result: Result<_, AccountError>| matches!(result, Err(AccountError::NoSuchInvitation));
    assert!(is_over(accept(&mut desk.log, 0, "cleo", 999)), "used");
    assert!(is_over(accept(&mut desk.log, 1, "cleo", 1_000)), "too old");
    desk.log.withdraw(2, at(5)).unwrap();
    assert!(is_over(accept(&mut desk.log, 1, "cleo", 6)), "withdrawn");
    assert!(matches!(desk.log.withdraw(1, at(6)), Err(AccountError::NotWithdrawn(1))), "it was used");
    assert_eq!(accept(&mut desk.log, 2, "ben", 10).unwrap(), (space, Role::Writer), "the higher role stays");
    assert_eq!(accept(&mut desk.log, 4, "ben", 10).unwrap(), (space, Role::Owner));
    let listed = desk.log.invitations(space).unwrap();
    let states: Vec<_> = listed.iter().map(|one| (one.used.is_some(), one.withdrawn_wall_ms.is_some())).collect();
    assert_eq!(states, [(true, false), (false, true), (true, false), (false, false), (true, false)]);
    assert_eq!(listed[0].used, Some((at(999).wall_ms, "ben".to_owned())));
    assert!(codes.iter().all(|code| !format!("{listed:?}").contains(code.reveal())), "S6");
}

#[test]
fn of_two_who_take_an_invitation_at_the_same_time_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let space = desk.space;
    for user in ["ben", "cleo"] {
        desk.log.create_user(user, at(0)).unwrap();
    }
    let codes: Vec<Token> = (10..30).map(|seed| Token::invitation(space, &mut Seeded(seed))).collect();
    for code in &codes {
        let new = NewInvitation { space, role: Role::Writer, expires_wall_ms: at(1_000).wall_ms };
        desk.log.invite(code, new, at(0)).unwrap();
    }
    let start = std::sync::Barrier::new(2);
    let accept_all = |user: &str| {
        let mut log = SqliteLog::open(&path).unwrap();
        codes
            .iter()
            .map(|code| {
                start.wait();
                log.accept(&code.hash(), user, at(1))
            })
            .collect::<Vec<_>>()
    };
    let (bens, cleos) = std::thread::scope(|scope| {
        let bens = scope.spawn(|| accept_all("ben"));
        (accept_all("cleo"), bens.join().unwrap())
    });
    for (one, other) in bens.into_iter().zip(cleos) {
        let (got, lost) = if one.is_ok() { (one, other) } else { (other, one) };
        assert_eq!(got.unwrap(), (space, Role::Writer));
        assert!(matches!(lost, Err(AccountError::NoSuchInvitation)), "{lost:?}");
    }
}

#[test]
fn a_closed_account_gets_nothing_until_it_is_opened_again() {
    let mut desk = Desk::new();
    let (space, told) = (desk.space, desk.told);
    let guest = principal(&mut desk.log, &ben(), 2);
    desk.log.grant(space, "ben", Role::Writer, at(0)).unwrap();
    assert_eq!(rights(&mut desk.log, guest, space, told), Some("writes"), "the control");
    for moment in [1, 2] {
        desk.log.set_user_enabled("ben", false, at(moment)).unwrap();
    }
    assert_eq!(rights(&mut desk.log, guest, space, told), None);
    assert_eq!(desk.log.ended(guest, at(3)).unwrap(), Some(Ended::AccountClosed));
    assert_eq!(desk.log.standing(guest, usize::MAX, at(3)).unwrap(), None);
    let closed = desk.log.users().unwrap().pop().unwrap().disabled_wall_ms;
    assert_eq!(closed, Some(at(1).wall_ms), "since the first time");
    desk.log.set_user_enabled("ben", true, at(4)).unwrap();
    assert_eq!(rights(&mut desk.log, guest, space, told), Some("writes"));
}

#[test]
fn a_device_that_is_signed_out_comes_back_with_nothing_older() {
    let mut desk = Desk::new();
    let phone = principal(&mut desk.log, &ada(), 2);
    let laptop = principal(&mut desk.log, &ada(), 3);
    let (phone_id, laptop_id) = (DeviceId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
    desk.log.note_devices(&[seen(phone, 1, 5), seen(laptop, 2, 6)]).unwrap();
    let signed_out = desk.log.sign_out_device("ada", phone_id, ShownTokens::Revoke, at(10)).unwrap();
    assert_eq!(signed_out, revoked(&[2], &[]));
    let good = |log: &mut SqliteLog, principal: Principal, device, ms| {
        log.authenticate(&principal.token.unwrap(), device, at(ms)).unwrap()
    };
    assert_eq!(good(&mut desk.log, phone, phone_id, 11), Authentication::Ended(Ended::SignedOut));
    assert!(matches!(good(&mut desk.log, laptop, laptop_id, 11), Authentication::Good(_)), "the others stay");
    let with_its_token = good(&mut desk.log, laptop, phone_id, 11);
    assert_eq!(with_its_token, Authentication::Ended(Ended::SignedOut), "not with another token of before either");

    let fresh = Token::new(&mut Seeded(4));
    desk.log.create_token(&fresh, &ada(), at(20)).unwrap();
    let Authentication::Good(back) = desk.log.authenticate(&fresh.hash(), phone_id, at(21)).unwrap() else { panic!() };
    desk.log.note_devices(&[seen(back, 1, 22)]).unwrap();
    let listed = desk.log.devices(Some("ada")).unwrap();
    let states: Vec<_> = listed.iter().map(|device| (device.id, device.signed_out_wall_ms)).collect();
    assert_eq!(states, [(phone_id, None), (laptop_id, None)], "it has come back");
}

#[test]
fn a_session_of_a_device_that_is_signed_out_writes_and_reads_nothing_more_although_its_token_is_kept() {
    let mut desk = Desk::new();
    let (space, told) = (desk.space, desk.told);
    let shared = principal(&mut desk.log, &ada(), 2);
    desk.log.grant(space, "ada", Role::Writer, at(0)).unwrap();
    let sessions = [1, 2].map(|device| {
        let device = DeviceId::from_bytes([device; 16]);
        good(desk.log.authenticate(&shared.token.unwrap(), device, at(1)).unwrap())
    });
    desk.log.note_devices(&[seen(shared, 1, 5), seen(shared, 2, 6)]).unwrap();
    assert_eq!(sessions.map(|session| rights(&mut desk.log, session, space, told)), [Some("writes"); 2]);
    desk.log.sign_out_device("ada", DeviceId::from_bytes([1; 16]), ShownTokens::Keep, at(10)).unwrap();
    let rights = sessions.map(|session| rights(&mut desk.log, session, space, told));
    assert_eq!(rights, [None, Some("writes")], "R7: in the transaction of the answer, whenever the session is ended");
}

#[test]
fn a_token_that_others_use_too_ends_and_is_named_unless_it_is_to_be_kept() {
    let mut desk = Desk::new();
    let shared = principal(&mut desk.log, &ada(), 2);
    desk.log.note_devices(&[seen(shared, 1, 5), seen(shared, 2, 6), seen(shared, 3, 7)]).unwrap();
    let [one, two, three, new] = [1, 2, 3, 4].map(|id| DeviceId::from_bytes([id; 16]));
    let good = |log: &mut SqliteLog, ms| {
        [one, two, three, new].map(|device| {
            matches!(log.authenticate(&shared.token.unwrap(), device, at(ms)).unwrap(), Authentication::Good(_))
        })
    };
    let signed_out = desk.log.sign_out_device("ada", one, ShownTokens::Keep, at(10)).unwrap();
    assert_eq!(signed_out, SignedOut { kept: vec![2], ..SignedOut::default() });
    assert_eq!(good(&mut desk.log, 11), [false, true, true, true], "by its id alone");
    let signed_out = desk.log.sign_out_device("ada", two, ShownTokens::Revoke, at(12)).unwrap();
    assert_eq!(signed_out, revoked(&[2], &[2]), "the third needs a new one");
    assert_eq!(good(&mut desk.log, 13), [false; 4]);
    let again = desk.log.sign_out_device("ada", two, ShownTokens::Revoke, at(14)).unwrap();
    assert_eq!(again, SignedOut::default());
}

#[test]
fn who_holds_what_a_signed_out_device_has_shown_does_not_come_back_as_another_device() {
    let mut desk = Desk::new();
    let [lost, other, invented] = [1, 2, 3].map(|id| DeviceId::from_bytes([id; 16]));
    let own = principal(&mut desk.log, &ada(), 2);
    let signed: Vec<Principal> = ["a.1", "a.2", "a.3"]
        .map(|text| {
            let token = TokenHash::of_signed(text);
            good(desk.log.authenticate_signed(&token, &claims("ada", None), lost, at(1)).unwrap())
        })
        .to_vec();
    // With what an app's backend signed its first device is noted at once; the others, and what is the relay's own, some moments later.
    desk.log.note_devices(&[seen(own, 1, 5), seen(own, 2, 6)]).unwrap();
    for principal in &signed[..2] {
        desk.log.note_devices(&[seen(*principal, 1, 7), seen(*principal, 2, 8)]).unwrap();
    }
    let owner = desk.log.users().unwrap().pop().unwrap().name;
    for user in ["ada", &owner] {
        desk.log.sign_out_device(user, lost, ShownTokens::Revoke, at(10)).unwrap();
    }
    for token in signed.iter().map(|principal| principal.token.unwrap()).chain(own.token) {
        for device in [lost, other, invented] {
            let found = desk.log.authenticate(&token, device, at(11)).unwrap();
            assert_eq!(found, Authentication::Ended(Ended::SignedOut), "R7: {device}");
        }
    }
}

#[test]
fn everything_of_a_user_is_signed_out_at_once_and_nothing_of_others() {
    let mut desk = Desk::new();
    let tokens = [2, 3].map(|seed| principal(&mut desk.log, &ada(), seed));
    let other = principal(&mut desk.log, &ben(), 4);
    desk.log.note_devices(&[seen(tokens[0], 1, 5), seen(tokens[1], 2, 6), seen(other, 3, 7)]).unwrap();
    let signed_out = desk.log.sign_out_user("ada", at(10)).unwrap();
    assert_eq!(signed_out, revoked(&[2, 3], &[]));
    for device in desk.log.devices(None).unwrap() {
        let signed_out = (device.user == "ada").then_some(at(10).wall_ms);
        assert_eq!(device.signed_out_wall_ms, signed_out, "so they are listed, too: {}", device.id);
    }
    for token in tokens {
        assert_eq!(desk.log.ended(token, at(11)).unwrap(), Some(Ended::SignedOut));
    }
    assert_eq!(desk.log.ended(other, at(11)).unwrap(), None, "the control");
}

#[test]
fn devices_are_listed_by_name_and_only_so_many_are_remembered() {
    let mut desk = Desk::new();
    let named = NewToken { name: Some("her phone".to_owned()), ..ada() };
    let phone = principal(&mut desk.log, &named, 2);
    let all: Vec<SeenDevice> = (0..DEVICES_PER_USER_MAX as u64 + 5)
        .map(|number| {
            let device = DeviceId::from_bytes(u128::from(number + 1).to_be_bytes());
            SeenDevice { device, ..seen(phone, 0, number) }
        })
        .collect();
    desk.log.note_devices(&all[..3]).unwrap();
    desk.log.sign_out_device("ada", all[0].device, ShownTokens::Keep, at(9)).unwrap();
    desk.log.name_device("ada", all[1].device, "a tablet").unwrap();
    let names: Vec<_> = desk.log.devices(None).unwrap().into_iter().map(|device| device.name.unwrap()).collect();
    assert_eq!(names, ["her phone", "a tablet", "her phone"], "the newest first");
    desk.log.note_devices(&all[3..]).unwrap();
    let kept = desk.log.devices(Some("ada")).unwrap();
    assert_eq!(kept.len() as i64, DEVICES_PER_USER_MAX + 1, "and the one that was signed out");
    assert!(kept.iter().any(|device| device.id == all[0].device && device.signed_out_wall_ms.is_some()));
    assert!(!kept.iter().any(|device| device.id == all[1].device), "the oldest is forgotten");
}

#[test]
fn a_token_of_an_administrator_signs_no_device_in() {
    let mut desk = Desk::new();
    let token = Token::new(&mut Seeded(5));
    let new = NewToken { administers: true, expires_wall_ms: Some(at(100).wall_ms), ..NewToken::default() };
    let number = desk.log.create_token(&token, &new, at(0)).unwrap();
    assert_eq!(desk.log.authenticate(&token.hash(), DEVICE, at(1)).unwrap(), Authentication::Unknown);
    assert!(desk.log.administers(&token.hash(), at(99)).unwrap());
    assert!(!desk.log.administers(&token.hash(), at(100)).unwrap(), "expired");
    assert!(!desk.log.administers(&desk.principal.token.unwrap(), at(1)).unwrap(), "a device's");
    desk.log.set_user_enabled("default", false, at(2)).unwrap();
    assert!(!desk.log.administers(&token.hash(), at(3)).unwrap(), "closed");
    desk.log.set_user_enabled("default", true, at(4)).unwrap();
    desk.log.revoke_token(number, at(5)).unwrap();
    assert!(!desk.log.administers(&token.hash(), at(6)).unwrap(), "revoked");
}
