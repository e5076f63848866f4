//! Two devices, and a relay between them.

use super::{Device, PATIENCE};
use crate::settings::Settings;
use afield_relay::hub::Access;
use afield_relay::server::{Relay, RelayOptions, RunningRelay};
use tempfile::TempDir;
use tokio::runtime::Runtime;

struct Two {
    folder: TempDir,
    runtime: Runtime,
    relay: Option<RunningRelay>,
    anna: Device,
    ben: Device,
}

/// Anna's journal, joined by Ben as a person does it: by typing its id.
fn two() -> Two {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let options = RelayOptions {
        access: Access::Open,
        listen: "127.0.0.1:0".parse().unwrap(),
        ..RelayOptions::new(folder.path().join("relay"))
    };
    let relay = runtime.block_on(Relay::start(options)).unwrap();
    let (mut anna, mut ben) =
        (Device::open(&folder.path().join("anna.db")), Device::open(&folder.path().join("ben.db")));
    let id = anna.app.journal.space.id();
    for (device, name) in [(&mut anna, "Anna"), (&mut ben, "Ben")] {
        device.press(&format!("6<Enter>{name}<Enter><Down><Enter>{name}'s laptop<Enter>"));
        device.press(&format!("<Down><Enter>{}<Enter>", relay.url()));
    }
    ben.press(&format!("<Down><Down><Enter>{id}<Enter>"));
    ben.shows("joined: its entries come with the next sync");
    anna.press("5c1");
    // The relay knows the journal once Anna has brought it there, and Ben is not refused it.
    runtime.block_on(anna.comes_to_show("in step"));
    ben.press("5c1");
    Two { folder, runtime, relay: Some(relay), anna, ben }
}

impl Two {
    fn anna_sees(&mut self, text: &str) {
        self.runtime.block_on(self.anna.comes_to_show(text));
    }

    fn ben_sees(&mut self, text: &str) {
        self.runtime.block_on(self.ben.comes_to_show(text));
    }

    fn sync(&self) {
        self.runtime.block_on(async {
            for device in [&self.anna, &self.ben, &self.anna] {
                tokio::time::timeout(PATIENCE, device.app.journal.replica.sync_now()).await.unwrap().unwrap();
            }
        });
    }
}

impl Drop for Two {
    fn drop(&mut self) {
        for device in [&self.anna, &self.ben] {
            device.app.journal.replica.disconnect();
        }
        if let Some(relay) = self.relay.take() {
            self.runtime.block_on(relay.shutdown());
        }
    }
}

#[test]
fn what_one_device_writes_appears_on_the_other_key_by_key_and_characters_merge() {
    let mut two = two();
    two.anna.press("nTrip");
    two.ben_sees("Trip");
    two.ben.press("<Enter>");
    two.ben.shows("Title       Trip");
    two.anna.press("<Enter>By train");
    two.ben_sees("By train");
    // Both write at the same time, one at each end.
    two.ben.press("<Home>Leave early. <End>");
    two.anna.press(" to Rome");
    two.ben_sees("Leave early. By train to Rome");
    two.anna_sees("Leave early. By train to Rome");
    // The cursor stayed behind what Anna wrote last.
    two.anna.press("!");
    two.ben_sees("Leave early. By train to Rome!");

    // Who did what is the same on both.
    two.anna.press("<F2>");
    two.anna.shows("Ben on Ben's laptop");
    two.anna.shows("Anna on Anna's laptop");
}

#[test]
fn moods_set_on_both_without_a_network_are_a_conflict_that_one_of_them_decides() {
    let mut two = two();
    two.anna.press("nTrip<Esc>");
    two.ben_sees("Trip");
    two.anna.press("5c1");
    two.ben.press("5c1");
    two.anna.shows("sync is off");
    two.anna.press("<Enter><Tab><Tab>2<Tab>tea<Enter><Esc>");
    two.ben.press("<Enter><Tab><Tab>5<Tab>tea<Enter><Esc>");
    two.anna.press("5c1");
    two.ben.press("5c1");
    two.sync();
    two.anna_sees("tea ×2");
    two.anna_sees("4 Conflicts (1)");
    two.ben_sees("4 Conflicts (1)");
    two.ben.press("4");
    for text in ["mood · ", "Anna on Anna's laptop", "Ben on Ben's laptop", "shown now", "not shown"] {
        two.ben.shows(text);
    }
    let before = two.ben.app.journal.entries.list().unwrap().complete().unwrap()[0].1.mood;
    two.ben.press("<Right><Enter>");
    two.ben.shows("Nothing is to be decided");
    two.anna.press("1");
    let bar = if before == Some(2) { "●●●●●" } else { "●●○○○" };
    two.anna_sees(bar);
    two.anna_sees("4 Conflicts  ");
}

