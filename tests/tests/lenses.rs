//! Three versions of an application that edit one entity at the same time, through a real relay.

use afield::{Collection, EditError, Lens, LensError, Lenses, Replica, Text, model};
use afield_tests::processes::{Access, Program, Site};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct PersonOfVersion1 {
    title: String,
    about: Text,
    phone: Option<String>,
    done: bool,
}

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct PersonOfVersion2 {
    name: String,
    about: Text,
    phones: Vec<String>,
    done: bool,
}

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Person {
    name: String,
    about: Text,
    phones: Vec<String>,
    state: String,
    mood: i64,
}

fn second() -> Lenses {
    Lenses::oldest(1).version(2, [Lens::rename("title", "name"), Lens::wrap("phone", "phones")]).unwrap()
}

fn third() -> Lenses {
    let state = Lens::convert("done", "state", [(false, "open"), (true, "closed")], false, "open");
    second().version(3, [state, Lens::add("mood", 3)]).unwrap()
}

/// One device for each version.
struct Three {
    site: Site,
    replicas: Vec<Replica>,
    first: Collection<PersonOfVersion1>,
    second: Collection<PersonOfVersion2>,
    third: Collection<Person>,
}

fn three() -> Three {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let replicas: Vec<_> = ["one.db", "two.db", "three.db"].map(|name| site.replica(name)).into();
    let space = replicas[0].create_space("home").unwrap().id();
    let joined = |at: usize| replicas[at].join_space(space).unwrap();
    Three {
        first: joined(0).collection("people").unwrap(),
        second: joined(1).collection("people").unwrap().through(second()),
        third: joined(2).collection("people").unwrap().through(third()),
        replicas,
        site,
    }
}

impl Three {
    fn sync(&self) {
        self.site.sync_all(&self.replicas.iter().collect::<Vec<_>>());
    }

    fn go_offline(&self) {
        self.replicas.iter().for_each(Replica::disconnect);
    }
}

#[test]
fn three_versions_edit_one_entity_at_the_same_time_and_lose_nothing() {
    let three = three();
    let ada = PersonOfVersion1 { title: "Ada".into(), about: "likes tea".into(), phone: Some("1".into()), done: false };
    let id = three.first.insert(&ada).unwrap();
    three.sync();
    three.go_offline();
    let _ = three.first.edit(id, |person| person.about.splice(0, 5, "drinks")).unwrap();
    let _ = three.second.edit(id, |person| person.phones.push("2".into())).unwrap();
    let _ = three
        .third
        .edit(id, |person| {
            person.name = "Ada L.".into();
            person.about.push_str(" and maths");
            person.state = "waiting".into();
            person.mood = 5;
        })
        .unwrap();
    three.sync();

    let about = "drinks tea and maths";
    let newest = three.third.read(id).unwrap();
    let phones = vec!["1".to_owned(), "2".to_owned()];
    let expected =
        Person { name: "Ada L.".into(), about: about.into(), phones: phones.clone(), state: "waiting".into(), mood: 5 };
    assert_eq!(newest, expected);
    let middle = three.second.read(id).unwrap();
    assert_eq!(middle, PersonOfVersion2 { name: "Ada L.".into(), about: about.into(), phones, done: false });
    let oldest = three.first.read(id).unwrap();
    let expected =
        PersonOfVersion1 { title: "Ada L.".into(), about: about.into(), phone: Some("1".into()), done: false };
    assert_eq!(oldest, expected);

    // Whoever writes the older field anew is believed.
    let _ = three.first.edit(id, |person| person.done = true).unwrap();
    three.sync();
    assert_eq!(three.third.read(id).unwrap().state, "closed");
}

#[test]
fn an_entity_of_the_newest_version_is_whole_to_the_oldest() {
    let three = three();
    let id = three.third.json().insert(&json!({ "name": "Bea", "phones": ["7", "8"], "state": "closed" })).unwrap();
    three.sync();
    let expected =
        PersonOfVersion1 { title: "Bea".into(), about: Text::default(), phone: Some("7".into()), done: true };
    assert_eq!(three.first.read(id).unwrap(), expected);
    let shown = json!({ "name": "Bea", "phones": ["7", "8"], "state": "closed", "mood": 3 });
    assert_eq!(three.third.json().read(id).unwrap(), shown);
    assert_eq!(three.third.json().list().unwrap(), vec![(id, shown)]);
}

