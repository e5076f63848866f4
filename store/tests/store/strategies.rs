//! How conflicts are decided, as it is stored.

use crate::help::*;
use afield_store::{Store, StoredStrategy, Unsent};

fn said(store: &Store) -> Vec<(String, String, String)> {
    let read = |one: StoredStrategy| (one.collection.as_str().to_owned(), one.field, one.strategy);
    store.strategies(space(1), None).unwrap().into_iter().map(read).collect()
}

#[test]
fn a_field_has_one_strategy_until_it_has_another_or_none_and_they_go_with_their_space() {
    let mut store = two_spaces();
    assert!(!store.has_strategies().unwrap());
    for (field, strategy) in [("", "newest"), ("title", "manual"), ("", "merge")] {
        let _ = store.set_strategy(space(1), &notes(), field, Some(strategy)).unwrap();
    }
    let _ = store.set_strategy(space(1), &"photos".parse().unwrap(), "", Some("newest")).unwrap();
    let row = |collection: &str, field: &str, strategy: &str| (collection.into(), field.into(), strategy.into());
    let all = [row("notes", "", "merge"), row("notes", "title", "manual"), row("photos", "", "newest")];
    assert_eq!(said(&store), all);
    assert_eq!(store.strategies(space(1), Some(&notes())).unwrap().len(), 2);
    assert_eq!(store.reader().strategies(space(1)).unwrap().len(), 3);
    assert_eq!(store.strategies(space(2), None).unwrap(), []);
    let _ = store.set_strategy(space(1), &notes(), "title", None).unwrap();
    assert_eq!(said(&store), [all[0].clone(), all[2].clone()]);
    let unknown = store.set_strategy(space(9), &notes(), "", Some("newest")).unwrap_err();
    assert_eq!(unknown.code(), "space.unknown");
    let _ = store.leave_space(space(1), Unsent::Keep).unwrap();
    assert!(!store.has_strategies().unwrap());
    sound(&store);
}
