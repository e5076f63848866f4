//! Scenarios of the world simulator, each a promise.

use afield::SyncEvent;
use afield_tests::world::{DiskFaults, NetworkFaults, Random, World, filter_of};

#[test]
fn edits_made_offline_on_two_devices_merge() {
    let mut world = World::new(1);
    let [anna, ben] = world.devices();
    let note = world.create(anna, "notes");
    world.settle();
    world.go_offline(anna);
    world.go_offline(ben);
    assert!(world.type_text(anna, note, 0, "left "));
    assert!(world.type_text(ben, note, 0, "right "));
    assert!(world.increment(anna, note, 2));
    assert!(world.increment(ben, note, 3));
    world.settle();
    let text = world.text(anna, note);
    assert_eq!(text, world.text(ben, note));
    assert!(text == "left right " || text == "right left ", "{text}");
    let value = world.value(ben, note).expect("the note is there");
    assert_eq!(value.entry("count"), Some(&afield::Value::Counter(5)));
}

#[test]
fn a_relay_replaced_by_an_empty_one_is_filled_again() {
    let mut world = World::new(2);
    let empty = world.snapshot_relay();
    let [anna, ben] = world.devices();
    let note = world.create(anna, "notes");
    world.type_text(anna, note, 0, "kept");
    world.settle();
    world.restore_relay(&empty);
    world.settle();
    assert_eq!(world.text(ben, note), "kept");
}

#[test]
fn what_a_power_failure_takes_back_is_found_again() {
    let mut world = World::new(7);
    let [anna, ben] = world.devices();
    let note = world.create(anna, "notes");
    world.type_text(anna, note, 0, "typed by anna");
    world.settle();
    assert_eq!(world.outbox(anna), 0);
    world.lose_power(anna);
    world.lose_power(ben);
    world.restart(anna);
    world.restart(ben);
    // The mark of the last edit was not synced, and neither was what became of the change at the other device.
    assert!(world.outbox(anna) > 0, "the power failure took no mark back, so this test shows nothing");
    assert_eq!(world.text(anna, note), "typed by anna");
    assert_eq!(world.text(ben, note), "typed by anna");
    world.settle();
    assert_eq!(world.outbox(anna), 0);
}

#[test]
fn a_relay_restored_while_sessions_live_and_written_past_old_cursors_is_repaired() {
    let mut world = World::new(3);
    let [anna, ben, carla] = world.devices();
    let note = world.create(anna, "notes");
    world.settle();
    let earlier = world.snapshot_relay();
    world.type_text(anna, note, 0, "written before the restore ");
    world.settle();
    world.go_offline(ben);
    world.restore_relay(&earlier);
    for _ in 0..20 {
        world.type_text(carla, note, 0, "x");
        world.run(500);
    }
    world.settle();
    for device in [anna, ben, carla] {
        assert!(world.text(device, note).contains("written before the restore "));
        assert_eq!(world.text(device, note).matches('x').count(), 20);
    }
}

#[test]
fn a_receipt_lost_after_the_commit_is_not_a_second_change() {
    let mut world = World::new(4);
    let [anna, ben] = world.devices();
    let note = world.create(anna, "notes");
    world.settle();
    world.set_network(NetworkFaults { cut: 500, ..NetworkFaults::NONE });
    for _ in 0..10 {
        world.increment(anna, note, 1);
        world.run(2_000);
    }
    world.settle();
    let value = world.value(ben, note).expect("the note is there");
    assert_eq!(value.entry("count"), Some(&afield::Value::Counter(10)));
}

#[test]
fn a_device_that_dies_right_after_a_commit_keeps_the_edit_and_sends_it() {
    let mut world = World::new(5);
    let [anna, ben] = world.devices();
    let note = world.create(anna, "notes");
    world.settle();
    world.go_offline(anna);
    world.type_text(anna, note, 0, "typed on the train");
    world.crash(anna);
    world.settle();
    assert_eq!(world.text(ben, note), "typed on the train");
}

