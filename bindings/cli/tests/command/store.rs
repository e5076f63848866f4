//! One store, and no network.

use crate::running::Person;
use serde_json::json;
use std::process::Stdio;

#[test]
fn init_makes_a_store_once_and_says_what_is_next() {
    let person = Person::new();
    let first = person.run(["init"]);
    assert!(first.ok().contains(&person.proposed("put notes")) && first.out.contains("\"Home\""), "{first:?}");
    let space = person.space();
    let again = person.run(["init", "--json"]).json();
    assert_eq!((&again["made"], again["space"]["id"].as_str()), (&json!(false), Some(space.as_str())));
    let other = Person::new();
    let named = other.run(["--space", "Work", "init", "--json"]).json();
    assert_eq!((&named["made"], &named["space"]["name"]), (&json!(true), &json!("Work")));
    assert_eq!(Person::joining(&space).space(), space);
    assert!(
        person.run(["--space", "Foo", "init"]).failed(3).contains(&person.proposed("space list")),
        "it has another name"
    );
    let joined = other.run(["init", "--join", &space]);
    assert!(joined.ok().starts_with("Joined the space"), "{joined:?}");
    assert!(other.run(["init", "--join", &space]).ok().contains("already"));
}

#[test]
fn a_space_joined_by_mistake_can_be_left_and_what_was_never_sent_only_with_a_word_more() {
    let person = Person::with_store();
    let home = person.space();
    let mistyped = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    person.run(["space", "join", mistyped]).ok();
    person.run(["list"]).failed(3);
    person.run(["space", "leave", mistyped]).ok();
    assert_eq!(person.space(), home, "the only one is the default again");
    person.run(["space", "leave", mistyped]).failed(3);
    person.run(["put", "notes", "title=Milk"]).ok();
    assert!(person.run(["space", "leave", &home]).failed(1).contains("--discard"));
    assert_eq!(person.titles(), ["Milk"]);
    let left = person.run(["space", "leave", &home, "--discard", "--json"]);
    let left: serde_json::Value = serde_json::from_str(left.ok()).unwrap();
    assert_eq!((&left["entities"], &left["unsent"], &left["is_erased"]), (&1.into(), &1.into(), &true.into()));
    person.run(["list"]).failed(3);
}

#[cfg(unix)]
#[test]
fn a_store_is_for_its_owner_alone_wherever_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let person = Person::new();
    let (folder, store) = (person.folder().join("data/afield"), person.folder().join("data/afield/store.db"));
    std::fs::set_permissions(person.folder(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran =
        |arguments: &[&str]| crate::running::afield().arg("--store").arg(&store).args(arguments).status().unwrap();
    assert!(ran(&["--quiet", "init"]).success() && ran(&["--quiet", "put", "notes", "title=Milk"]).success());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&store), mode(person.folder())), (0o700, 0o600, 0o755));
    let foreign = person.folder().join("folder.db");
    std::fs::create_dir(&foreign).unwrap();
    assert!(!crate::running::afield().arg("--store").arg(&foreign).arg("init").status().unwrap().success());
}

#[test]
fn put_prints_the_id_and_get_shows_what_was_put() {
    let person = Person::with_store();
    let ran = person.run(["put", "notes", "title=Milk", "done:=false", "body~=Hello wörld", "votes+=3", "a.b=c"]);
    let id = ran.ok();
    let plain = json!({"title": "Milk", "done": false, "body": "Hello wörld", "votes": 3, "a": {"b": "c"}});
    let shown = person.run(["get", "notes", id, "--json"]).json();
    assert_eq!((&shown["value"], &shown["id"], &shown["deleted"]), (&plain, &json!(id), &json!(false)));
    let tagged = person.run(["get", "notes", &id[30..], "--json", "--tagged"]).json();
    assert_eq!(
        (&tagged["value"]["body"], &tagged["value"]["votes"]),
        (&json!({"$text": "Hello wörld"}), &json!({"$counter": 3}))
    );
    let listed = person.run(["list", "notes", "--json"]).json();
    assert_eq!(listed, json!({"id": id, "value": plain}));
    assert_eq!(person.run(["list", "--json"]).json(), json!({"collection": "notes", "entities": 1}));
}

