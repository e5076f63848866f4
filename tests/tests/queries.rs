//! Queries, live queries and full text over what comes from another device through a real relay.

use afield::Replica;
use afield_tests::processes::{Access, Program, Site};
use serde_json::json;

#[test]
fn what_another_device_writes_is_found_by_queries_by_full_text_and_by_live_queries() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let of_anna = anna.create_space("home").unwrap();
    let of_ben = ben.join_space(of_anna.id()).unwrap();
    let sync = || site.sync_all(&[&anna, &ben]);
    let (notes, copies) = (of_anna.collection::<()>("notes").unwrap(), of_ben.collection::<()>("notes").unwrap());
    copies.index("due").unwrap();
    copies.search_fields("body").unwrap();
    let mut live = copies.json().query("due < 10", ()).unwrap().order_by("due").watch().unwrap();
    assert_eq!(live.take().unwrap().unwrap().len(), 0);

    let id = notes.json().insert(&json!({"due": 5, "body": {"$text": "milk"}})).unwrap();
    sync();
    assert_eq!(live.take().unwrap().unwrap()[0].0, id);
    let found = |word: &str| copies.json().search(word).unwrap().all().unwrap().len();
    assert_eq!((found("milk"), found("bread")), (1, 0));

    // Both write on, apart from each other.
    [&anna, &ben].into_iter().for_each(Replica::disconnect);
    notes.entity(id).unwrap().text("body").splice(4, 0, " quagmire").unwrap();
    copies.entity(id).unwrap().text("body").splice(0, 0, "bread ").unwrap();
    assert_eq!((found("bread milk"), found("quagmire")), (1, 0));
    sync();
    assert_eq!(found("bread milk quagmire"), 1, "what merged");
    assert!(live.take().is_some());
    notes.json().edit(id, |note| note["due"] = 50.into()).unwrap();
    notes.delete(id).unwrap();
    sync();
    assert_eq!((found("milk"), live.take().unwrap().unwrap().len()), (0, 0));
    notes.restore(id).unwrap();
    sync();
    assert_eq!(found("milk"), 1);
    assert!(live.take().is_none(), "it is due later now");
    assert_eq!(copies.json().query("due = 50", ()).unwrap().ids().unwrap(), [id]);
}
