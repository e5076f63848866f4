//! Damage and malice that reach a device's driver: one entity says so, everything else goes on, and nothing panics or
//! tries for ever (D7, D8).

use afield::{EntityId, SyncEvent, Value};
use afield_core::Limits;
use afield_core::document::{Document, EditContext, Hostile};
use afield_core::limits::CLOSES_AT_ONE_CURSOR_MAX;
use afield_tests::careless::{CarelessLog, LoneDevice, START};

/// Longer than any back-off.
const WITHIN_MS: u64 = 120_000;
/// How long a device is watched that gets nothing but damage, in milliseconds.
const WATCHED_MS: u64 = 3_600_000;
/// The most attempts in that time: twice what a back-off of up to a minute comes to.
const ATTEMPTS_MAX: usize = 240;

/// One change that makes an entity with a title.
fn note(number: u8) -> (EntityId, Vec<u8>) {
    let entity = EntityId::from_bytes([number; 16]);
    let context = EditContext { fresh: true, ..EditContext::new(vec![number; 16].into(), START) };
    let title = Value::Str(format!("note {number}"));
    let edited = Document::new(entity).edit(&context, &Limits::DEFAULT, |edit| edit.put("title", title));
    (entity, edited.unwrap().changes.remove(0).bytes)
}

fn title(device: &LoneDevice, space: usize, number: u8) -> Option<Value> {
    let value = device.read(device.spaces()[space], EntityId::from_bytes([number; 16]))?;
    value.entry("title").cloned()
}

fn titled(number: u8) -> Option<Value> {
    Some(Value::Str(format!("note {number}")))
}

fn borrowed(changes: &[(EntityId, Vec<u8>)]) -> Vec<(EntityId, &[u8])> {
    changes.iter().map(|(entity, bytes)| (*entity, bytes.as_slice())).collect()
}

fn is_quarantine_of(event: &SyncEvent, wanted: EntityId) -> bool {
    matches!(event, SyncEvent::Quarantined { entity, .. } if *entity == wanted)
}

#[test]
fn each_kind_of_hostile_change_is_quarantined_with_an_event_and_all_others_go_on() {
    let Hostile { entity, honest, changes } = Hostile::all();
    assert!(changes.iter().filter(|change| !change.is_applied).count() > 20, "the list holds every kind");
    let others = [note(1), note(2)];
    for hostile in &changes {
        let name = hostile.name;
        let mut device = LoneDevice::new(1);
        let mut log = CarelessLog::new(0, 3);
        device.connect(WITHIN_MS).unwrap();
        assert!(device.deliver(&log.opened()), "{name}");
        let before: Vec<_> = honest.iter().map(|bytes| (entity, bytes.as_slice())).collect();
        assert!(device.deliver(&log.raw(&before)), "{name}");
        let [(first, first_bytes), (second, second_bytes)] = &others;
        let around = [(*first, first_bytes.as_slice()), (entity, &hostile.bytes), (*second, second_bytes)];
        assert!(device.deliver(&log.raw(&around)), "{name}: the session goes on");
        assert!(device.deliver(&log.caught_up()), "{name}: the cursor went on");

        let space = device.spaces()[0];
        let quarantined = usize::from(!hostile.is_applied);
        assert_eq!(device.quarantined(space), quarantined, "{name}");
        let told = device.events().iter().filter(|event| is_quarantine_of(event, entity)).count();
        assert_eq!(told, quarantined, "{name}: an event names the entity");
        assert_eq!([title(&device, 0, 1), title(&device, 0, 2)], [titled(1), titled(2)], "{name}");
        assert!(device.read(space, entity).is_some(), "{name}: the document is still there");
        assert!(device.put(space, entity, "after", Value::Int(1)), "{name}: and can be edited");
        device.assert_sound();
        let device = device.restart(|_| ());
        assert_eq!(device.quarantined(space), quarantined, "{name}, after a restart");
        assert!(device.put(space, entity, "again", Value::Int(2)), "{name}, after a restart");
    }
}

