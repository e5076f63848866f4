use super::*;

#[test]
fn what_happens_is_counted_and_what_is_there_is_told() {
    let mut relay = Relay::new();
    assert_eq!(relay.hub.counts(), Counts::default());
    let (writer, reader) = (relay.device(1), relay.device(2));
    let mut author = Author::new(1, 1);
    let change = author.edit("a");
    relay.push_bytes(writer, 1, author.entity, std::slice::from_ref(&change));
    relay.push_bytes(writer, 2, author.entity, &[change, vec![7; 9]]);
    relay.turn();
    let counts = relay.hub.counts();
    assert_eq!((counts.sessions, counts.spaces, counts.welcomed, counts.lag), (2, 1, 2, 1), "the writer has its own");
    assert_eq!((counts.pushes, counts.stored, counts.duplicates, counts.commits), (2, 1, 1, 1));
    assert_eq!(counts.refused, [("Malformed".to_owned(), 1)].into());
    assert!(counts.received_bytes > 0 && counts.sent_bytes > 0 && counts.queued_bytes == 0);
    let progress = wire::Progress { channel: Channel(0), sequence: Sequence::new(1) };
    relay.send(reader, ToRelay::Progress(progress));
    relay.turn();
    assert_eq!(relay.hub.counts().lag, 0);
    relay.connect_as(Some("afield_wrong"));
    let stranger = relay.connect_as(Some("afield_wrong"));
    relay.send(stranger, ToRelay::Hello(hello(3)));
    relay.turn();
    assert_eq!(relay.hub.counts().ended, [("Unauthorized".to_owned(), 1)].into());
    assert_eq!(relay.hub.counts().sessions, 2, "who was not welcomed is none");
}
