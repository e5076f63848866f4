//! Typed edits on two devices that sync through a real relay, with two versions of an application.

use afield::{Choice, Collection, Replica, Space, Text, model};
use afield_tests::processes::{Access, Program, Site, said};
use serde_json::json;

/// What the first version of an application knows.
mod old {
    use super::*;

    #[model]
    #[derive(Debug, Clone, Default, PartialEq)]
    pub(super) struct Note {
        pub(super) title: String,
        pub(super) meta: Meta,
        pub(super) state: State,
        pub(super) steps: Vec<Step>,
    }

    #[model]
    #[derive(Debug, Clone, Default, PartialEq)]
    pub(super) struct Meta {
        pub(super) colour: String,
    }

    #[model]
    #[derive(Debug, Clone, Default, PartialEq)]
    pub(super) enum State {
        #[default]
        Open,
        Done {
            by: String,
        },
    }

    #[model]
    #[derive(Debug, Clone, Default, PartialEq)]
    pub(super) struct Step {
        #[model(key)]
        pub(super) id: String,
        pub(super) name: String,
    }
}

/// What a later version knows besides.
mod new {
    use super::*;

    #[model]
    #[derive(Debug, Clone, Default, PartialEq)]
    pub(super) struct Note {
        pub(super) title: String,
        pub(super) subtitle: Option<String>,
        pub(super) meta: Meta,
        pub(super) state: State,
        pub(super) steps: Vec<Step>,
    }

    #[model]
    #[derive(Debug, Clone, Default, PartialEq)]
    pub(super) struct Meta {
        pub(super) colour: String,
        pub(super) icon: Option<String>,
    }

    #[model]
    #[derive(Debug, Clone, Default, PartialEq)]
    pub(super) enum State {
        #[default]
        Open,
        Done {
            by: String,
            remark: Option<String>,
        },
    }

    #[model]
    #[derive(Debug, Clone, Default, PartialEq)]
    pub(super) struct Step {
        #[model(key)]
        pub(super) id: String,
        pub(super) name: String,
        pub(super) minutes: Option<u32>,
    }
}

struct Two {
    site: Site,
    anna: Replica,
    ben: Replica,
    of_anna: Space,
    of_ben: Space,
}

fn two() -> Two {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let of_anna = anna.create_space("home").unwrap();
    let of_ben = ben.join_space(of_anna.id()).unwrap();
    Two { site, anna, ben, of_anna, of_ben }
}

impl Two {
    fn sync(&self) {
        self.site.sync_all(&[&self.anna, &self.ben]);
    }

    fn go_offline(&self) {
        [&self.anna, &self.ben].into_iter().for_each(Replica::disconnect);
    }
}

#[test]
fn a_title_edit_beside_a_concurrent_new_field_keeps_both() {
    let two = two();
    let notes: Collection<old::Note> = two.of_anna.collection("notes").unwrap();
    let copies: Collection<new::Note> = two.of_ben.collection("notes").unwrap();
    let id = notes.insert(&old::Note { title: "plan".into(), ..old::Note::default() }).unwrap();
    two.sync();
    two.go_offline();
    let _ = notes.edit(id, |note| note.title = "plans".into()).unwrap();
    let _ = copies.edit(id, |note| note.subtitle = Some("for summer".into())).unwrap();
    two.sync();
    assert_eq!(notes.read(id).unwrap().title, "plans");
    let copy = copies.read(id).unwrap();
    assert_eq!((copy.title.as_str(), copy.subtitle.as_deref()), ("plans", Some("for summer")));
    assert_eq!(notes.json().read(id).unwrap(), copies.json().read(id).unwrap());
}

#[test]
fn what_an_old_version_does_not_know_survives_its_edits_at_every_depth() {
    let two = two();
    let notes: Collection<old::Note> = two.of_anna.collection("notes").unwrap();
    let copies: Collection<new::Note> = two.of_ben.collection("notes").unwrap();
    let step = |id: &str, minutes| new::Step { id: id.into(), name: id.into(), minutes: Some(minutes) };
    let written = new::Note {
        title: "bread".into(),
        subtitle: Some("with seeds".into()),
        meta: new::Meta { colour: "brown".into(), icon: Some("loaf".into()) },
        state: new::State::Done { by: "ben".into(), remark: Some("too dark".into()) },
        steps: vec![step("knead", 10), step("bake", 45)],
    };
    let id = copies.insert(&written).unwrap();
    two.sync();
    let _ = notes
        .edit(id, |note| {
            note.title = "rye bread".into();
            note.meta.colour = "dark".into();
            note.state = old::State::Done { by: "anna".into() };
            note.steps.insert(0, old::Step { id: "mix".into(), name: "mix".into() });
            note.steps[2].name = "bake long".into();
        })
        .unwrap();
    two.sync();
    let bake = new::Step { name: "bake long".into(), ..step("bake", 45) };
    let mix = new::Step { id: "mix".into(), name: "mix".into(), minutes: None };
    let expected = new::Note {
        title: "rye bread".into(),
        meta: new::Meta { colour: "dark".into(), icon: Some("loaf".into()) },
        state: new::State::Done { by: "anna".into(), remark: Some("too dark".into()) },
        steps: vec![mix, step("knead", 10), bake],
        ..written
    };
    assert_eq!(copies.read(id).unwrap(), expected);
}

