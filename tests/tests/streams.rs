//! What is watched, read as a `Stream`: with whole devices and a real relay, so that what wakes the reader is sync.

use afield_tests::processes::{Party, Program, Site};
use futures_util::{FutureExt, Stream, StreamExt};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// How long an item may be on its way.
const PATIENCE: Duration = Duration::from_secs(60);

fn party() -> Party {
    let world = Party::new(&Program::new(env!("CARGO_BIN_EXE_relay_process")), 2);
    world.replicas.iter().for_each(|replica| world.site.sync(replica));
    world
}

/// Waits for the next item while another device sends what it has written: only sync can wake whoever waits here.
fn next_while_sent<S: Stream + Unpin>(world: &Party, stream: &mut S) -> Option<S::Item> {
    let began = Instant::now();
    let (item, sent) = world.site.block_on(async {
        let waiting = tokio::time::timeout(PATIENCE, stream.next());
        tokio::join!(biased; waiting, world.replicas[0].sync_now())
    });
    sent.expect("the relay has it");
    // A stream that wakes nobody is looked at once more when the time is over.
    assert!(began.elapsed() < PATIENCE, "nobody was woken");
    item.expect("the item comes")
}

/// Waits for what is there, or comes without anybody's doing.
fn next<S: Stream + Unpin>(site: &Site, stream: &mut S) -> Option<S::Item> {
    let waiting = async { tokio::time::timeout(PATIENCE, stream.next()).await };
    site.block_on(waiting).expect("the item, or the end, is there")
}

/// Lets everything that was written on the first device arrive at the second.
fn arrive(world: &Party) {
    for replica in &world.replicas {
        world.site.sync(replica);
    }
}

fn titles(answer: Option<Result<Vec<(afield::EntityId, Json)>, afield::QueryError>>) -> Vec<String> {
    let answer = answer.expect("the stream goes on").expect("an answer");
    let mut titles: Vec<_> = answer.iter().map(|(_, task)| task["title"].as_str().unwrap().to_owned()).collect();
    titles.sort();
    titles
}

#[test]
fn a_live_query_gives_the_answer_now_another_one_when_it_is_another_and_ends_with_the_replica() {
    let world = party();
    let (here, there) = (world.notes(1).json(), world.notes(0).json());
    let sow = there.insert(&json!({ "title": "sow", "done": false })).unwrap();
    let rest = there.insert(&json!({ "title": "rest", "done": true })).unwrap();
    arrive(&world);
    let mut open = here.query("done = 0", ()).unwrap().watch().unwrap();
    assert_eq!(titles(open.next().now_or_never().expect("the answer now, without waiting")), ["sow"]);
    assert!(open.next().now_or_never().is_none(), "nothing has happened since");

    // What is written beside the answer: in another entity, in another collection.
    there.edit(rest, |task| task["title"] = "sleep".into()).unwrap();
    world.spaces[0].collection::<()>("others").unwrap().json().insert(&json!({ "done": false })).unwrap();
    arrive(&world);
    assert_eq!(here.read(rest).unwrap()["title"], "sleep", "the control: it has arrived");
    assert!(open.next().now_or_never().is_none(), "the answer is the same");

    there.edit(rest, |task| task["done"] = false.into()).unwrap();
    assert_eq!(titles(next_while_sent(&world, &mut open)), ["sleep", "sow"]);
    there.edit(sow, |task| task["title"] = "reap".into()).unwrap();
    assert_eq!(titles(next_while_sent(&world, &mut open)), ["reap", "sleep"]);
    there.edit(sow, |task| task["done"] = true.into()).unwrap();
    let _ = world.notes(0).delete(rest).unwrap();
    arrive(&world);
    assert_eq!(titles(next(&world.site, &mut open)), [""; 0], "what happened meanwhile is one answer");
    assert!(open.next().now_or_never().is_none());

    let Party { site, replicas, spaces } = world;
    drop((replicas, spaces, there));
    assert!(open.next().now_or_never().is_none(), "the control: a collection keeps the replica open");
    drop(here);
    assert!(next(&site, &mut open).is_none());
    assert!(next(&site, &mut open).is_none(), "and it stays so");
}

#[test]
fn a_watch_gives_what_has_changed_and_ends_once_that_is_read_and_the_replica_is_closed() {
    let world = party();
    let there = world.notes(0).json();
    let [one, other] = ["one", "other"].map(|title| there.insert(&json!({ "title": title })).unwrap());
    arrive(&world);
    let (notes, entity) = (world.notes(1), world.notes(1).entity(one).unwrap());
    let (mut all, mut of_one) = (notes.watch(), entity.watch());
    assert!(all.next().now_or_never().is_none() && of_one.next().now_or_never().is_none(), "nothing has changed yet");

    there.edit(one, |note| note["title"] = "first".into()).unwrap();
    assert_eq!(next_while_sent(&world, &mut all), Some([one].into()));
    assert_eq!(next(&world.site, &mut of_one), Some([one].into()));
    there.edit(other, |note| note["title"] = "second".into()).unwrap();
    assert_eq!(next_while_sent(&world, &mut all), Some([other].into()));
    world.spaces[0].collection::<()>("others").unwrap().json().insert(&json!({})).unwrap();
    arrive(&world);
    assert!(all.next().now_or_never().is_none() && of_one.next().now_or_never().is_none(), "neither is watched");

    there.edit(one, |note| note["title"] = "last".into()).unwrap();
    arrive(&world);
    let Party { site, replicas, spaces } = world;
    drop((replicas, spaces, notes, entity));
    for stream in [&mut all, &mut of_one] {
        assert_eq!(next(&site, stream), Some([one].into()), "what happened before is told first");
        assert!(next(&site, stream).is_none());
        assert!(next(&site, stream).is_none(), "and it stays so");
    }
}
