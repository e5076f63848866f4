//! What invitations open, and to whom.

use super::*;

#[test]
fn an_invitation_that_is_not_good_is_answered_as_none() {
    let elsewhere = SpaceId::from_bytes([50; 16]);
    let answer = |why: &str, kind: Kind, space: SpaceId| {
        let mut stage = Stage::of(kind);
        // Another space of the owner's, to which there are invitations, too.
        stage.hand(stage.owner, &open_elsewhere(elsewhere));
        stage.relay.turn();
        let now = stage.relay.now();
        let good = stage.invite(SPACE, 50);
        let other = stage.invite(elsewhere, 51);
        let log = stage.relay.hub.log_mut();
        let code = match why {
            "none" => None,
            "wrong" => Some(Token::invitation(SPACE, &mut Seeded(52))),
            "another space's" => Some(other),
            "used" => {
                log.create_user("cleo", now).unwrap();
                log.accept(&good.hash(), "cleo", now).unwrap();
                Some(good)
            }
            "withdrawn" => {
                let number = log.invitations(SPACE).unwrap()[0].number;
                log.withdraw(number, now).unwrap();
                Some(good)
            }
            "too old" => {
                stage.relay.pass(1_000);
                Some(good)
            }
            "good" => Some(good),
            other => panic!("{other}"),
        };
        let id = stage.session();
        stage.relay.raw(id);
        let mut said = Vec::new();
        for _ in 0..2 {
            let frame = code.as_ref().map_or_else(|| open_of(space, false), |code| open_with(space, code.reveal()));
            stage.hand(id, &frame);
            stage.relay.turn();
            said.push(stage.relay.raw(id));
        }
        let invitations = stage.relay.hub.log_mut().invitations(SPACE).unwrap();
        let is_used = invitations.iter().filter_map(|invitation| invitation.used.as_ref()).any(|(_, by)| by != "cleo");
        assert_eq!(is_used, why == "good" && space == SPACE && kind == Kind::Foreign, "{why}, {kind:?}, {space}");
        (said, stage.relay.is_closed(id))
    };
    let none = answer("none", Kind::Foreign, SPACE);
    assert!(!none.0[0].is_empty(), "the control: there is an answer");
    for why in ["wrong", "another space's", "used", "withdrawn", "too old"] {
        assert_eq!(answer(why, Kind::Foreign, SPACE), none, "R6: {why}");
        assert_eq!(answer(why, Kind::Foreign, NOWHERE), none, "R6: {why}, for a space that is not there");
    }
    assert_eq!(answer("good", Kind::Foreign, NOWHERE), none, "R6: good, for a space that is not there");
    assert_eq!(answer("good", Kind::SignedElsewhere, SPACE), none, "R6: good, with a token for another space");
    assert_ne!(answer("good", Kind::Foreign, SPACE), none, "the control");
}

#[test]
fn a_guest_joins_nothing_by_an_invitation() {
    for guest_of in [Some(hello(WHO).device), None] {
        let mut stage = Stage::of(Kind::Foreign);
        let code = stage.invite(SPACE, 50);
        let id = stage.relay.connect_as(stage.token.clone().as_deref());
        stage.relay.send(id, ToRelay::Hello(wire::Hello { guest_of, ..hello(77) }));
        stage.relay.turn();
        let seen = stage.say(id, &open_with(SPACE, code.reveal()));
        let opens = seen.iter().any(|seen| matches!(seen, Seen::Opened(_)));
        assert_eq!(opens, guest_of.is_none(), "who only looks changes nothing; the other is the control: {seen:?}");
    }
}