#[test]
fn a_byte_flipped_once_in_a_message_costs_one_session_and_nothing_else() {
    let notes = [note(1), note(2), note(3)];
    let length = CarelessLog::new(0, 3).batch(&borrowed(&notes)).len();
    for at in 0..length {
        let mut device = LoneDevice::new(1);
        let mut log = CarelessLog::new(0, 3);
        device.connect(WITHIN_MS).unwrap();
        assert!(device.deliver(&log.opened()));
        let whole = log.batch(&borrowed(&notes));
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        if !device.deliver(&flipped) {
            if let Some(opens) = device.connect(WITHIN_MS) {
                assert_eq!(
                    opens[0].cursor.map(|cursor| cursor.sequence.get()),
                    Some(0),
                    "byte {at}: nothing was taken"
                );
                let again = if opens[0].raw { CarelessLog::new(0, 3).raw(&borrowed(&notes)) } else { whole };
                assert!(device.deliver(&again), "byte {at}");
            } else {
                // A frame of a type that only a later version has: trying again would not help.
                let stopped = |event: &SyncEvent| matches!(event, SyncEvent::Disconnected { class, .. } if *class != afield::Class::Retry);
                assert!(device.events().iter().any(stopped), "byte {at}: it says why it does not come back");
                continue;
            }
        }
        assert_eq!([1, 2, 3].map(|number| title(&device, 0, number)), [1, 2, 3].map(titled), "byte {at}");
        assert_eq!(device.quarantined(device.spaces()[0]), 0, "byte {at}");
        device.assert_sound();
    }
}

#[test]
fn a_byte_that_is_always_flipped_blocks_its_space_visibly_and_no_other() {
    let notes = [note(1), note(2)];
    let length = CarelessLog::new(0, 3).batch(&borrowed(&notes)).len();
    let mut blocked = 0;
    for at in 0..length {
        let mut device = LoneDevice::new(2);
        let (start, mut other) = (CarelessLog::new(0, 3), CarelessLog::new(1, 4));
        let elsewhere = other.clone().opened();
        let brought = other.batch(&borrowed(&[note(7)]));
        let mut is_first = true;
        while let Some(opens) = device.connect(WATCHED_MS.saturating_sub(device.watched_ms())) {
            if std::mem::take(&mut is_first) {
                assert!(device.deliver(&start.opened()) && device.deliver(&elsewhere) && device.deliver(&brought));
            }
            let Some(open) = opens.iter().find(|open| open.space == device.spaces()[0]) else {
                let [open] = opens.as_slice() else { panic!("byte {at}: two spaces, one of them left alone") };
                assert!(device.deliver(&other.opened_as(open).caught_up()), "byte {at}: the other space goes on");
                break;
            };
            let mut log = start.opened_as(open);
            let mut message = if open.raw { log.raw(&borrowed(&notes)) } else { log.batch(&borrowed(&notes)) };
            let at = at % message.len();
            message[at] ^= 0x20;
            if device.deliver(&message) {
                break;
            }
        }
        assert!(device.connects() <= ATTEMPTS_MAX, "byte {at}: {} attempts", device.connects());
        assert_eq!(title(&device, 1, 7), titled(7), "byte {at}: the other space");
        let space = device.spaces()[0];
        let is_blocked =
            |event: &&SyncEvent| matches!(event, SyncEvent::SpaceBlocked { space: told } if *told == space);
        if device.events().iter().filter(is_blocked).count() > 0 {
            blocked += 1;
            assert!(device.connects() <= CLOSES_AT_ONE_CURSOR_MAX as usize + 1, "byte {at}: {}", device.connects());
        }
        device.assert_sound();
    }
    assert!(blocked > length / 4, "of {length} places {blocked} block the space");
}

