//! What two devices see of each other, through a relay.

use crate::done;
use afield::{Collection, Relay, Replica, Space};
use afield_relay::hub::Access;
use afield_relay::server::{self, RelayOptions, RunningRelay};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take that needs the other device: a hundred times what it needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two devices that have a space, and a relay between them.
struct Two {
    ada: Replica,
    ben: Replica,
    home: Space,
    bens_home: Space,
    relay: RunningRelay,
    _folder: TempDir,
}

impl Two {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = RelayOptions {
            access: Access::Open,
            listen: "127.0.0.1:0".parse().unwrap(),
            ..RelayOptions::new(folder.path().join("relay"))
        };
        let relay = server::Relay::start(options).await.unwrap();
        let (ada, ben) = (Replica::open_in_memory().unwrap(), Replica::open_in_memory().unwrap());
        let home = ada.create_space("Home").unwrap();
        let bens_home = ben.join_space(home.id()).unwrap();
        Self { ada, ben, home, bens_home, relay, _folder: folder }
    }

    /// A sync of one after the other, so that each has what the others wrote before.
    async fn sync(&self) {
        for replica in [&self.ada, &self.ben, &self.ada] {
            replica.connect(Relay::new(self.relay.url())).unwrap();
            tokio::time::timeout(PATIENCE, replica.sync_now()).await.unwrap().unwrap();
            replica.disconnect();
        }
    }

    fn collections(&self, name: &str) -> [Collection<()>; 2] {
        [&self.home, &self.bens_home].map(|space| space.collection(name).unwrap())
    }
}

mod presence {
    use super::{PATIENCE, Relay, Two};
    use afield::Peer;

    include!("blocks/presence.rs");

    /// Waits until the others show what is looked for.
    async fn until(watch: &mut afield::PresenceWatch, is_shown: impl Fn(&[Peer]) -> bool) -> Vec<Peer> {
        let shown = async {
            loop {
                let peers = watch.changed().await.expect("the replica is open");
                if is_shown(&peers) {
                    return peers;
                }
            }
        };
        tokio::time::timeout(PATIENCE, shown).await.expect("it is shown in time")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_name_and_a_cursor_reach_the_other_device_and_are_gone_once_nobody_shows_them() {
        let two = Two::start().await;
        let [notes, bens] = two.collections("notes");
        let id = notes.json().insert(&json!({"body": {"$text": "milk, bread"}})).unwrap();
        two.sync().await;
        for replica in [&two.ada, &two.ben] {
            replica.connect(Relay::new(two.relay.url())).unwrap();
        }
        let (bens_note, bens_presence) = (bens.entity(id).unwrap(), two.bens_home.presence());
        let mut watch = bens_presence.watch();
        let (home, note) = (two.home.clone(), notes.entity(id).unwrap());
        let adas = tokio::spawn(async move { together(&home, &note).await.map_err(|error| error.to_string()) });
        let is_there = |peers: &[Peer]| peers.len() == 2;
        let peers = until(&mut watch, is_there).await;
        let of = |entity| peers.iter().find(|peer: &&Peer| peer.entity == entity).unwrap();
        assert_eq!((&of(None).state, of(None).device), (&json!({"name": "Ada"}), two.ada.device()));
        let at = serde_json::from_value(of(Some(id)).state["at"].clone()).unwrap();
        let body = bens_note.text("body");
        assert_eq!(body.position_of(&at).unwrap(), Some(5));
        body.splice(0, 0, "tea, ").unwrap();
        assert_eq!(body.position_of(&at).unwrap(), Some(10), "a place that moves with what others type");

        // What Ada's loop does with a cursor of Ben's fails her example where it cannot be read.
        let cursor = bens_note.presence();
        cursor.set(&json!({"at": "no cursor"})).unwrap();
        let ended = tokio::time::timeout(PATIENCE, adas).await.unwrap().unwrap();
        assert!(ended.is_err(), "her loop has seen Ben in her note");
        until(&mut watch, <[Peer]>::is_empty).await;
    }
}

mod schedule {
    use super::{PATIENCE, Relay, Two};

    include!("blocks/schedule.rs");

