//! SQLite's plans for the queries whose cost must not grow with the store.

use crate::{OpenOptions, Store, conflicts, guard, load, outbox};
use afield_core::EntityId;

/// The steps of SQLite's plan for a query.
fn plan(sql: &str) -> Vec<String> {
    let connection = Store::open_in_memory(&OpenOptions::default()).unwrap().into_connection().unwrap();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let parameters = statement.parameter_count();
    let nothing = rusqlite::params_from_iter(std::iter::repeat_n(rusqlite::types::Null, parameters));
    statement.query_map(nothing, |row| row.get("detail")).unwrap().map(Result::unwrap).collect()
}

fn holds(plan: &[String], step: &str) -> bool {
    plan.iter().any(|found| found.starts_with(step))
}

#[test]
fn the_outbox_is_read_along_its_own_index() {
    let plan = plan(outbox::READY);
    let step = "SEARCH changes USING INDEX changes_outbox (space_row=? AND change_row>?)";
    assert!(holds(&plan, step) || holds(&plan, &step.replace("change_row", "rowid")), "{plan:#?}");
    assert!(!holds(&plan, "USE TEMP B-TREE FOR ORDER BY") && !holds(&plan, "SCAN changes"), "{plan:#?}");
}

#[test]
fn what_is_covered_of_the_outbox_is_read_entity_by_entity_along_its_own_index() {
    let plan = plan(outbox::COVERED);
    assert!(
        holds(&plan, "SEARCH changes USING") && plan.iter().any(|step| step.contains("changes_outbox_covered")),
        "{plan:#?}"
    );
    assert!(!holds(&plan, "USE TEMP B-TREE FOR ORDER BY") && !holds(&plan, "SCAN changes"), "{plan:#?}");
}

#[test]
fn an_entity_is_loaded_without_reading_or_sorting_what_is_not_wanted() {
    let plan = plan(load::CHANGES);
    assert!(holds(&plan, "SEARCH changes USING INTEGER PRIMARY KEY"), "{plan:#?}");
    assert!(
        plan.iter().any(|step| step.contains("COVERING INDEX sqlite_autoindex_changes_1 (entity_row=?")),
        "{plan:#?}"
    );
    assert!(
        plan.iter().any(|step| step.contains("COVERING INDEX changes_unsettled (state=? AND entity_row=?)")),
        "{plan:#?}"
    );
    assert!(!holds(&plan, "SCAN changes"), "{plan:#?}");
}

#[test]
fn pending_and_waiting_read_only_what_is_not_settled() {
    for sql in [load::PENDING, load::WAITING, outbox::WAITING] {
        let plan = plan(sql);
        assert!(plan.iter().any(|step| step.contains("INDEX changes_unsettled (state=?")), "{plan:#?}");
        assert!(!holds(&plan, "SCAN changes"), "{plan:#?}");
    }
}

#[test]
fn conflicts_are_listed_without_going_through_the_entities_that_have_none() {
    for table in ["conflicts", "conflicts_stale"] {
        let of_all = plan(&format!("SELECT entity {}", conflicts::asked(table, None)));
        assert!(holds(&of_all, &format!("SCAN {table}")) && !holds(&of_all, "SCAN entities"), "{of_all:#?}");
        let of_one = plan(&format!("SELECT entity {}", conflicts::asked(table, Some(EntityId::from_bytes([1; 16])))));
        assert!(!of_one.iter().any(|step| step.starts_with("SCAN ") && !step.contains("CONSTANT")), "{of_one:#?}");
    }
}

#[test]
fn a_deletion_goes_through_no_others() {
    let plan = plan(guard::FORGET_COUNTED);
    assert!(holds(&plan, "SEARCH deletions USING INDEX deletions_counted"), "{plan:#?}");
}