#[test]
fn sync_tells_what_waits_what_went_wrong_and_that_it_is_in_step_again() {
    let mut two = two();
    two.anna.press("nTrip<Esc>");
    two.ben_sees("Trip");
    two.anna.press("5");
    two.anna_sees("in step");
    two.anna_sees("Waiting       nothing");
    let relay = two.relay.take().unwrap();
    let address = relay.address();
    two.runtime.block_on(relay.shutdown());
    two.anna_sees("offline");
    two.anna_sees("Last error");
    two.anna.press("1n5<Esc>5");
    two.anna_sees("Waiting       2 changes");
    let options =
        RelayOptions { access: Access::Open, listen: address, ..RelayOptions::new(two.folder.path().join("relay")) };
    two.relay = Some(two.runtime.block_on(Relay::start(options)).unwrap());
    two.anna.press("s");
    two.anna_sees("Waiting       nothing");
    two.anna_sees("State         in step");
    two.anna.hides("Last error");
}

#[test]
fn when_all_was_last_in_step_is_never_before_the_first_sync_and_that_moment_after_it() {
    let two = two();
    let mut other = Device::open(&two.folder.path().join("other.db"));
    other.press("5");
    other.shows("Last in step  never");
    let now = |device: &Device| device.app.journal.local(jiff::Timestamp::now().as_millisecond());
    let since = now(&other);
    let url = two.relay.as_ref().unwrap().url();
    other.press(&format!("6<Down><Down><Enter>{url}<Enter>5c"));
    two.runtime.block_on(other.comes_to_show("Last in step  20"));
    let screen = other.screen();
    let (_, moment) = screen.split_once("Last in step  ").unwrap();
    let shown = &moment[..since.len()];
    assert!((since.as_str()..=&now(&other)).contains(&shown), "{shown} is not since {since}");
    other.press("c");
    other.shows(&format!("Last in step  {shown}"));
    other.shows("sync is off");
}

#[test]
fn a_journal_that_is_opened_again_is_in_sync_or_not_as_it_was_left() {
    let mut two = two();
    two.anna.press("nTrip<Esc>");
    two.ben_sees("Trip");
    let (store, aside) = (two.folder.path().join("ben.db"), two.folder.path().join("aside.db"));
    two.ben = Device::open(&aside);
    two.anna.press("nHome again<Esc>");
    two.ben = Device::open(&store);
    // Nobody presses a key.
    two.ben_sees("Home again");
    two.ben_sees("in step");

    two.ben.press("5c1");
    two.ben = Device::open(&aside);
    two.ben = Device::open(&store);
    two.ben.shows("sync is off");
}

#[test]
fn with_a_schedule_sync_now_rests_a_moment_after_it_was_followed() {
    let mut two = two();
    two.sync();
    two.anna.press("5eevery 1 h<Enter>");
    two.anna.shows("Schedule      every 1 h");
    two.anna.press("1nTrip<Esc>5");
    two.anna_sees("to send");
    two.ben.hides("Trip");
    two.anna.press("s");
    two.ben_sees("Trip");
    two.anna_sees("Waiting       nothing");
    let Two { runtime, anna, .. } = &mut two;
    let rests = runtime.block_on(async {
        // Pressed again until it comes at once after one that was followed, however slow this machine is.
        let pressing = async {
            while !anna.screen().contains("not now: it was synced a moment ago") {
                anna.app.changed().await;
                anna.press("s");
            }
        };
        tokio::time::timeout(PATIENCE, pressing).await
    });
    assert!(rests.is_ok(), "{}", two.anna.screen());
    two.anna.shows("rests for");
}

#[test]
fn a_relay_that_is_none_keeps_nobody_from_writing() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("journal.db");
    let settings = Settings { relay: "http://example.org".into(), is_syncing: true, ..Settings::default() };
    settings.write(&Settings::path(&store)).unwrap();
    let mut device = Device::open(&store);
    device.shows("ws://");
    device.press("nTrip<Esc>");
    device.shows("Trip");
}

#[test]
fn a_journal_in_whose_trash_something_lies_is_not_left_when_another_is_joined() {
    let two = two();
    let folder = tempfile::tempdir().unwrap();
    let mut other = Device::open(&folder.path().join("other.db"));
    let before = other.app.journal.space.id();
    other.press("nTrip<Esc>d");
    other.press(&format!("6<Down><Down><Down><Down><Enter>{}<Enter>", two.anna.app.journal.space.id()));
    assert_eq!(other.app.journal.replica.spaces().unwrap().len(), 2);
    other.press(&format!("<Enter>{before}<Enter>1t"));
    other.shows("Trip");
}

#[test]
fn a_journal_that_was_joined_is_shown_again_and_the_empty_one_is_left() {
    let mut two = two();
    let id = two.anna.app.journal.space.id();
    assert_eq!(two.ben.app.journal.replica.spaces().unwrap().len(), 1);
    two.anna.press("nTrip<Esc>");
    two.ben_sees("Trip");
    let other = two.folder.path().join("other.db");
    two.ben = Device::open(&other);
    let mut ben = Device::open(&two.folder.path().join("ben.db"));
    assert_eq!(ben.app.journal.space.id(), id);
    ben.shows("Trip");
}
