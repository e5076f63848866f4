//! Filters, entities that are not here, and what another device has, in the world simulator and over real sockets.

use afield::{Collection, Durability, EntityId, Filter, Relay, Replica, Space};
use afield_core::Filter as Wanted;
use afield_tests::processes::{Access, Program, Proxy, Site, WireFigures};
use afield_tests::world::{Device, Random, World, filter_of};
use serde_json::json;

/// A world in which the first device has made entities in two collections, and has sent them.
fn two_collections(seed: u64, entities: usize) -> (World, Device, Vec<EntityId>, Vec<EntityId>) {
    let mut world = World::new(seed);
    let anna = world.add_device();
    let make = |world: &mut World, collection| -> Vec<_> {
        let mut made: Vec<_> = (0..entities).map(|_| world.create(anna, collection)).collect();
        made.sort_unstable();
        made
    };
    let (notes, photos) = (make(&mut world, "notes"), make(&mut world, "photos"));
    world.settle();
    (world, anna, notes, photos)
}

#[test]
fn a_device_with_a_filter_holds_what_it_asked_for_and_lists_what_is_announced() {
    let (mut world, _, notes, photos) = two_collections(1, 5);
    let ben = world.add_device();
    world.set_filter(ben, &filter_of(&["notes"], &[], &["photos"]));
    world.settle();
    assert_eq!(world.entities(ben), notes);
    assert_eq!(world.not_here(ben), photos);
    assert_eq!(world.read_error(ben, photos[0]), Some("entity.not_here"));
    assert_eq!(world.read_error(ben, notes[0]), None, "the control");
    let carla = world.add_device();
    world.set_filter(carla, &filter_of(&["notes"], &[], &[]));
    world.settle();
    assert_eq!(world.not_here(carla), []);
    assert_eq!(world.read_error(carla, photos[0]), Some("entity.not_here"), "it may exist all the same");
}

#[test]
fn a_fetched_entity_comes_whole_and_is_kept_up_to_date_by_every_later_session() {
    let (mut world, anna, _, photos) = two_collections(2, 3);
    world.type_text(anna, photos[0], 0, "before ");
    let ben = world.add_device();
    world.set_filter(ben, &Wanted::nothing());
    world.settle();
    world.fetch(ben, photos[0]);
    world.settle();
    assert_eq!(world.text(ben, photos[0]), "before ");
    assert_eq!(world.entities(ben), [photos[0]]);
    world.type_text(anna, photos[0], 7, "after");
    world.settle();
    assert_eq!(world.text(ben, photos[0]), "before after");
    world.crash(ben);
    world.type_text(anna, photos[0], 0, "again ");
    world.restart(ben);
    world.settle();
    assert_eq!(world.text(ben, photos[0]), "again before after");
}

#[test]
fn a_fetched_entity_that_is_given_up_stays_as_it_is_until_it_is_fetched_again() {
    let (mut world, anna, _, photos) = two_collections(12, 3);
    world.type_text(anna, photos[0], 0, "before ");
    let ben = world.add_device();
    world.set_filter(ben, &Wanted::nothing());
    world.fetch(ben, photos[0]);
    world.settle();
    world.unfetch(ben, photos[0]);
    world.settle();
    world.type_text(anna, photos[0], 7, "after");
    world.settle();
    assert_eq!(world.text(ben, photos[0]), "before ");
    world.type_text(ben, photos[0], 0, "mine ");
    world.settle();
    assert_eq!(world.text(anna, photos[0]), "mine before after", "what is edited here is sent");
    world.fetch(ben, photos[0]);
    world.settle();
    assert_eq!(world.text(ben, photos[0]), "mine before after");
}

#[test]
fn an_entity_that_was_asked_for_offline_comes_with_the_next_session() {
    let (mut world, _, notes, _) = two_collections(3, 2);
    let ben = world.add_device();
    world.set_filter(ben, &Wanted::nothing());
    world.settle();
    world.go_offline(ben);
    world.fetch(ben, notes[1]);
    world.crash(ben);
    world.restart(ben);
    world.go_online(ben);
    world.settle();
    assert_eq!(world.entities(ben), [notes[1]]);
}

#[test]
fn an_entity_that_the_filter_names_before_its_author_has_sent_it_is_kept_up_to_date() {
    let mut world = World::new(8);
    let [anna, ben] = world.devices();
    world.settle();
    world.go_offline(anna);
    let note = world.create(anna, "notes");
    world.set_filter(ben, &filter_of(&[], &[note], &[]));
    world.settle();
    world.crash(ben);
    world.go_online(anna);
    world.settle();
    world.restart(ben);
    world.type_text(anna, note, 0, "edited");
    world.settle();
    assert_eq!(world.text(ben, note), "edited");
}

