//! What the face gives names to: errors that programs can tell apart, and how an edit is stored.

use afield::{Class, ConnectError, Relay, Replica, Synchronous};
use serde_json::json;

#[test]
fn errors_have_a_class_and_a_code_that_is_the_code_of_the_cause() {
    let replica = Replica::open_in_memory().unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let work = replica.create_space("Work").unwrap();
    let id = notes.json().insert(&json!({"title": "Milk"})).unwrap();
    let nobody = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e".parse().unwrap();
    let elsewhere = work.collection::<()>("notes").unwrap();
    let told: [(&str, Class, &str); 8] = [
        tell(notes.json().read(nobody).map_err(|error| (error.class(), error.code())), "entity.missing"),
        tell(elsewhere.delete(id).map_err(|error| (error.class(), error.code())), "entity.other_space"),
        tell(notes.json().insert(&json!(5)).map_err(|error| (error.class(), error.code())), "edit.not_an_object"),
        tell(
            notes.entity(id).unwrap().text("title").splice(0, 0, "x").map_err(|error| (error.class(), error.code())),
            "edit.operation",
        ),
        tell(work.collection::<()>("").map_err(|error| (error.class(), error.code())), "space.collection_name"),
        tell(work.import("[]".as_bytes(), |_| ()).map_err(|error| (error.class(), error.code())), "line.json"),
        tell(
            replica.connect(Relay::new("http://")).map_err(|error: ConnectError| (error.class(), error.code())),
            "connect.address",
        ),
        tell(Replica::open("/nowhere/notes.db").map_err(|error| (error.class(), error.code())), "open.folder"),
    ];
    for (code, class, wanted) in told {
        assert_eq!((code, class), (wanted, Class::Permanent));
    }
}

fn tell<T>(answer: Result<T, (Class, &'static str)>, wanted: &'static str) -> (&'static str, Class, &'static str) {
    let Err((class, code)) = answer else { panic!("{wanted} did not fail") };
    (code, class, wanted)
}

#[test]
fn the_status_shows_when_an_edit_counts_as_stored() {
    let folder = tempfile::tempdir().unwrap();
    for synchronous in [Synchronous::Full, Synchronous::Normal] {
        let replica = Replica::options().synchronous(synchronous).open(folder.path().join("notes.db")).unwrap();
        let status = replica.status().unwrap();
        assert_eq!(status.synchronous, Some(synchronous));
        let shown = serde_json::to_value(&status).unwrap()["synchronous"].clone();
        assert_eq!(shown, json!(format!("{synchronous:?}").to_lowercase()));
    }
}
