//! Who may do what: every frame, from every kind of token.

mod invited;
mod said;
mod stage;
mod table;

use super::*;
use afield_core::EntityId;
use said::{
    about_a_space, authenticate, catch_up, fetch, filter, goodbye, greeting, live_chunks, open_elsewhere, open_of,
    open_with, progress, push_live, push_of, signal, verbs_of,
};
use stage::{Outcome, Stage, WHO};
use table::{Kind, TABLE, Verb};

const NOWHERE: SpaceId = SpaceId::from_bytes([99; 16]);

#[test]
fn everyone_may_what_the_table_says() {
    assert!(TABLE.iter().map(|(verb, ..)| verb).eq(Verb::ALL), "each verb stands in it, once and in order");
    for kind in Kind::ALL {
        for (verb, done, ends) in TABLE {
            let expected = match kind.greeting() {
                Err(code) => Outcome::Turned(code),
                Ok(()) if done.contains(kind) => Outcome::Done,
                Ok(()) if ends.contains(kind) => Outcome::Ends,
                Ok(()) => Outcome::Nothing,
            };
            assert_eq!(Stage::of(*kind).comes_of(*verb), expected, "{kind:?}, {verb:?}");
        }
    }
}

#[test]
fn every_frame_about_a_forbidden_space_is_answered_as_one_about_no_space_at_all() {
    for kind in [Kind::Foreign, Kind::ForeignReadOnly, Kind::Elsewhere, Kind::GuestForeign, Kind::SignedElsewhere] {
        // What ends a session whatever it is about says nothing of a space.
        let ends = |message: &Vec<u8>| {
            let verbs = verbs_of(message);
            TABLE.iter().any(|(verb, _, ends)| ends.contains(&kind) && verbs.contains(verb))
        };
        let answers = [SPACE, NOWHERE].map(|space| {
            let mut stage = Stage::of(kind);
            // A member of another space may not create either here, or there would be a difference of the creation's own.
            let id = stage.session();
            stage.relay.raw(id);
            let mut said = Vec::new();
            for message in about_a_space(space).into_iter().filter(|message| !ends(message)) {
                stage.hand(id, &message);
                stage.relay.turn();
                said.push(stage.relay.raw(id));
            }
            let (owner, mut author) = (stage.owner, stage.author);
            stage.relay.push(owner, 2, &mut author, &["the next"]);
            stage.relay.turn();
            said.push(stage.relay.raw(id));
            (said, stage.relay.is_closed(id))
        });
        assert_eq!(answers[0], answers[1], "R6: {kind:?}");
        assert!(!answers[0].0[0].is_empty() && !answers[0].1, "the control: there is an answer, and it goes on");
    }
    let of_the_session = [greeting(WHO, None), authenticate("afield_wrong"), goodbye(), live_chunks()];
    let compared: BTreeSet<Verb> =
        about_a_space(SPACE).iter().chain(&of_the_session).flat_map(|said| verbs_of(said)).collect();
    assert!(compared.iter().eq(Verb::ALL), "nothing that is said about a space is left out: {compared:?}");
}