#[test]
fn a_batch_that_fails_is_asked_for_chunk_by_chunk_and_what_is_still_bad_is_quarantined() {
    let notes = [note(1), note(2), note(3)];
    let mut device = LoneDevice::new(1);
    let start = CarelessLog::new(0, 3);
    assert!(!device.connect(WITHIN_MS).unwrap()[0].raw, "batches are asked for first");
    assert!(device.deliver(&start.opened()));
    let mut message = start.clone().batch(&borrowed(&notes));
    let last = message.len() - 12;
    message[last] ^= 1;
    assert!(!device.deliver(&message), "the batch does not decode");

    assert!(device.connect(WITHIN_MS).unwrap()[0].raw, "chunk by chunk");
    let (bad, mut log) = (notes[1].1.clone(), start.clone());
    let decay = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if bytes == bad {
            bytes[30] ^= 1;
        }
        bytes
    };
    assert!(device.deliver(&log.decayed(&borrowed(&notes), decay)));
    assert!(device.deliver(&log.caught_up()), "the session goes on");
    assert_eq!([1, 2, 3].map(|number| title(&device, 0, number)), [titled(1), None, titled(3)]);
    assert_eq!(device.quarantined(device.spaces()[0]), 1);
    assert!(device.events().iter().any(|event| is_quarantine_of(event, notes[1].0)), "an event names the entity");
    device.assert_sound();
}

#[test]
fn a_flipped_bit_of_live_chunks_ends_the_session_brings_nothing_and_costs_nothing_else() {
    let notes = [note(1), note(2), note(3)];
    let length = {
        let (mut log, mut state) = (CarelessLog::new(0, 3), None);
        log.live(&mut state, &borrowed(&notes[..2]));
        log.live(&mut state, &borrowed(&notes[2..])).len()
    };
    for at in 0..8 * length {
        let mut device = LoneDevice::new(1);
        let (mut log, mut state) = (CarelessLog::new(0, 3), None);
        device.connect(WITHIN_MS).unwrap();
        assert!(device.deliver(&log.opened()) && device.deliver(&log.live(&mut state, &borrowed(&notes[..2]))));
        let before = log.clone();
        let mut message = log.live(&mut state, &borrowed(&notes[2..]));
        if at > 0 {
            message[at / 8] ^= 1 << (at % 8);
        }
        let goes_on = device.deliver(&message);
        assert_eq!((goes_on, title(&device, 0, 3)), (at == 0, if at == 0 { titled(3) } else { None }), "bit {at}");
        assert_eq!([1, 2].map(|number| title(&device, 0, number)), [1, 2].map(titled), "bit {at}");
        if let Some(opens) = device.connect(WITHIN_MS).filter(|_| at > 0) {
            let mut log = before.opened_as(&opens[0]);
            let message =
                if opens[0].raw { log.raw(&borrowed(&notes[2..])) } else { log.batch(&borrowed(&notes[2..])) };
            assert!(device.deliver(&message) && device.deliver(&log.caught_up()), "bit {at}");
            assert_eq!(title(&device, 0, 3), titled(3), "bit {at}");
        }
        device.assert_sound();
    }
}

#[test]
fn live_chunks_outside_of_an_epoch_end_the_session() {
    let notes = [note(1), note(2), note(3)];
    for is_interrupted in [false, true] {
        let mut device = LoneDevice::new(1);
        let (mut log, mut state) = (CarelessLog::new(0, 3), None);
        device.connect(WITHIN_MS).unwrap();
        assert!(device.deliver(&log.opened()) && device.deliver(&log.live(&mut state, &borrowed(&notes[..1]))));
        if is_interrupted {
            assert!(device.deliver(&log.batch(&borrowed(&notes[1..2]))), "Chunks may come at any time");
        }
        let message = log.live(&mut state, &borrowed(&notes[2..]));
        assert_eq!(device.deliver(&message), !is_interrupted, "and they end the epoch");
        device.assert_sound();
    }
}