#[test]
fn a_field_that_an_older_version_keeps_is_refused_and_nothing_is_written() {
    let three = three();
    let id = three.third.insert(&Person { name: "Bea".into(), ..Person::default() }).unwrap();
    let refused = three.third.json().edit(id, |person| person["title"] = json!("Dr")).unwrap_err();
    assert!(matches!(refused, EditError::Lens(LensError::Hidden { ref field }) if field == "title"), "{refused:?}");
    assert_eq!(refused.code(), "edit.lens");
    assert_eq!(three.third.read(id).unwrap().name, "Bea");
}

#[test]
fn a_transaction_reads_and_writes_through_the_lenses() {
    let three = three();
    let replica = &three.replicas[2];
    let (id, _write) = replica
        .transaction(|tx| {
            let id = tx.insert(&three.third, &Person { name: "Cy".into(), ..Person::default() })?;
            tx.edit(&three.third, id, |person| person.phones = vec!["5".into()])?;
            assert_eq!(tx.read(&three.third, id)?.phones, ["5"]);
            tx.edit_json(&three.third.json(), id, |person| person["mood"] = json!(4))?;
            Ok(id)
        })
        .unwrap();
    let raw = three.third.entity(id).unwrap().raw(|document| {
        use afield::automerge::{ROOT, ReadDoc};
        document.keys(ROOT).collect::<Vec<_>>()
    });
    let raw = raw.unwrap();
    assert!(raw.contains(&"title".to_owned()) && raw.contains(&"phone".to_owned()), "{raw:?}");
    assert!(!raw.contains(&"name".to_owned()), "{raw:?}");
}

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct WallOfVersion1 {
    name: String,
    colour: String,
    sheen: Option<String>,
}

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Wall {
    name: String,
}

#[test]
fn a_field_that_a_newer_version_removed_is_kept_for_the_older_one_and_shown_to_no_other() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let (old, new) = (site.replica("old.db"), site.replica("new.db"));
    let home = old.create_space("home").unwrap();
    let lenses = Lenses::oldest(1).version(2, [Lens::remove("colour").or_default("white"), Lens::remove("sheen")]);
    let first: Collection<WallOfVersion1> = home.collection("walls").unwrap();
    let second: Collection<Wall> =
        new.join_space(home.id()).unwrap().collection("walls").unwrap().through(lenses.unwrap());
    let wall = |name: &str, colour: &str, sheen: Option<&str>| WallOfVersion1 {
        name: name.into(),
        colour: colour.into(),
        sheen: sheen.map(Into::into),
    };

    // From the older version: what the newer one writes leaves what it does not see as it is, also beside an edit of that.
    let id = first.insert(&wall("North", "red", Some("matt"))).unwrap();
    site.sync_all(&[&old, &new]);
    assert_eq!(second.json().read(id).unwrap(), json!({ "name": "North" }));
    [&old, &new].into_iter().for_each(Replica::disconnect);
    let _ = second.edit(id, |wall| wall.name = "South".into()).unwrap();
    let _ = first.edit(id, |wall| wall.colour = "blue".into()).unwrap();
    site.sync_all(&[&old, &new]);
    assert_eq!(first.read(id).unwrap(), wall("South", "blue", Some("matt")));
    assert_eq!(second.read(id).unwrap(), Wall { name: "South".into() });

    // From the newer one: the older reads what stands for the field, or nothing where nothing does, and may write both.
    let id = second.insert(&Wall { name: "Door".into() }).unwrap();
    site.sync_all(&[&new, &old]);
    assert_eq!(first.read(id).unwrap(), wall("Door", "white", None));
    let _ = first.edit(id, |wall| (wall.colour, wall.sheen) = ("grey".into(), Some("silk".into()))).unwrap();
    site.sync_all(&[&old, &new]);
    assert_eq!(second.json().read(id).unwrap(), json!({ "name": "Door" }));
    let _ = second.edit(id, |wall| wall.name = "Gate".into()).unwrap();
    site.sync_all(&[&new, &old]);
    assert_eq!(first.read(id).unwrap(), wall("Gate", "grey", Some("silk")));

    for field in ["colour", "sheen"] {
        let refused = second.json().edit(id, |wall| wall[field] = json!("pink")).unwrap_err();
        assert!(
            matches!(refused, EditError::Lens(LensError::Hidden { field: ref told }) if told == field),
            "{refused:?}"
        );
    }
}