#[test]
fn texts_beyond_ascii_merge_by_their_characters() {
    #[model]
    #[derive(Debug, Clone, Default, PartialEq)]
    struct Page {
        body: Text,
    }
    let two = two();
    let pages: Collection<Page> = two.of_anna.collection("pages").unwrap();
    let copies: Collection<Page> = two.of_ben.collection("pages").unwrap();
    let id = pages.insert(&Page { body: "Straße 日本 🦀 naïve".into() }).unwrap();
    two.sync();
    two.go_offline();
    let _ = pages.edit(id, |page| page.body.splice(10, 1, "🐙🐙")).unwrap();
    let _ = copies.edit(id, |page| page.body.splice(7, 2, "大阪")).unwrap();
    let _ = copies.entity(id).unwrap().text("body").splice(17, 0, "ḯ").unwrap();
    two.sync();
    let (text, copy) = (pages.read(id).unwrap().body, copies.read(id).unwrap().body);
    assert_eq!(text.as_str(), "Straße 大阪 🐙🐙 naïveḯ");
    assert_eq!(copy, text);
}

#[test]
fn two_devices_that_create_the_same_text_end_with_one_that_holds_both() {
    let two = two();
    let notes: Collection<()> = two.of_anna.collection("notes").unwrap();
    let copies: Collection<()> = two.of_ben.collection("notes").unwrap();
    let id = notes.json().insert(&json!({ "title": "list" })).unwrap();
    two.sync();
    two.go_offline();
    let _ = notes.entity(id).unwrap().text("body").splice(0, 0, "from anna ").unwrap();
    let _ = copies.entity(id).unwrap().text("body").splice(0, 0, "from ben ").unwrap();
    two.sync();
    let text = notes.entity(id).unwrap().text("body").read().unwrap();
    assert!(["from anna from ben ", "from ben from anna "].contains(&text.as_str()), "{text}");
    assert_eq!(copies.entity(id).unwrap().text("body").read().unwrap(), text);
    let hidden = notes.entity(id).unwrap().raw(|document| {
        use afield::automerge::{ROOT, ReadDoc};
        document.get_all(ROOT, "body").map(|values| values.len())
    });
    assert_eq!(hidden.unwrap().unwrap(), 1, "one text, and none behind it");
}

#[test]
fn of_two_variants_chosen_at_once_both_are_listed_and_either_can_be_kept() {
    let two = two();
    let quotations: Collection<Quotation> = two.of_anna.collection("quotations").unwrap();
    let copies: Collection<Quotation> = two.of_ben.collection("quotations").unwrap();
    for kept in [0, 1] {
        let id = quotations.insert(&Quotation { text: "Fear is the mind-killer".into(), source: None }).unwrap();
        two.sync();
        two.go_offline();
        let _ =
            quotations.edit(id, |quotation| quotation.source = Some(Source::Book { title: "Dune".into() })).unwrap();
        let _ = copies.edit(id, |quotation| quotation.source = Some(Source::Web("example.org".into()))).unwrap();
        two.sync();
        let read = quotations.read(id).unwrap();
        assert_eq!(read, copies.read(id).unwrap());
        let listed = copies.conflicts().unwrap();
        assert_eq!(said(&listed), said(&quotations.conflicts().unwrap()));
        let [conflict] = listed.as_slice() else { panic!("{listed:?}") };
        let mut values: Vec<_> = conflict.values.iter().map(|side| side.value.clone().unwrap().to_json()).collect();
        assert_eq!(values[0], quotations.json().read(id).unwrap()["source"]);
        let expected = values[kept].clone();
        values.sort_by_key(ToString::to_string);
        assert_eq!(values, [json!({ "Book": { "title": "Dune" } }), json!({ "Web": "example.org" })]);

        let _ = conflict.resolve(&Choice::Keep(kept)).unwrap();
        two.sync();
        assert!(quotations.conflicts().unwrap().is_empty() && copies.conflicts().unwrap().is_empty());
        assert_eq!(quotations.json().read(id).unwrap()["source"], expected);
        // Within the variant that was kept edits merge as ever.
        let _ = quotations.edit(id, Quotation::correct).unwrap();
        two.sync();
        assert_eq!(copies.read(id).unwrap(), quotations.read(id).unwrap());
        assert!(copies.conflicts().unwrap().is_empty());
    }
}

/// What somebody said, and where that is from.
#[model]
#[derive(Debug, Clone, PartialEq)]
struct Quotation {
    text: String,
    source: Option<Source>,
}

#[model]
#[derive(Debug, Clone, PartialEq)]
enum Source {
    Book { title: String },
    Web(String),
}

impl Quotation {
    fn correct(&mut self) {
        match &mut self.source {
            Some(Source::Book { title }) => title.push_str(", 1965"),
            Some(Source::Web(address)) => address.push_str("/dune"),
            None => panic!("one was kept"),
        }
    }
}