#[test]
fn wrong_wall_clocks_change_labels_only() {
    let mut world = World::new(6);
    let [anna, ben] = world.devices();
    world.skew_clock(anna, -315_360_000_000);
    let note = world.create(anna, "notes");
    world.settle();
    world.set_title(anna, note, "from the past");
    world.settle();
    world.set_title(ben, note, "from now");
    world.settle();
    world.set_title(anna, note, "last, by a clock ten years behind");
    world.settle();
    let value = world.value(ben, note).expect("the note is there");
    assert_eq!(value.entry("title"), Some(&afield::Value::Str("last, by a clock ten years behind".into())));
}

#[test]
fn of_a_store_and_its_copy_one_takes_a_new_identity_once_and_neither_loses_anything() {
    let mut world = World::new(8);
    let [anna, ben] = world.devices();
    let note = world.create(anna, "notes");
    world.type_text(anna, note, 0, "shared ");
    world.settle();
    let copy = world.copy_device(anna);
    for round in 0..10 {
        // Twice without the relay, so that what is numbered alike would be made on both before either is known.
        if round == 2 {
            [anna, copy].into_iter().for_each(|device| world.go_offline(device));
        }
        assert!(world.type_text(anna, note, 0, "a"));
        assert!(world.type_text(copy, note, 0, "c"));
        world.check().unwrap();
        if round == 4 {
            [anna, copy].into_iter().for_each(|device| world.go_online(device));
        }
        world.run(2_000);
    }
    world.settle();
    for device in [anna, copy, ben] {
        let text = world.text(device, note);
        assert_eq!((text.matches('a').count(), text.matches('c').count()), (11, 10), "{text}");
    }
    let renames = |world: &mut World, device| {
        world.events(device).iter().filter(|event| matches!(event, SyncEvent::DeviceRenamed { .. })).count()
    };
    let renames = [anna, copy, ben].map(|device| renames(&mut world, device));
    assert_eq!(renames.iter().sum::<usize>(), 1, "{renames:?}");
    assert_eq!(renames[2], 0, "the one that was not copied");
}

#[test]
fn a_device_goes_on_in_the_same_process_after_its_disk_has_failed() {
    let mut world = World::new(9);
    let [anna, ben] = world.devices();
    let note = world.create(anna, "notes");
    world.settle();
    world.set_disk(anna, DiskFaults { full: 300, io: 300, ..DiskFaults::NONE });
    let stored = (0..40).filter(|_| world.type_text(anna, note, 0, "x")).count();
    assert!((1..40).contains(&stored), "some edits were stored, and others failed");
    world.settle();
    assert_eq!(world.text(ben, note).len(), stored, "what had failed has left nothing, what had returned is there");
    assert!(world.reloads() > 0, "the process went on");
}

#[test]
fn what_a_lost_device_had_sent_survives_an_emptied_relay() {
    let mut world = World::new(10);
    let empty = world.snapshot_relay();
    let [anna, ben, carla] = world.devices();
    let note = world.create(anna, "notes");
    world.type_text(anna, note, 0, "written by anna");
    world.settle();
    world.go_offline(anna);
    assert!(world.type_text(anna, note, 0, "never sent: "));
    world.lose(anna);
    world.restore_relay(&empty);
    world.settle();
    for device in [ben, carla] {
        assert_eq!(world.text(device, note), "written by anna");
    }
}

#[test]
fn who_is_told_to_be_in_step_holds_all_that_the_relay_held_when_asked() {
    let mut world = World::new(11);
    let [anna, ben] = world.devices();
    let note = world.create(anna, "notes");
    world.settle();
    world.set_network(NetworkFaults { delay_ms: 100, ..NetworkFaults::NONE });
    let mut answers = 0;
    for _ in 0..200 {
        world.increment(anna, note, 1);
        world.run(30);
        if !world.is_asking(ben) {
            answers += 1;
            world.sync_now(ben);
            assert!(world.is_asking(ben), "the relay was not asked");
        }
        world.check().unwrap_or_else(|violation| panic!("{violation}"));
    }
    assert!(answers > 5, "{answers} answers show little");
    world.settle();
}

/// A world whose relay has compacted what the first device made, that device, and the note.
fn compacted(seed: u64) -> (World, afield_tests::world::Device, afield::EntityId) {
    let mut world = World::new(seed);
    let anna = world.add_device();
    let note = world.create(anna, "notes");
    for number in 0..40 {
        world.type_text(anna, note, number, "x");
    }
    world.settle();
    world.compact_relay();
    (world, anna, note)
}

