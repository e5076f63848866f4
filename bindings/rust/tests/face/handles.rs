//! Handles go anywhere, and so does whatever waits for others: what does not compiles no more.

use afield::{
    AsJson, Collection, Conflict, CounterField, DeviceId, EditError, Entity, EntityId, JsonCollection, ListField,
    LiveQuery, LongTextField, MapField, Presence, PresenceWatch, Query, ReadConflict, ReadOnlyReplica, ReadOnlySpace,
    Relay, Replica, ReplicaOptions, Sandbox, Schedule, SearchBox, Space, SyncEvent, TextField, Watch, Write,
};
use futures_util::Stream;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const fn is_a_handle<T: Clone + Send + Sync + 'static>() {}
const fn is_a_part_of_a_handle<T: Clone + Send + Sync>() {}
const fn is_one_of_a_kind<T: Send + Sync + 'static>() {}
const fn is_a_stream<T: Stream + Send + Unpin + 'static>() {}
const fn goes_anywhere<T: Send>(_: &T) {}

/// Does not compile where the type is `Clone`: it says that it is not, and why.
macro_rules! is_not_clone {
    ($($type:ty),* $(,)?) => {
        $(const _: fn() = || {
            struct Cloned;
            trait Ambiguous<A> {
                fn ask() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + Clone> Ambiguous<Cloned> for T {}
            let _ = <$type as Ambiguous<_>>::ask;
        };)*
    };
}

// Whatever the type of the values, which need not go anywhere themselves.
type Anything = Rc<()>;

const _: () = {
    is_a_handle::<Replica>();
    is_a_handle::<ReplicaOptions>();
    is_a_handle::<Relay>();
    is_a_handle::<Schedule>();
    is_a_handle::<Space>();
    is_a_handle::<Collection<Anything>>();
    is_a_handle::<JsonCollection>();
    is_a_handle::<Entity>();
    is_a_handle::<Write>();
    is_a_handle::<Query<Anything>>();
    is_a_handle::<Query<AsJson>>();
    is_a_handle::<SearchBox<Anything>>();
    is_a_handle::<SearchBox<AsJson>>();
    is_a_handle::<Conflict>();
    is_a_handle::<ReadConflict>();
    is_a_handle::<ReadOnlyReplica>();
    is_a_handle::<ReadOnlySpace>();
    is_a_part_of_a_handle::<TextField<'static>>();
    is_a_part_of_a_handle::<LongTextField<'static>>();
    is_a_part_of_a_handle::<ListField<'static>>();
    is_a_part_of_a_handle::<MapField<'static>>();
    is_a_part_of_a_handle::<CounterField<'static>>();
    is_one_of_a_kind::<Watch>();
    is_one_of_a_kind::<LiveQuery<Anything>>();
    is_one_of_a_kind::<Presence>();
    is_one_of_a_kind::<PresenceWatch>();
    is_one_of_a_kind::<Sandbox>();
    is_one_of_a_kind::<EditError>();
    is_one_of_a_kind::<tokio::sync::broadcast::Receiver<SyncEvent>>();
    is_a_stream::<Watch>();
    is_a_stream::<LiveQuery<Anything>>();
    is_a_stream::<PresenceWatch>();
};

is_not_clone!(Watch, LiveQuery<Anything>, Presence, PresenceWatch, Sandbox);

/// Whatever waits, once for each `pub async fn`.
#[expect(dead_code, reason = "that it compiles is the promise: it is never called")]
fn whatever_waits_goes_anywhere(
    (replica, space, write, relay): (&Replica, &Space, &Write, Relay),
    (watch, live, presence): (&mut Watch, &mut LiveQuery<Anything>, &mut PresenceWatch),
) {
    goes_anywhere(&replica.sync_now());
    goes_anywhere(&replica.catch_up());
    goes_anywhere(&replica.sandbox(PathBuf::new()));
    goes_anywhere(&replica.sandbox_with(relay.clone(), PathBuf::new(), |_| ()));
    goes_anywhere(&space.fetch([EntityId::from_bytes([1; 16])]));
    goes_anywhere(&space.plan());
    goes_anywhere(&space.plan_with(relay.clone(), |_| ()));
    goes_anywhere(&write.wait(afield::Durability::Relay));
    goes_anywhere(&relay.clone().probe());
    goes_anywhere(&relay.probe_for(DeviceId::from_bytes([1; 16])));
    goes_anywhere(&watch.changed());
    goes_anywhere(&live.next_answer());
    goes_anywhere(&presence.changed());
}

/// How many functions of the sources below a folder are public and wait.
fn waiting_below(folder: &Path) -> usize {
    let of = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => waiting_below(&path),
        Some(extension) if extension == "rs" => count(&std::fs::read_to_string(&path).unwrap(), "pub async fn "),
        _ => 0,
    };
    std::fs::read_dir(folder).unwrap().map(|entry| of(entry.unwrap().path())).sum()
}

fn count(text: &str, start: &str) -> usize {
    text.lines().filter(|line| line.trim_start().starts_with(start)).count()
}

#[test]
fn everything_that_waits_is_held_to_go_anywhere() {
    let held = count(include_str!("handles.rs"), "goes_anywhere(&");
    let waiting = waiting_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert_eq!(held, waiting, "a function that is public and waits has to be added above");
}