#[test]
fn what_was_fetched_is_kept_up_to_date_whatever_the_filter_names() {
    let (mut world, anna, notes, photos) = two_collections(9, 2);
    let ben = world.add_device();
    world.set_filter(ben, &filter_of(&["notes"], &[], &[]));
    world.settle();
    world.fetch(ben, photos[0]);
    world.settle();
    world.crash(ben);
    world.restart(ben);
    world.set_filter(ben, &filter_of(&["notes"], &[], &[]));
    world.type_text(anna, photos[0], 0, "photo");
    world.type_text(anna, photos[1], 0, "photo");
    world.type_text(anna, notes[0], 0, "note");
    world.settle();
    assert_eq!((world.text(ben, photos[0]).as_str(), world.text(ben, notes[0]).as_str()), ("photo", "note"));
    assert_eq!(world.read_error(ben, photos[1]), Some("entity.not_here"), "the control");
}

#[test]
fn what_was_fetched_is_offered_again_to_a_relay_that_lost_it_while_the_session_lived() {
    for moment in 0..40 {
        let (mut world, anna, notes, photos) = two_collections(10 + moment, 2);
        let ben = world.add_device();
        world.set_filter(ben, &Wanted::nothing());
        world.settle();
        let before = world.snapshot_relay();
        world.type_text(anna, photos[0], 0, "kept");
        world.settle();
        world.fetch(ben, photos[0]);
        world.run(moment);
        world.go_offline(anna);
        world.restore_relay(&before);
        let carla = world.add_device();
        for _ in 0..5 {
            world.type_text(carla, notes[0], 0, "x");
            world.run(20);
        }
        world.settle();
        assert_eq!(world.text(ben, photos[0]), world.text(anna, photos[0]), "D5, S2: after {moment} ms");
    }
}

#[test]
fn widening_at_any_moment_misses_nothing() {
    for seed in 0..30 {
        let (mut world, anna, notes, photos) = two_collections(seed, 6);
        let mut random = Random::new(seed);
        let ben = world.add_device();
        world.set_filter(ben, &filter_of(&["notes"], &[], &[]));
        for _ in 0..12 {
            world.type_text(anna, photos[random.below(6)], 0, "x");
            world.type_text(anna, notes[random.below(6)], 0, "x");
            match random.below(7) {
                0 => world.set_filter(ben, &filter_of(&["notes", "photos"], &[], &[])),
                1 => world.set_filter(ben, &filter_of(&[], &photos[..2], &["notes"])),
                2 => world.set_filter(ben, &Wanted::Everything),
                3 => world.fetch(ben, photos[random.below(6)]),
                4 => world.unfetch(ben, photos[random.below(6)]),
                5 => world.break_connection(ben),
                _ => world.run(random.between(1, 100)),
            }
            world.run(random.between(0, 60));
        }
        world.set_filter(ben, &Wanted::Everything);
        world.settle();
        let all =
            |device| -> Vec<_> { photos.iter().chain(&notes).map(|entity| world.text(device, *entity)).collect() };
        assert_eq!(all(ben), all(anna), "seed {seed}");
    }
}

#[test]
fn narrowing_keeps_what_is_here_and_what_is_edited_is_sent_all_the_same() {
    let (mut world, anna, notes, photos) = two_collections(4, 2);
    let ben = world.add_device();
    world.settle();
    world.set_filter(ben, &filter_of(&["notes"], &[], &[]));
    world.settle();
    assert_eq!(world.entities(ben).len(), 4);
    assert!(world.type_text(ben, photos[0], 0, "sent"));
    let own = world.create(ben, "drafts");
    world.settle();
    assert_eq!((world.text(anna, photos[0]).as_str(), world.outbox(ben)), ("sent", 0));
    assert_eq!(world.read_error(anna, own), None);
    world.type_text(anna, photos[1], 0, "not asked for");
    world.type_text(anna, notes[1], 0, "asked for");
    world.settle();
    assert_eq!((world.text(ben, photos[1]).as_str(), world.text(ben, notes[1]).as_str()), ("", "asked for"));
}

#[test]
fn a_relay_that_lost_history_gets_back_what_a_filtered_device_holds() {
    let (mut world, anna, _, photos) = two_collections(5, 2);
    let ben = world.add_device();
    world.set_filter(ben, &filter_of(&[], &photos, &[]));
    world.settle();
    let empty = World::new(6).snapshot_relay();
    world.go_offline(anna);
    world.restore_relay(&empty);
    world.type_text(ben, photos[0], 0, "kept");
    world.settle();
    assert_eq!((world.text(anna, photos[0]), world.text(ben, photos[0])), ("kept".to_owned(), "kept".to_owned()));
}

#[test]
fn a_line_that_lets_nothing_through_in_one_direction_loses_nothing() {
    for (to_relay, to_device) in [(true, false), (false, true)] {
        let (mut world, anna, notes, _) = two_collections(7, 1);
        let ben = world.add_device();
        world.settle();
        world.stall(ben, to_relay, to_device);
        world.type_text(anna, notes[0], 0, "anna ");
        world.type_text(ben, notes[0], 0, "ben ");
        world.run(200_000);
        assert_ne!(world.text(anna, notes[0]), world.text(ben, notes[0]), "the control: nothing has come through");
        world.settle();
        assert_eq!(world.text(anna, notes[0]), world.text(ben, notes[0]));
    }
}

/// How many entities of each of two collections a whole system has, and how large those of the one are.
const ENTITIES: usize = 300;
const LARGE: usize = 2_000;