/// What somebody does to a person, in the shape of whatever version they have.
#[derive(Debug, Clone)]
enum Act {
    Name(usize, String),
    About(usize, String),
    Phones(usize, Vec<String>),
    Done(usize, bool),
    State(String),
    Mood(i64),
    Sync,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let device = 0..3_usize;
    let act = prop_oneof![
        (device.clone(), "[a-c]{1,3}").prop_map(|(device, name)| Act::Name(device, name)),
        (device.clone(), "[a-c]{1,3}").prop_map(|(device, text)| Act::About(device, text)),
        (device.clone(), prop::collection::vec("[0-9]", 0..3)).prop_map(|(device, phones)| Act::Phones(device, phones)),
        (0..2_usize, any::<bool>()).prop_map(|(device, done)| Act::Done(device, done)),
        prop::sample::select(vec!["open", "closed", "waiting"]).prop_map(|state| Act::State(state.into())),
        (0..9_i64).prop_map(Act::Mood),
        Just(Act::Sync),
    ];
    prop::collection::vec(act, 1..12)
}

impl Three {
    fn act(&self, id: afield::EntityId, act: &Act) {
        let Self { first, second, third, .. } = self;
        let write = match act.clone() {
            Act::Name(0, name) => first.edit(id, |person| person.title = name),
            Act::Name(1, name) => second.edit(id, |person| person.name = name),
            Act::Name(_, name) => third.edit(id, |person| person.name = name),
            Act::About(0, text) => first.edit(id, |person| person.about.push_str(&text)),
            Act::About(1, text) => second.edit(id, |person| person.about.push_str(&text)),
            Act::About(_, text) => third.edit(id, |person| person.about.push_str(&text)),
            Act::Phones(0, phones) => first.edit(id, |person| person.phone = phones.into_iter().next()),
            Act::Phones(1, phones) => second.edit(id, |person| person.phones = phones),
            Act::Phones(_, phones) => third.edit(id, |person| person.phones = phones),
            Act::Done(0, done) => first.edit(id, |person| person.done = done),
            Act::Done(_, done) => second.edit(id, |person| person.done = done),
            Act::State(state) => third.edit(id, |person| person.state = state),
            Act::Mood(mood) => third.edit(id, |person| person.mood = mood),
            Act::Sync => return self.sync(),
        };
        let _ = write.unwrap();
    }
}

#[test]
fn whatever_versions_do_to_an_entity_each_reads_it_and_all_hold_the_same() {
    let three = three();
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let played = runner.run(&acts(), |acts| {
        let id = three.first.insert(&PersonOfVersion1 { title: "x".into(), ..Default::default() }).unwrap();
        three.sync();
        three.go_offline();
        acts.iter().for_each(|act| three.act(id, act));
        three.sync();
        let documents: Vec<Json> = three.documents(id);
        prop_assert_eq!(&documents[0], &documents[1]);
        prop_assert_eq!(&documents[0], &documents[2]);
        let (oldest, newest) = (three.first.read(id).unwrap(), three.third.read(id).unwrap());
        prop_assert_eq!(&oldest.title, &newest.name);
        prop_assert_eq!(oldest.about.as_str(), newest.about.as_str());
        prop_assert_eq!(oldest.done, newest.state == "closed");
        prop_assert_eq!(three.second.read(id).unwrap().phones, newest.phones);
        Ok(())
    });
    played.unwrap_or_else(|error| panic!("{error}"));
}

impl Three {
    /// What every device holds of the entity, in the shape of the documents.
    fn documents(&self, id: afield::EntityId) -> Vec<Json> {
        let space = self.first.space();
        let collection = |replica: &Replica| replica.space(space).unwrap().collection::<()>("people").unwrap();
        self.replicas.iter().map(|replica| collection(replica).json().read_tagged(id).unwrap()).collect()
    }
}