    #[tokio::test(flavor = "multi_thread")]
    async fn a_space_with_a_schedule_waits_for_it_and_what_the_app_knows_starts_a_sync() {
        let two = Two::start().await;
        plan(&two.ada, &two.home).unwrap();
        let schedule = two.home.schedule().unwrap().expect("it was set");
        // A Saturday in Berlin's winter; the next run is on Monday.
        let saturday_ms = 1_767_434_400_000;
        assert_eq!(schedule.next_after(saturday_ms), Some(1_767_594_600_000));
        let push = || two.ada.request(Trigger::push("notification 18")).unwrap();
        assert!(!push().is_start(), "sync is off: {:?}", push());
        let explained = two.ada.explain().unwrap();
        assert!(explained[0].to_string().contains("30 7 * * MON-FRI"), "{}", explained[0]);

        two.ada.connect(Relay::new(two.relay.url())).unwrap();
        tokio::time::timeout(PATIENCE, two.ada.sync_now()).await.unwrap().unwrap();
        let notes = two.home.collection::<()>("notes").unwrap();
        let id = notes.json().insert(&serde_json::json!({"title": "Milk"})).unwrap();
        let write = notes.json().edit(id, |note| note["title"] = "Bread".into()).unwrap();
        assert_eq!(two.ada.status().unwrap().pending_changes, 2, "they wait for the schedule");
        plan(&two.ada, &two.home).unwrap();
        tokio::time::timeout(PATIENCE, write.wait(afield::Durability::Relay)).await.unwrap().unwrap();
    }
}

mod direction {
    use super::{Two, done};
    use serde_json::json;

    include!("blocks/direction.rs");

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_tried_out_in_prices_stays_takings_only_go_out_and_of_drafts_not_even_an_id_leaves() {
        let two = Two::start().await;
        let [prices, bens_prices] = two.collections("prices");
        let [takings, bens_takings] = two.collections("takings");
        let [drafts, bens_drafts] = two.collections("drafts");
        let price = bens_prices.json().insert(&json!({"price": 3})).unwrap();
        done(direct(&two.home));
        let taken = takings.json().insert(&json!({"sum": 10})).unwrap();
        let draft = drafts.json().insert(&json!({"title": "no"})).unwrap();
        two.sync().await;
        prices.json().edit(price, |value| value["price"] = 2.into()).unwrap();
        bens_takings.json().edit(taken, |value| value["sum"] = 0.into()).unwrap();
        let bens_draft = bens_drafts.json().insert(&json!({"title": "yes"})).unwrap();
        two.sync().await;
        let status = two.ada.status().unwrap();
        assert_eq!((status.pending_changes, status.spaces[0].held_back), (0, 2), "a price and a draft");
        let of = |collection: &afield::Collection<()>, id| collection.json().read(id).unwrap();
        assert_eq!((of(&prices, price), of(&bens_prices, price)), (json!({"price": 2}), json!({"price": 3})));
        assert_eq!((of(&takings, taken), of(&bens_takings, taken)), (json!({"sum": 10}), json!({"sum": 0})));
        assert_eq!((drafts.ids().unwrap(), bens_drafts.ids().unwrap()), (vec![draft], vec![bens_draft]));
        two.home.set_direction("prices", Direction::Both).unwrap();
        two.sync().await;
        assert_eq!(of(&bens_prices, price), json!({"price": 2}), "what is held back is sent once it may go");
    }
}

mod guard {
    use super::{Two, done};
    use serde_json::json;
    use std::collections::BTreeSet;

    include!("blocks/guard.rs");

    #[tokio::test(flavor = "multi_thread")]
    async fn more_deletions_than_are_allowed_wait_until_their_list_is_confirmed() {
        let two = Two::start().await;
        let [notes, bens] = two.collections("notes");
        let ids: Vec<_> = (0..60).map(|of| notes.json().insert(&json!({"number": of})).unwrap()).collect();
        done(ask(&two.home));
        two.sync().await;
        assert_eq!(bens.ids().unwrap().len(), 60);
        for id in &ids[..55] {
            notes.delete(*id).unwrap();
        }
        two.ada.connect(afield::Relay::new(two.relay.url())).unwrap();
        let refused = two.ada.sync_now().await.unwrap_err();
        assert!(refused.to_string().contains("55 deletions"), "{refused}");
        let held = two.home.held().unwrap();
        assert_eq!((held.list.len(), held.list[0].device), (55, Some(two.ada.device())), "which, and who deleted them");
        done(ask(&two.home));
        assert!(two.home.held().unwrap().list.is_empty());
        two.ada.disconnect();
        two.sync().await;
        let left: BTreeSet<_> = bens.ids().unwrap().into_iter().collect();
        assert_eq!(left, ids[55..].iter().copied().collect(), "they go with the next sync");
    }
}