fn counted(site: &Site, replica: &Replica, token: &str, work: impl AsyncFnOnce(&Replica)) -> WireFigures {
    let door = Proxy::start(site.relay.address()).expect("a port");
    site.work_through(&door, replica, Some(token), work);
    door.figures()
}

#[test]
fn over_real_sockets_a_filter_costs_what_it_asks_for_widening_misses_nothing_and_fetch_brings_one() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Tokens);
    let token = site.relay.create_token();
    let author = site.replica("author.db");
    let home = author.create_space("home").unwrap();
    let collections = |space: &Space| -> (Collection<()>, Collection<()>) {
        (space.collection("notes").unwrap(), space.collection("photos").unwrap())
    };
    let (notes, photos) = collections(&home);
    // Letters in no order, so that compression makes them hardly smaller (xorshift).
    let noise = |seed: usize| -> String {
        let mut state = seed as u64 + 1;
        let letter = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'a' + (state % 23) as u8)
        };
        (0..LARGE).map(letter).collect()
    };
    let mut ids = Vec::new();
    author
        .transaction(|tx| {
            for number in 0..ENTITIES {
                tx.insert_json(&notes.json(), &json!({ "title": format!("note {number}") }))?;
                ids.push(tx.insert_json(&photos.json(), &json!({ "pixels": noise(number) }))?);
            }
            Ok(())
        })
        .unwrap();
    counted(&site, &author, &token, async |replica| replica.sync_now().await.unwrap());

    let fresh = site.replica("fresh.db");
    let copy = fresh.join_space(home.id()).unwrap();
    copy.set_filter(Filter::collections(["notes"])).unwrap();
    let (own_notes, own_photos) = collections(&copy);
    let catch_up = async |replica: &Replica| replica.catch_up().await.unwrap();
    let filtered = counted(&site, &fresh, &token, catch_up);
    assert_eq!((own_notes.ids().unwrap().len(), own_photos.ids().unwrap().len()), (ENTITIES, 0));
    assert_eq!(filtered.asked, 2, "Hello and Open, and nothing before CaughtUp: {filtered:?}");

    let one = counted(&site, &fresh, &token, async |_| {
        assert!(copy.fetch([ids[7]]).await.unwrap().unknown.is_empty());
        let unknown: EntityId = "0190aaaa-aaaa-7aaa-aaaa-aaaaaaaaaaaa".parse().unwrap();
        assert_eq!(copy.fetch([unknown]).await.unwrap().unknown, [unknown]);
    });
    assert_eq!(own_photos.ids().unwrap(), [ids[7]]);

    copy.set_filter(Filter::everything()).unwrap();
    let whole = counted(&site, &fresh, &token, catch_up);
    assert!(own_photos.json().list().unwrap() == photos.json().list().unwrap(), "R9: widening misses nothing");
    let (filtered, one, whole) = (filtered.to_device.bytes, one.to_device.bytes, whole.to_device.bytes);
    println!("{filtered} B with the filter, {one} B for one more entity, {whole} B for everything");
    assert!(filtered * 5 < whole && one * 20 < whole, "{filtered} B, {one} B, {whole} B");

    for replica in [&author, &fresh] {
        replica.connect(Relay::new(site.relay.url()).token(&token)).unwrap();
    }
    let id = notes.ids().unwrap()[0];
    let write = notes.json().put(id, &json!({ "title": "seen" })).unwrap();
    site.block_on(async {
        write.wait(Durability::AnotherDevice).await.unwrap();
    });
    fresh.disconnect();
    assert_eq!(own_notes.json().read(id).unwrap(), json!({ "title": "seen" }), "it is stored there when the wait ends");
}

#[test]
fn over_real_sockets_a_device_that_asks_for_very_many_entities_comes_back_every_time() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Tokens);
    let token = site.relay.create_token();
    let author = site.replica("author.db");
    let home = author.create_space("home").unwrap();
    let notes: Collection<()> = home.collection("notes").unwrap();
    let id = notes.json().insert(&json!({ "title": "one of many" })).unwrap();
    let connect = |replica: &Replica| replica.connect(Relay::new(site.relay.url()).token(&token)).unwrap();
    connect(&author);
    site.block_on(author.sync_now()).unwrap();

    let reader = site.replica("reader.db");
    let copy = reader.join_space(home.id()).unwrap();
    // What is hashed does not compress.
    let noise =
        |number: u32| afield_core::log::ChunkHash::of(&number.to_le_bytes()).as_bytes()[..16].try_into().unwrap();
    let many = (0..16_000).map(|number| EntityId::from_bytes(noise(number)));
    copy.set_filter(Filter::nothing().entities(many.chain([id]))).unwrap();
    let own: Collection<()> = copy.collection("notes").unwrap();
    for round in 0..3 {
        let title = format!("round {round}");
        site.block_on(notes.json().put(id, &json!({ "title": title })).unwrap().wait(Durability::Relay)).unwrap();
        connect(&reader);
        site.block_on(reader.catch_up()).unwrap();
        assert_eq!(own.json().read(id).unwrap(), json!({ "title": title }));
        reader.disconnect();
    }
}
