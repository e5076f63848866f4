//! How somebody who was invited joins: ada and ben have users of their own on a relay that lets nobody else in.

use crate::running::{Person, Ran, Relay, afield};
use std::path::Path;

/// What `space invite` shows, as ada's administrator types it.
fn invite(data: &Path, space: &str) -> Ran {
    Ran::from(afield().args(["relay", "space", "invite", space, "--data"]).arg(data).output().unwrap())
}

fn connect(person: &Person, relay: &Relay, token: &str) -> Ran {
    person.run(["connect", &relay.url(), "--token", token])
}

#[test]
fn who_is_invited_joins_by_what_was_shown_and_both_see_what_both_write() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let tokens = ["ada", "ben", "cleo"].map(|user| relay.token(&["--user", user]));
    let (ada, ben, cleo) = (Person::with_store(), Person::new(), Person::with_store());
    ada.run(["put", "notes", "title=Milk"]).ok();
    connect(&ada, &relay, &tokens[0]).ok();
    let shown = invite(folder.path(), &ada.space());
    let invitation = shown.ok();
    assert_eq!(invitation.split_whitespace().count(), 1, "one word on standard output: {shown:?}");
    assert!(shown.err.contains("afield space join --invitation"), "and beside it what to do: {shown:?}");
    drop(relay);

    let relay = Relay::with_tokens(folder.path());
    let joined = ben.run_with(["space", "join", "--invitation", "--name", "Ada's"], &format!("  {invitation}\n"));
    assert!(joined.ok().contains("Joined the space \"Ada's\"") && joined.ok().contains("connect URL"), "{joined:?}");
    assert_eq!(ben.space(), ada.space());
    ben.run(["put", "notes", "title=Bread"]).ok();
    connect(&ben, &relay, &tokens[1]).ok();
    connect(&ada, &relay, &tokens[0]).ok();
    assert_eq!((ada.titles(), ben.titles()), (vec!["Bread".to_owned(), "Milk".to_owned()], ada.titles()));

    let late = cleo.run_with(["space", "join", "--invitation", "--json"], invitation);
    assert_eq!(late.json()["id"], ada.space());
    let refused = connect(&cleo, &relay, &tokens[2]);
    let words = refused.failed(7);
    assert!(words.contains("the invitation was used") && words.contains("ask whoever invited you"), "{refused:?}");
    let explained = cleo.run(["explain"]);
    assert!(explained.ok().contains("the invitation was used"), "{explained:?}");

    let another = invite(folder.path(), &ada.space());
    let kept = cleo.run_with(["space", "join", "--invitation"], another.ok());
    assert!(kept.ok().contains("Keeps the invitation") && kept.ok().contains("afield --store"), "{kept:?}");
    let synced = cleo.run(["sync"]);
    assert!(synced.ok().starts_with("In step"), "{synced:?}");
    let listed = cleo.run(["--space", &ada.space(), "list", "notes", "--json"]);
    assert_eq!(listed.json_lines().len(), 2);
    let members = relay.administer(&["space", "members", &ada.space()]);
    assert_eq!(members.iter().map(|row| row["user"].as_str().unwrap()).collect::<Vec<_>>(), ["ada", "ben", "cleo"]);

    let secret = &invitation[20..40];
    let everything = [&shown.err, &joined.out, &joined.err, &late.out, &late.err, &refused.out, &refused.err];
    assert!(everything.iter().all(|said| !said.contains(secret)), "S6: {everything:?}");
    let exported = cleo.run(["--space", &ada.space(), "export"]);
    assert!(!exported.ok().contains(&another.ok()[20..40]), "S6");
}

#[test]
fn a_reader_who_gets_the_invitation_of_a_writer_writes_and_one_that_gives_no_more_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let tokens = ["ada", "ben"].map(|user| relay.token(&["--user", user]));
    let (ada, ben) = (Person::with_store(), Person::new());
    ada.run(["put", "notes", "title=Milk"]).ok();
    connect(&ada, &relay, &tokens[0]).ok();
    let space = ada.space();
    let shown = |role: &str| {
        let made = relay.administer(&["space", "invite", &space, "--role", role]).remove(0);
        made["code"].as_str().unwrap().to_owned()
    };
    ben.run_with(["space", "join", "--invitation", "--name", "Ada's"], &shown("reader")).ok();
    connect(&ben, &relay, &tokens[1]).ok();
    ben.run(["put", "notes", "title=Bread"]).ok();
    assert_eq!(ben.run(["sync"]).code, 7, "the control: he may only read");

    let kept = ben.run_with(["space", "join", "--invitation"], &shown("writer"));
    assert!(kept.ok().contains("gives you its role where that is higher"), "{kept:?}");
    let synced = ben.run(["sync"]);
    assert!(synced.ok().starts_with("In step") && !synced.ok().contains("invitation"), "{synced:?}");
    ada.run(["sync"]).ok();
    assert_eq!(ada.titles(), ["Bread", "Milk"]);

    ben.run_with(["space", "join", "--invitation"], &shown("reader")).ok();
    let synced = ben.run(["sync"]);
    assert!(synced.ok().contains("changed nothing") && synced.ok().contains("as writer already"), "{synced:?}");
    ben.run_with(["space", "join", "--invitation"], &shown("writer")).ok();
    let told = ben.run(["sync", "--json"]).json()["unneeded_invitations"].clone();
    assert_eq!(told, serde_json::json!([{ "space": space, "role": "writer" }]));
}