#[test]
fn fields_are_set_beside_others_and_a_json_object_sets_everything() {
    let person = Person::with_store();
    let ran = person.run(["put", "notes", r#"{"title": "Milk", "body": {"$text": "one"}, "votes": {"$counter": 1}}"#]);
    let id = ran.ok();
    let value = |arguments: &[&str]| {
        let ran = person.run(["put", "notes", id].iter().chain(arguments).chain(&["--json"]));
        (ran.json()["changed"] == true, person.run(["get", "notes", id, "--tagged", "--json"]).json()["value"].clone())
    };
    let (changed, fields) = value(&["body=two", "votes+=-3", "new=x"]);
    assert!(changed);
    assert_eq!(fields, json!({"title": "Milk", "body": {"$text": "two"}, "votes": {"$counter": -2}, "new": "x"}));
    assert_eq!(value(&["new=x"]), (false, fields), "what is so already is no change");
    assert_eq!(value(&[r#"{"title": "Bread"}"#]), (true, json!({"title": "Bread"})));
    person.run_with(["put", "notes", id, "-"], r#"{"title": "from stdin"}"#).ok();
    assert_eq!(person.titles(), ["from stdin"]);
}

#[test]
fn an_entity_may_be_made_with_an_id_of_ones_own() {
    let person = Person::with_store();
    let id = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    assert_eq!(person.run(["put", "notes", id, "title=Mine"]).ok(), id);
    assert_eq!(person.run(["get", "notes", "1d0e"]).ok(), r#"{"title":"Mine"}"#);
    assert!(person.run(["put", "notes", "abcd", "title=No"]).failed(3).contains(&person.proposed("list notes")));
}

#[test]
fn what_is_not_there_is_said_with_exit_code_3() {
    let person = Person::with_store();
    let ran = person.run(["put", "notes", "title=Milk"]);
    let id = ran.ok();
    person.run(["get", "notes", "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e"]).failed(3);
    assert!(person.run(["get", "tasks", id]).failed(3).contains(&person.proposed(&format!("get notes {id}"))));
    let error = person.run(["get", "notes", "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e", "--json"]).error(3);
    assert_eq!((&error["code"], &error["class"]), (&json!("not_found"), &json!("permanent")));
    person.run(["get", "notes", id]).ok();
}

#[test]
fn deleting_can_be_taken_back() {
    let person = Person::with_store();
    let ran = person.run(["put", "notes", "title=Milk"]);
    let id = ran.ok();
    assert!(person.run(["delete", "notes", &id[30..]]).ok().contains(&person.proposed(&format!("restore notes {id}"))));
    assert_eq!(person.titles(), [""; 0]);
    assert_eq!(person.run(["get", "notes", id, "--json"]).json()["deleted"], true);
    let deleted = person.run(["list", "notes", "--deleted", "--json"]);
    assert_eq!(deleted.json()["id"], *id);
    person.run(["restore", "notes", &id[30..]]).ok();
    assert_eq!(person.titles(), ["Milk"]);
    assert_eq!(person.run(["list", "notes", "--deleted", "--json"]).ok(), "");
}

#[test]
fn the_only_space_is_the_default_and_several_have_to_be_told_apart() {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Home"]).ok();
    let work = person.run(["space", "create", "Work", "--json"]).json();
    let error = person.run(["list", "notes"]);
    assert!(error.failed(3).contains("--space") && error.err.contains("Work"), "{error:?}");
    assert_eq!(person.run(["--space", "Work", "list", "notes"]).ok(), "");
    assert!(person.run(["--space", "Home", "list", "notes"]).ok().contains("Home"));
    person.run(["--space", work["id"].as_str().unwrap(), "put", "notes", "title=x"]).ok();
    person.run(["--space", "Other", "list"]).failed(3);
    assert_eq!(person.run(["space", "list", "--json"]).json_lines().len(), 2);
}

#[test]
fn list_shows_the_newest_where_it_is_limited() {
    let person = Person::with_store();
    for title in ["one", "two", "three"] {
        person.run(["put", "notes", &format!("title={title}")]).ok();
    }
    let ran = person.run(["list", "notes", "--limit", "2"]);
    let lines: Vec<_> = ran.ok().lines().map(|line| line.split_once('\t').unwrap().1).collect();
    assert_eq!(lines, [r#"{"title":"two"}"#, r#"{"title":"three"}"#]);
}

#[test]
fn piped_output_is_plain_and_quiet_leaves_results_only() {
    let person = Person::with_store();
    let ran = person.run(["--quiet", "put", "notes", "title=Milk"]);
    assert_eq!(ran.ok().len(), 36, "the id is a result");
    assert_eq!(person.run(["--quiet", "delete", "notes", ran.ok()]).ok(), "");
    for arguments in [&["status"][..], &["list"], &["space", "list"], &["get", "notes", ran.ok()]] {
        let ran = person.run(arguments);
        assert!(!ran.ok().contains('\u{1b}'), "{ran:?}");
    }
}

#[test]
fn status_shows_what_waits_and_invents_nothing() {
    let person = Person::with_store();
    let before = person.run(["status", "--json"]).json();
    assert_eq!(
        (&before["state"], &before["relay"], &before["last_synced_ms"]),
        (&json!("disabled"), &json!(null), &json!(null))
    );
    assert_eq!((&before["pending_changes"], &before["oldest_pending_age_ms"]), (&json!(0), &json!(null)));
    person.run(["put", "notes", "title=Milk"]).ok();
    let after = person.run(["status", "--json"]).json();
    assert_eq!((&after["pending_changes"], &after["spaces"][0]["pending_changes"]), (&json!(1), &json!(1)));
    assert!(after["oldest_pending_age_ms"].is_u64());
    assert!(person.run(["status"]).ok().contains("1 change"));
}

#[test]
fn fields_that_are_not_understood_are_a_mistake_of_usage_and_change_nothing() {
    let person = Person::with_store();
    let ran = person.run(["put", "notes", "title=Milk"]);
    let id = ran.ok();
    for wrong in [&["title"][..], &["a=b", "n:=x"], &["{"], &["title+=1"], &["title.x=1"]] {
        let ran = person.run(["put", "notes", id].iter().chain(wrong));
        assert!(ran.failed(2).contains("afield put --help"), "{wrong:?}: {ran:?}");
    }
    assert_eq!(person.run(["get", "notes", id]).ok(), r#"{"title":"Milk"}"#);
    person.run(["put", "notes", "[1]"]).failed(1);
}

#[test]
fn a_store_in_use_by_another_process_is_left_alone_and_its_holder_named() {
    let person = Person::with_store();
    let mut holder = person.command(["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let holding = person.folder().join("store.db-holder");
    while !holding.exists() {
        assert!(holder.try_wait().unwrap().is_none(), "the holder ended before it held anything");
        std::thread::yield_now();
    }
    let error = person.run(["--wait", "0", "--json", "put", "notes", "title=Milk"]).error(6);
    assert_eq!((&error["code"], &error["class"]), (&json!("store_unusable"), &json!("retry")));
    assert!(error["error"].as_str().unwrap().contains(&holder.id().to_string()), "{error}");
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    person.run(["--wait", "0", "put", "notes", "title=Milk"]).ok();
}

#[test]
fn a_file_that_is_no_store_is_left_as_it_is() {
    let person = Person::new();
    let text = "somebody's diary, which is not a store at all".repeat(200);
    std::fs::write(person.store(), &text).unwrap();
    for command in ["status", "init"] {
        assert!(person.run([command]).failed(6).contains("not an Afield store"));
    }
    assert_eq!(std::fs::read_to_string(person.store()).unwrap(), text);
}

#[test]
fn a_damaged_store_is_said_to_be_and_nothing_panics() {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let mut bytes = std::fs::read(person.store()).unwrap();
    assert!(bytes.len() > 8192, "there are pages to damage");
    bytes[4096..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(person.store(), bytes).unwrap();
    let ran = person.run(["list", "notes"]);
    assert!(ran.failed(6).contains("damaged") && ran.err.contains("put a backup of `afield"), "{ran:?}");
}

#[test]
fn an_entity_of_which_nothing_can_be_shown_yet_is_not_found_and_no_fault_of_the_store() {
    let person = Person::with_store();
    let id = person.run(["put", "notes", "title=Milk"]).ok().to_owned();
    let store = rusqlite::Connection::open(person.store()).unwrap();
    assert_eq!(store.execute("UPDATE changes SET state = 2", []).unwrap(), 1, "it waits for another change");
    drop(store);
    for command in [["get", "notes", &id], ["log", "notes", &id]] {
        let error = person.run(command.iter().chain(&["--json"])).error(3);
        assert_eq!(
            (error["code"].as_str(), error["class"].as_str()),
            (Some("not_found"), Some("retry")),
            "{command:?}"
        );
        assert!(person.run(command).failed(3).contains("sync"), "{command:?}");
    }
}

#[test]
fn spaces_have_names_and_no_two_the_same() {
    let person = Person::with_store();
    assert!(person.run(["space", "create", "Home"]).failed(2).contains("\"Home\""));
    for empty in ["", "  "] {
        person.run(["space", "create", empty]).failed(2);
    }
    let other = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    person.run(["space", "join", other, "--name", "Home"]).failed(2);
    person.run(["space", "join", other, "--name", ""]).failed(2);
    assert_eq!(person.run(["space", "list", "--json"]).json_lines().len(), 1, "nothing was made");
    let new = Person::new();
    new.run(["--space", "", "init"]).failed(2);
    assert!(!new.store().exists());
    person.run(["space", "join", other, "--name", "Work"]).ok();
    person.run(["space", "join", other, "--name", "Work"]).ok();
    person.run(["init", "--join", "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0f", "--space", "Work"]).failed(2);
    person.run(["space", "leave", "Work"]).ok();
    assert_eq!(person.run(["space", "list", "--json"]).json()["name"], "Home");
}

#[test]
fn the_end_of_a_deleted_entitys_id_is_said_to_be_deleted_and_how_to_take_it_back() {
    let person = Person::with_store();
    let ran = person.run(["put", "notes", "title=Milk"]);
    let (id, end) = (ran.ok(), &ran.ok()[30..]);
    assert!(person.run(["restore", "notes", end]).ok().contains("not deleted"));
    assert!(person.run(["restore", "notes", id]).ok().contains("not deleted"));
    person.run(["delete", "notes", end]).ok();
    let restore = person.proposed(&format!("restore notes {id}"));
    for command in [&["get", "notes", end][..], &["put", "notes", end, "a=b"], &["edit", "notes", end, "a=b"]] {
        let ran = person.run(command);
        assert!(ran.failed(3).contains("deleted") && ran.err.contains(&restore), "{ran:?}");
    }
    assert!(person.run(["delete", "notes", end]).failed(3).contains(&restore));
    let whole = person.run(["get", "notes", id]);
    assert_eq!(whole.ok(), r#"{"title":"Milk"}"#);
    assert!(whole.err.contains("deleted") && whole.err.contains(&restore), "{whole:?}");
    assert_eq!(person.run(["--quiet", "get", "notes", id]).err, "");
    assert_eq!(person.run(["restore", "notes", end]).ok(), "Restored.");
    assert_eq!(person.run(["get", "notes", id]).err, "");
}

#[test]
fn a_folder_or_an_empty_file_is_said_to_be_one_and_left_as_it_is() {
    let person = Person::new();
    std::fs::write(person.store(), "").unwrap();
    for command in [&["list"][..], &["put", "notes", "title=Milk"], &["status"], &["verify"]] {
        assert!(person.run(command).failed(3).contains("is empty"), "{command:?}");
        assert_eq!(std::fs::metadata(person.store()).unwrap().len(), 0, "{command:?}");
    }
    person.run(["init"]).ok();
    person.run(["list"]).ok();
    let folder = Person::new();
    std::fs::create_dir(folder.store()).unwrap();
    for command in [&["list"][..], &["init"], &["put", "notes", "title=Milk"]] {
        assert!(folder.run(command).failed(6).contains("is a folder"), "{command:?}");
    }
}

#[test]
fn a_backup_is_a_store_of_its_own_made_beside_whoever_writes_and_overwrites_nothing() {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let copy = person.folder().join("copy.db");
    let mut holder = person.command(["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let made = person.run(["backup", copy.to_str().unwrap(), "--json"]).json();
    assert_eq!(made["bytes"].as_u64(), Some(std::fs::metadata(&copy).unwrap().len()), "{made}");
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    let listed = crate::running::afield().arg("--store").arg(&copy).args(["list", "notes"]).output().unwrap();
    assert!(String::from_utf8(listed.stdout).unwrap().contains("Milk"));
    assert!(person.run(["backup", copy.to_str().unwrap()]).failed(1).contains("another name"));
    let nowhere = person.folder().join("nowhere/copy.db");
    assert!(person.run(["backup", nowhere.to_str().unwrap()]).failed(1).contains("folder"));
}

#[test]
fn an_undo_of_the_making_says_that_the_entity_is_deleted_by_it() {
    let person = Person::with_store();
    let id = person.run(["put", "notes", "title=Milk"]).ok().to_owned();
    person.run(["put", "notes", &id, "title=Bread"]).ok();
    assert_eq!(person.run(["undo", "notes", &id]).ok(), "Undone.");
    let undone = person.run(["undo", "notes", &id]);
    assert!(undone.ok().contains("deleted") && undone.out.contains(&person.proposed(&format!("redo notes {id}"))));
    assert_eq!(person.run(["redo", "notes", &id]).ok(), "Redone.");
    assert_eq!(person.titles(), ["Milk"]);
}

#[test]
fn a_collection_of_which_nothing_is_there_is_noted_where_it_is_set_up() {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let commands = |name: &'static str| {
        [
            vec!["index", "add", name, "title"],
            vec!["direction", name, "push"],
            vec!["conflicts", "strategy", name, "newest"],
        ]
    };
    for command in commands("notez") {
        let ran = person.run(&command);
        ran.ok();
        assert!(ran.err.contains("nothing is in notez yet; there is notes"), "{command:?}: {ran:?}");
        assert_eq!(person.run([&["--quiet"], command.as_slice()].concat()).err, "");
    }
    for command in commands("notes") {
        assert_eq!(person.run(&command).err, "", "the control");
    }
}