#[test]
fn a_fresh_device_reads_a_compacted_log_as_a_snapshot_and_has_nothing_to_send() {
    let (mut world, anna, note) = compacted(31);
    let ben = world.add_device();
    world.settle();
    assert_eq!(world.text(ben, note), "x".repeat(40));
    assert_eq!(world.snapshots_given(), 1);
    assert_eq!(world.outbox(ben), 0, "what came in the snapshot is proven");
    world.type_text(ben, note, 0, "ben ");
    world.settle();
    assert!(world.text(anna, note).starts_with("ben x"));
    assert_eq!(world.snapshots_given(), 1, "nobody else needs one");
}

#[test]
fn a_device_that_stands_in_the_middle_of_what_is_compacted_misses_nothing() {
    let mut world = World::new(32);
    let [anna, ben] = world.devices();
    let note = world.create(anna, "notes");
    let other = world.create(anna, "notes");
    world.settle();
    world.go_offline(ben);
    world.type_text(ben, note, 0, "ben ");
    for number in 0..30 {
        world.type_text(anna, note, number, "x");
        world.type_text(anna, other, number, "y");
    }
    world.run(10_000);
    world.compact_relay();
    world.settle();
    assert!(world.snapshots_given() > 0, "the control");
    assert_eq!(world.text(ben, other), "y".repeat(30));
    assert_eq!(world.text(ben, note).len(), 34);
    assert_eq!(world.text(ben, note), world.text(anna, note));
}

#[test]
fn a_relay_that_is_restored_to_before_its_compaction_is_repaired_from_what_came_in_snapshots() {
    let mut world = World::new(33);
    let empty = world.snapshot_relay();
    let anna = world.add_device();
    let note = world.create(anna, "notes");
    for number in 0..20 {
        world.type_text(anna, note, number, "x");
    }
    world.settle();
    let before = world.snapshot_relay();
    for number in 20..40 {
        world.type_text(anna, note, number, "x");
    }
    world.settle();
    world.compact_relay();
    let ben = world.add_device();
    world.settle();
    assert_eq!(world.snapshots_given(), 1, "the control");
    world.go_offline(anna);
    for backup in [before, empty] {
        world.restore_relay(&backup);
        world.type_text(ben, note, 0, "y");
        world.settle();
        assert_eq!(world.text(anna, note), world.text(ben, note));
        assert_eq!(world.outbox(ben), 0);
    }
    assert_eq!(world.text(anna, note), format!("yy{}", "x".repeat(40)));
}

#[test]
fn filters_and_fetches_of_a_compacted_log_miss_nothing() {
    for seed in 0..6 {
        let mut world = World::new(seed);
        let mut random = Random::new(seed);
        let anna = world.add_device();
        let notes: Vec<_> = (0..4).map(|_| world.create(anna, "notes")).collect();
        let photos: Vec<_> = (0..4).map(|_| world.create(anna, "photos")).collect();
        for _ in 0..60 {
            world.type_text(anna, notes[random.below(4)], 0, "x");
            world.type_text(anna, photos[random.below(4)], 0, "x");
        }
        world.settle();
        world.set_relay_tidying(300);
        world.compact_relay();
        let ben = world.add_device();
        world.set_filter(ben, &filter_of(&["notes"], &[], &["photos"]));
        world.run(random.between(0, 200));
        world.fetch(ben, photos[0]);
        for _ in 0..8 {
            world.type_text(anna, photos[random.below(4)], 0, "x");
            world.run(random.between(0, 60));
            match random.below(4) {
                0 => world.set_filter(ben, &filter_of(&["notes", "photos"], &[], &[])),
                1 => world.fetch(ben, photos[random.below(4)]),
                2 => world.break_connection(ben),
                _ => world.compact_relay(),
            }
        }
        world.set_filter(ben, &afield_core::Filter::Everything);
        world.settle();
        assert!(world.snapshots_given() > 0, "the control");
        for entity in notes.iter().chain(&photos) {
            assert_eq!(world.text(ben, *entity), world.text(anna, *entity), "seed {seed}");
        }
        assert_eq!(world.outbox(ben), 0);
    }
}