#[test]
fn what_is_no_invitation_is_told_and_nothing_is_made() {
    let person = Person::new();
    for text in ["", "afield_0123456789abcdefghjkmnpqrstvwxyz", "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e"] {
        let ran = person.run_with(["space", "join", "--invitation"], text);
        let words = ran.failed(2);
        assert!(words.contains("not an invitation") && (text.is_empty() || !words.contains(text)), "{ran:?}");
        assert!(!person.store().exists(), "nothing is made");
    }
    let both = person.run(["space", "join", "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e", "--invitation"]);
    assert_eq!(both.code, 2, "{both:?}");
    let neither = person.run(["space", "join"]);
    assert_eq!(neither.code, 2, "{neither:?}");
}

#[test]
fn what_was_wrong_with_a_space_is_over_once_it_is_in_step_also_where_another_has_refused_changes() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let tokens = ["ada", "cyd"].map(|user| relay.token(&["--user", user]));
    let (ada, cyd) = (Person::with_store(), Person::new());
    ada.run(["put", "notes", "title=Milk"]).ok();
    connect(&ada, &relay, &tokens[0]).ok();
    let first = ada.space();
    let second = ada.run(["space", "create", "Work", "--json"]).json()["id"].as_str().unwrap().to_owned();
    ada.run(["sync"]).ok();
    let grant = |space: &str| drop(relay.administer(&["space", "grant", space, "cyd", "reader"]));
    grant(&first);
    cyd.run(["init", "--join", &first]).ok();
    cyd.run(["space", "join", &second, "--name", "Work"]).ok();
    assert_eq!(connect(&cyd, &relay, &tokens[1]).code, 7, "one of them is not for her");
    cyd.run(["--space", &first, "put", "notes", "title=Bread"]).ok();
    assert_eq!(cyd.run(["sync"]).code, 7, "and she may only read the other");
    let before = cyd.run(["status"]);
    assert!(before.ok().contains("no such space"), "the control: {before:?}");
    assert!(!before.ok().contains("the relay has every change"), "{before:?}");

    grant(&second);
    assert_eq!(cyd.run(["sync"]).code, 7, "what she wrote is still refused");
    let after = cyd.run(["status"]);
    assert!(!after.ok().contains("no such space") && !after.ok().contains("never in step"), "{after:?}");
    assert!(after.ok().contains("may only read"), "{after:?}");
}

#[test]
fn an_invitation_on_the_command_line_is_not_repeated_and_its_place_is_told() {
    let person = Person::new();
    let invitation = "afield_invitation_0123456789abcdef_0192f0c17a3e7b6c8d2e5f4a3b2c1d0e";
    let (quoted, assigned) = (format!("'{invitation}'"), format!("--invitation={invitation}"));
    for line in [
        &["space", "join", "--invitation", invitation][..],
        &["space", "join", invitation],
        &["space", "join", &quoted],
        &["space", "join", &assigned],
        &["init", "--join", invitation],
    ] {
        let ran = person.run(line);
        let words = ran.failed(2);
        assert!(words.contains("leave the invitation out: `afield space join --invitation` asks for it"), "{ran:?}");
        assert!(!format!("{ran:?}").contains("0123456789abcdef"), "S6: {line:?}");
        let error = person.run([line, &["--json"]].concat()).error(2);
        assert!(!error.to_string().contains("0123456789abcdef"), "S6: {line:?}");
        assert!(!person.store().exists(), "nothing is made");
    }
    let other = person.run(["space", "join", "milk"]);
    assert_eq!(other.code, 2, "{other:?}");
    assert!(other.err.contains("milk"), "the control: what is no secret is repeated: {other:?}");
}

#[test]
fn an_invitation_in_quotes_is_taken_without_them() {
    for quote in ['"', '\'', '`'] {
        let person = Person::new();
        let invitation = "afield_invitation_0123456789abcdef_0192f0c17a3e7b6c8d2e5f4a3b2c1d0e";
        person.run_with(["space", "join", "--invitation"], &format!(" {quote}{invitation}{quote}\n")).ok();
        assert_eq!(person.space(), "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e");
    }
}
