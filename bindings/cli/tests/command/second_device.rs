//! How a second device comes to the same space.

use crate::running::{Person, Relay};

const README: &str = include_str!("../../../../README.md");

#[test]
fn what_the_readme_says_of_a_second_device_gives_it_the_same_space() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let (first, second) = (Person::with_store(), Person::new());
    first.run(["put", "notes", "title=Milk"]).ok();
    first.run(["connect", &relay.url()]).ok();
    let line = README.lines().find(|line| line.starts_with("afield init --join ")).expect("README says how");
    let (line, _) = line.split_once('#').expect("with a remark");
    let line = line.replace("SPACE-ID", &first.space());
    second.run(line.split_whitespace().skip(1)).ok();
    second.run(["connect", &relay.url()]).ok();
    assert_eq!((second.titles(), second.space()), (vec!["Milk".to_owned()], first.space()));

    let alone = Person::with_store();
    alone.run(["connect", &relay.url()]).ok();
    assert!(alone.titles().is_empty(), "the control: without the id it is another space");
    let help = alone.run(["init", "--help"]);
    assert!(help.ok().contains("`afield space list` on the first one shows the id"), "{help:?}");
}

#[test]
fn who_joins_before_there_is_a_store_is_told_how_to_make_one_with_that_space_alone() {
    let (first, second) = (Person::with_store(), Person::new());
    let id = first.space();
    let ran = second.run(["space", "join", &id, "--name", "Our home"]);
    let proposed = format!("init --join {id} --space 'Our home'");
    let next = format!("make one that has it with `{}`", second.proposed(&proposed));
    assert!(ran.failed(3).contains(&next), "{ran:?}");
    let unnamed = second.run(["space", "join", &id]);
    assert!(unnamed.failed(3).contains(&format!(" init --join {id}`")), "{unnamed:?}");
    second.run(shell_words::split(&proposed).unwrap()).ok();
    assert_eq!(second.space(), id, "the only space: {id}");
    let listed = second.run(["space", "list", "--json"]).json();
    assert_eq!(listed["name"], "Our home");
}
