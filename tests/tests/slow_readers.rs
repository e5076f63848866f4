//! Readers that never read cost the relay what the protocol lets it keep for them, and nobody else anything (R9).

use afield::{Relay, Replica, SpaceId};
use afield_core::limits::{BATCH_BYTES_MAX, SEND_QUEUE_BYTES_MAX};
use afield_core::session::{DeviceSession, Greeting, SpaceOpening};
use afield_core::{DeviceId, Entropy, Filter, Incarnation, Now};
use afield_tests::processes::{Access, Figures, Program, Site};
use afield_transport::{Client, ClientOptions, Link};
use serde_json::json;

/// How many never read.
const READERS: usize = 24;
/// What is in the space: far more than is kept for one of them, and than the system's buffers of a socket hold.
const ENTITIES: usize = 100;
const ENTITY_BYTES: usize = 400_000;
/// What the relay may take beside, in KiB: what allocators keep, and what it reads ahead from the log.
const BESIDE_KIB: u64 = 24 * 1_024;

struct Numbers(u64);

impl Entropy for Numbers {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// A text that nothing compresses well.
fn noise(seed: u64) -> String {
    let mut bytes = vec![0; ENTITY_BYTES];
    Numbers(seed).fill(&mut bytes);
    bytes.iter().map(|byte| char::from(b'!' + byte % 90)).collect()
}

/// Opens a space as a fresh device does, and reads no more than the relay's greeting.
async fn never_reads(url: &str, space: SpaceId, number: u64) -> Link {
    let client = Client::new(ClientOptions::default());
    let mut link = client.connect(&url.parse().unwrap()).await.unwrap();
    let mut numbers = Numbers(number);
    let greeting = Greeting {
        device: DeviceId::new(Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 }, &mut numbers),
        incarnation: Incarnation::new(&mut numbers),
        predecessors: Vec::new(),
        guest_of: None,
        token: None,
    };
    let filter = Filter::Everything;
    let opening =
        SpaceOpening { space, cursor: None, create: false, raw: false, filter, partial: false, invitation: None };
    let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    let mut session = DeviceSession::new(greeting, [opening], now);
    loop {
        while let Some(message) = session.poll_transmit() {
            link.send(message.into()).await.unwrap();
        }
        link.flush().await.unwrap();
        if session.is_welcome() {
            return link;
        }
        let message = link.receive().await.unwrap().expect("it is welcome");
        session.handle_message(&message, now).unwrap();
    }
}

#[test]
fn readers_that_never_read_cost_what_is_kept_for_them_and_nobody_waits_for_them() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let author = site.replica("author.db");
    let space = author.create_space("home").unwrap();
    let notes = space.collection::<()>("notes").unwrap();
    for number in 0..ENTITIES {
        notes.json().insert(&json!({ "text": noise(number as u64) })).unwrap();
    }
    site.sync(&author);
    let reader = |name: &str| {
        let replica: Replica = site.replica(name);
        let space = replica.join_space(space.id()).unwrap();
        replica.connect(Relay::new(site.relay.url())).unwrap();
        site.sync(&replica);
        assert_eq!(space.collection::<()>("notes").unwrap().ids().unwrap().len(), ENTITIES);
    };
    // What serving it costs anyway.
    reader("before.db");
    let peak = || Figures::of(site.relay.process().unwrap()).map(|figures| figures.peak_kib);
    let Some(before_kib) = peak() else { return };

    let url = site.relay.url();
    let links: Vec<Link> =
        (0..READERS as u64).map(|number| site.block_on(never_reads(&url, space.id(), number))).collect();
    // By the time that this one has everything, the relay has had as many turns for the others.
    reader("beside.db");
    let more_kib = peak().expect("as before") - before_kib;
    println!("{more_kib} KiB more for {READERS} readers that never read");
    let kept_kib = (READERS * (SEND_QUEUE_BYTES_MAX + BATCH_BYTES_MAX) / 1_024) as u64;
    assert!(more_kib <= kept_kib + BESIDE_KIB, "{more_kib} KiB for {READERS} readers, of which {kept_kib} are kept");
    let whole_kib = (READERS * ENTITIES * ENTITY_BYTES / 1_024) as u64;
    assert!(kept_kib + BESIDE_KIB < whole_kib / 8, "the control: the space is far larger than what is kept");
    for mut link in links {
        let sent = site.block_on(link.receive()).expect("its session stands");
        assert!(sent.is_some(), "the control: the relay did send to who never reads");
    }
}
