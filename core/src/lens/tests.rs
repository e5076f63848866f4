use super::*;
use proptest::prelude::*;

fn lenses() -> Lenses {
    Lenses::oldest(1)
        .version(2, [Lens::rename("title", "name"), Lens::add("mood", 3), Lens::remove("color").or_default("white")])
        .and_then(|lenses| {
            lenses.version(3, [Lens::wrap("phone", "phones"), Lens::inside("home", [Lens::rename("zip", "code")])])
        })
        .and_then(|lenses| {
            let state = Lens::convert("done", "state", [(false, "open"), (true, "closed")], false, "open");
            lenses.version(5, [state, Lens::each("tasks", [Lens::rename("what", "text"), Lens::remove("old")])])
        })
        .expect("they can be taken back")
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::from(entries)
}

fn list<const N: usize>(values: [&str; N]) -> Value {
    Value::List(values.into_iter().map(Value::from).collect())
}

/// What the newest version shows once it has written `change` into what it read.
fn written(base: &Value, change: impl FnOnce(&mut Fields)) -> Value {
    let shown = lenses().forward(base);
    let Value::Map(mut after) = shown.clone() else { panic!("a map") };
    change(&mut after);
    lenses().backward(base, &shown, &Value::Map(after)).unwrap()
}

#[test]
fn every_kind_of_lens_shows_the_older_fields_as_the_newer() {
    let task = map([("what", "shop".into()), ("old", 1.into()), ("due", 2.into())]);
    let base = map([
        ("title", "Ada".into()),
        ("color", "red".into()),
        ("phone", "1".into()),
        ("home", map([("zip", "80".into()), ("city", "Bern".into())])),
        ("done", true.into()),
        ("tasks", vec![task].into()),
        ("unknown", 9.into()),
    ]);
    let shown = map([
        ("name", "Ada".into()),
        ("mood", 3.into()),
        ("phones", list(["1"])),
        ("home", map([("code", "80".into()), ("city", "Bern".into())])),
        ("state", "closed".into()),
        ("tasks", vec![map([("text", "shop".into()), ("due", 2.into())])].into()),
        ("unknown", 9.into()),
    ]);
    assert_eq!(lenses().forward(&base), shown);
    assert_eq!(lenses().backward(&base, &shown, &shown).unwrap(), base);
}

#[test]
fn a_default_that_was_read_is_not_written() {
    let base = map([("title", "Ada".into())]);
    assert_eq!(written(&base, |after| drop(after.insert("name".into(), "Bea".into()))), map([("title", "Bea".into())]));
    let with_mood = written(&base, |after| drop(after.insert("mood".into(), 5.into())));
    assert_eq!(with_mood, map([("title", "Ada".into()), ("mood", 5.into())]));
}

#[test]
fn values_without_a_counterpart_stand_under_their_own_key_until_an_older_version_writes_another() {
    let base = map([("done", true.into()), ("phone", "1".into())]);
    let waiting = written(&base, |after| drop(after.insert("state".into(), "waiting".into())));
    assert_eq!(waiting, map([("done", false.into()), ("state", "waiting".into()), ("phone", "1".into())]));
    assert_eq!(lenses().forward(&waiting).entry("state"), Some(&"waiting".into()));

    let Value::Map(mut by_an_older) = waiting else { panic!("a map") };
    by_an_older.insert("done".into(), true.into());
    assert_eq!(lenses().forward(&Value::Map(by_an_older)).entry("state"), Some(&"closed".into()));

    let more = written(&base, |after| drop(after.insert("phones".into(), list(["2", "1"]))));
    assert_eq!(more, map([("done", true.into()), ("phone", "2".into()), ("phones", list(["1"]))]));
    assert_eq!(lenses().forward(&more).entry("phones"), Some(&list(["2", "1"])));
}

#[test]
fn an_older_value_outside_the_table_stays_until_a_newer_version_writes_another() {
    let base = map([("done", "perhaps".into()), ("title", "a".into())]);
    let edited = written(&base, |after| drop(after.insert("name".into(), "b".into())));
    assert_eq!(edited, map([("done", "perhaps".into()), ("title", "b".into())]));
    let closed = written(&base, |after| drop(after.insert("state".into(), "closed".into())));
    assert_eq!(closed, map([("done", true.into()), ("title", "a".into())]));
}

#[test]
fn a_table_finds_a_text_by_its_string_and_a_counter_by_its_number() {
    let state = Lens::convert("done", "state", [("no", "open"), ("yes", "closed")], "no", "open");
    let lenses = Lenses::oldest(1).version(2, [state]).unwrap();
    let base = map([("done", Value::Text("yes".into()))]);
    let shown = lenses.forward(&base);
    assert_eq!(shown, map([("state", "closed".into())]));
    let written = lenses.backward(&base, &shown, &map([("state", Value::Text("open".into()))])).unwrap();
    assert_eq!(written, map([("done", "no".into())]), "which older versions read, too");
    let one = Lens::convert("a", "b", [(Value::Counter(1), "x"), (Value::Int(1), "y")], 1, "x");
    let twice = Lenses::oldest(1).version(2, [one]).unwrap_err();
    assert_eq!(twice, DeclareError::NotOneToOne { version: 2, field: "a".into() });
}

/// What is shown of a document where this says that it comes from.
fn read(origin: &Origin, base: &Value) -> Option<Value> {
    let at = |value: Option<Value>, keys: &[String]| {
        keys.iter().try_fold(value?, |value, key| value.as_map()?.get(key).cloned())
    };
    match origin {
        Origin::Stored(keys) => at(Some(base.clone()), keys),
        Origin::Nothing => None,
        Origin::Within { of, keys } => at(read(of, base), keys),
        Origin::Defaulted { of, inside, default } => read(of, base).or_else(|| {
            let is_map = inside.as_ref().is_none_or(|map| read(map, base).is_some_and(|map| map.as_map().is_some()));
            is_map.then(|| default.clone())
        }),
        Origin::Wrapped { first, rest } => {
            let (first, rest) = (read(first, base), read(rest, base));
            let is_there = first.is_some() || rest.is_some();
            let rest = match rest {
                Some(Value::List(rest)) => rest,
                Some(Value::Null) | None => Vec::new(),
                Some(other) => vec![other],
            };
            let all = first.filter(|first| !first.is_null()).into_iter().chain(rest).collect();
            is_there.then_some(Value::List(all))
        }
        Origin::Converted { older, kept, table, older_default, newer_default } => {
            let (older, kept) = (read(older, base), read(kept, base));
            let is_left = older.as_ref().is_none_or(|older| older == older_default);
            let kept = kept.filter(|kept| is_left && table.iter().all(|(_, newer)| newer != kept));
            let newer = |older: &Value| table.iter().find(|(known, _)| known == older).map(|(_, newer)| newer);
            kept.or_else(|| older.map(|older| newer(&older).unwrap_or(newer_default).clone()))
        }
    }
}

#[test]
fn elements_keep_what_is_not_shown_of_them_when_others_are_inserted_and_moved() {
    let task = |what: &str, old: i64| map([("what", what.into()), ("old", old.into())]);
    let base = map([("tasks", vec![task("a", 1), task("b", 2), task("c", 3)].into())]);
    let shown = |what: &str| map([("text", what.into())]);
    let after = vec![shown("new"), shown("c"), shown("a"), shown("b")];
    let moved = written(&base, |fields| drop(fields.insert("tasks".into(), after.into())));
    let new = map([("what", "new".into())]);
    assert_eq!(moved, map([("tasks", vec![new, task("c", 3), task("a", 1), task("b", 2)].into())]));
}

#[test]
fn a_new_entity_has_what_older_versions_read() {
    let value = map([("name", "Ada".into()), ("mood", 3.into()), ("state", "waiting".into())]);
    let made = lenses().fresh(&value).unwrap();
    let expected =
        map([("title", "Ada".into()), ("color", "white".into()), ("done", false.into()), ("state", "waiting".into())]);
    assert_eq!(made, expected);
    assert_eq!(lenses().forward(&made), value);
}

#[test]
fn a_field_whose_key_an_older_version_uses_is_refused() {
    let base = map([("title", "a".into())]);
    let shown = lenses().forward(&base);
    for field in ["title", "color", "phone", "done"] {
        let Value::Map(mut after) = shown.clone() else { panic!("a map") };
        after.insert(field.into(), 1.into());
        let refused = lenses().backward(&base, &shown, &Value::Map(after)).unwrap_err();
        assert_eq!(refused, LensError::Hidden { field: field.into() });
    }
}

#[test]
fn what_cannot_be_taken_back_is_refused_when_it_is_declared() {
    let declared = |steps: Vec<Lens>| Lenses::oldest(1).version(2, steps).map(drop).unwrap_err();
    let taken = |field: &str| DeclareError::Taken { version: 2, field: field.into() };
    assert_eq!(declared(vec![Lens::rename("a", "a")]), taken("a"));
    assert_eq!(declared(vec![Lens::rename("a", "c"), Lens::rename("b", "c")]), taken("c"));
    assert_eq!(declared(vec![Lens::rename("a", "b"), Lens::add("a", 1)]), taken("a"));
    assert_eq!(declared(vec![Lens::remove("a"), Lens::add("a", 1)]), taken("a"));
    assert_eq!(declared(vec![Lens::each("x", [Lens::rename("a", "b"), Lens::add("b", 1)])]), taken("b"));
    assert_eq!(declared(vec![Lens::rename("", "b")]), DeclareError::NoName { version: 2 });
    let gone = DeclareError::Gone { version: 2, field: "a".into() };
    assert_eq!(declared(vec![Lens::rename("a", "b"), Lens::wrap("a", "c")]), gone);
    let wrapped = |field: &str| DeclareError::Wrapped { version: 2, field: field.into() };
    let convert = || Lens::convert("c", "d", [(1, "x"), (2, "y")], 1, "x");
    let to_c = || [Lens::wrap("a", "b"), Lens::rename("b", "c")];
    assert_eq!(declared(to_c().into_iter().chain([convert()]).collect()), wrapped("c"));
    assert_eq!(declared(to_c().into_iter().chain([Lens::wrap("c", "d")]).collect()), wrapped("c"));
    assert_eq!(declared(vec![Lens::inside("x", [Lens::wrap("a", "c"), convert()])]), wrapped("c"));
    let within = Lens::inside("c", [Lens::rename("x", "y")]);
    assert_eq!(declared(to_c().into_iter().chain([within.clone()]).collect()), wrapped("c"));
    assert_eq!(declared(vec![within, Lens::wrap("a", "c")]), taken("c"), "it would hide what stands there");
    let reshaped = DeclareError::Reshaped { version: 2, field: "c".into() };
    for whole in [Lens::wrap("c", "d"), convert(), Lens::each("c", [Lens::remove("x")])] {
        assert_eq!(declared(vec![Lens::inside("c", [Lens::add("x", 1)]), whole]), reshaped);
    }
    let later = Lenses::oldest(1).version(2, to_c()).and_then(|lenses| lenses.version(3, [convert()])).map(drop);
    assert_eq!(later.unwrap_err(), DeclareError::Wrapped { version: 3, field: "c".into() });
    let twice = Lens::convert("a", "b", [(1, "x"), (2, "x")], 1, "x");
    assert_eq!(declared(vec![twice]), DeclareError::NotOneToOne { version: 2, field: "a".into() });
    let twice = Lens::convert("a", "b", [(1, "x"), (1, "y")], 1, "x");
    assert_eq!(declared(vec![twice]), DeclareError::NotOneToOne { version: 2, field: "a".into() }, "on the older side");
    let stray = Lens::convert("a", "b", [(1, "x"), (2, "y")], 3, "x");
    assert_eq!(declared(vec![stray]), DeclareError::Default { version: 2, field: "a".into() });
    let order = Lenses::oldest(2).version(2, []).map(drop).unwrap_err();
    assert_eq!(order, DeclareError::Order { version: 2, last: 2 });
    let accepted = |steps: Vec<Lens>| Lenses::oldest(1).version(2, steps).is_ok();
    assert!(accepted(vec![Lens::rename("a", "b"), Lens::rename("b", "c")]));
    assert!(accepted(vec![convert(), Lens::wrap("d", "e"), Lens::each("e", [Lens::rename("x", "y")])]));
    let lists = |values: [&str; 1]| list(values);
    let of_lists = Lens::convert("b", "c", [(list([]), "nobody"), (lists(["Ada"]), "me")], list([]), "nobody");
    assert!(accepted(vec![Lens::wrap("a", "b"), of_lists]));
}

/// Values as they stand in documents of any version, also of one that wrote what nobody expects.
fn any_base() -> impl Strategy<Value = Value> {
    let scalar = || {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..4_i64).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from)
        ]
    };
    let fields = |names: &'static [&'static str]| {
        prop::collection::btree_map(prop::sample::select(names).prop_map(str::to_owned), scalar(), 0..4)
            .prop_map(Value::Map)
    };
    let top = (
        prop::collection::btree_map(
            prop::sample::select(vec!["title", "name", "mood", "color", "phone", "done", "state", "other"])
                .prop_map(str::to_owned),
            scalar(),
            0..8,
        ),
        prop::option::of(prop::collection::vec(scalar(), 0..3)),
        prop::option::of(fields(&["zip", "code", "city"])),
        prop::option::of(prop::collection::vec(fields(&["what", "text", "old", "due", "id"]), 0..4)),
    );
    top.prop_map(|(mut all, phones, home, tasks)| {
        all.extend(phones.map(|phones| ("phones".to_owned(), Value::List(phones))));
        all.extend(home.map(|home| ("home".to_owned(), home)));
        all.extend(tasks.map(|tasks| ("tasks".to_owned(), Value::List(tasks))));
        Value::Map(all)
    })
}

/// Something the newest version may write.
#[derive(Debug, Clone)]
enum Writing {
    Put(&'static str, Value),
    Phones(Vec<String>),
    Task(usize, String),
    NoTask(usize),
    NewTask(usize, String),
    Code(String),
    Delete(&'static str),
}

fn any_writing() -> impl Strategy<Value = Writing> {
    let states = prop_oneof![Just("open"), Just("closed"), Just("waiting"), Just("")];
    prop_oneof![
        "[ab]{0,2}".prop_map(|name| Writing::Put("name", name.into())),
        (0..6_i64).prop_map(|mood| Writing::Put("mood", mood.into())),
        states.prop_map(|state| Writing::Put("state", state.into())),
        "[ab]{0,2}".prop_map(|other| Writing::Put("other", other.into())),
        prop::collection::vec("[ab]{0,2}", 0..4).prop_map(Writing::Phones),
        (0..4_usize, "[ab]{0,2}").prop_map(|(index, text)| Writing::Task(index, text)),
        (0..4_usize).prop_map(Writing::NoTask),
        (0..4_usize, "[ab]{0,2}").prop_map(|(index, text)| Writing::NewTask(index, text)),
        "[ab]{0,2}".prop_map(Writing::Code),
        prop::sample::select(vec!["name", "phones", "state", "home", "tasks", "other"]).prop_map(Writing::Delete),
    ]
}

fn write(fields: &mut Fields, writing: &Writing) {
    let tasks = |fields: &mut Fields, change: &dyn Fn(&mut Vec<Value>)| {
        if let Some(Value::List(tasks)) = fields.get_mut("tasks") {
            change(tasks);
        }
    };
    match writing {
        Writing::Put(field, value) => drop(fields.insert((*field).into(), value.clone())),
        Writing::Phones(phones) => {
            let phones = phones.iter().map(|phone| phone.as_str().into()).collect();
            fields.insert("phones".into(), Value::List(phones));
        }
        Writing::Task(index, text) => tasks(fields, &|tasks| {
            if let Some(Value::Map(task)) = tasks.get_mut(*index) {
                task.insert("text".into(), text.as_str().into());
            }
        }),
        Writing::NoTask(index) => tasks(fields, &|tasks| {
            if *index < tasks.len() {
                tasks.remove(*index);
            }
        }),
        Writing::NewTask(index, text) => tasks(fields, &|tasks| {
            tasks.insert((*index).min(tasks.len()), map([("text", text.as_str().into())]));
        }),
        Writing::Code(code) => {
            if let Some(Value::Map(home)) = fields.get_mut("home") {
                home.insert("code".into(), code.as_str().into());
            }
        }
        Writing::Delete(field) => drop(fields.remove(*field)),
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A step over a few names, so that declarations often meet what older versions did, and are often refused.
fn any_step() -> impl Strategy<Value = Lens> {
    let name = || prop::sample::select(NAMES.to_vec());
    let older =
        || prop_oneof![4 => (0..3_i64).prop_map(Value::from), 1 => (0..3_i64).prop_map(|one| vec![one.into()].into())];
    let flat = prop_oneof![
        (name(), name()).prop_map(|(from, to)| Lens::rename(from, to)),
        (name(), older()).prop_map(|(field, default)| Lens::add(field, default)),
        name().prop_map(Lens::remove),
        (name(), name()).prop_map(|(from, to)| Lens::wrap(from, to)),
        (name(), name(), older(), older(), 0..3_i64, 0..3_i64).prop_map(|(from, to, one, other, older, newer)| {
            Lens::convert(from, to, [(one.clone(), 10 + newer), (other, 10 + older)], one, 10 + newer)
        }),
    ];
    flat.prop_recursive(2, 6, 2, move |inner| {
        let steps = || prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            2 => inner.clone(),
            1 => (name(), steps()).prop_map(|(field, steps)| Lens::inside(field, steps)),
            1 => (name(), steps()).prop_map(|(field, steps)| Lens::each(field, steps)),
        ]
    })
}

/// Declarations without the steps that are refused.
fn any_declaration() -> impl Strategy<Value = Lenses> {
    prop::collection::vec(prop::collection::vec(any_step(), 1..4), 1..4).prop_map(|versions| {
        versions.into_iter().zip(2..).fold(Lenses::oldest(1), |lenses, (steps, version)| {
            let declared = |steps: &[Lens]| lenses.clone().version(version, steps.to_vec());
            let accepted = steps.into_iter().fold(Vec::new(), |before, step| {
                let with: Vec<_> = before.iter().cloned().chain([step]).collect();
                if declared(&with).is_ok() { with } else { before }
            });
            declared(&accepted).expect("each step was accepted")
        })
    })
}

/// Documents over the same names, also such as no version would write: whatever a step names may stand there before it does.
fn any_document() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
    let leaf = prop_oneof![Just(Value::Null), (0..3_i64).prop_map(Value::from), (10..13_i64).prop_map(Value::from)];
    let nested = leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            prop::collection::btree_map(name(), inner, 0..4).prop_map(Value::Map),
        ]
    });
    prop::collection::btree_map(name(), nested, 0..6).prop_map(Value::Map)
}

/// What a value may become without becoming one of another kind, in each of its places.
fn others(value: &Value, written: i64) -> Vec<Value> {
    let number = Value::from(written);
    match value {
        Value::Map(fields) => {
            let mut all = Vec::new();
            for (field, inner) in fields {
                for other in others(inner, written) {
                    let mut fields = fields.clone();
                    fields.insert(field.clone(), other);
                    all.push(Value::Map(fields));
                }
            }
            all
        }
        Value::List(elements) => {
            let mut all =
                vec![Value::List(Vec::new()), vec![number.clone()].into(), vec![Value::Null, number.clone()].into()];
            let mut more = elements.clone();
            more.insert(0, number);
            all.push(Value::List(more));
            for (index, element) in elements.iter().enumerate() {
                let mut fewer = elements.clone();
                fewer.remove(index);
                all.push(Value::List(fewer));
                for other in others(element, written) {
                    let mut elements = elements.clone();
                    elements[index] = other;
                    all.push(Value::List(elements));
                }
            }
            all
        }
        _ => vec![number],
    }
}

proptest! {
    #[test]
    fn each_declaration_that_is_accepted_gives_back_what_it_took(
        declared in any_declaration(),
        base in any_document(),
        written in 20..23_i64,
    ) {
        let shown = declared.forward(&base);
        prop_assert_eq!(declared.backward(&base, &shown, &shown).unwrap(), base.clone());
        // Whatever is shown may become another of its kind, which is read again. Only an element that has come to another place with a
        // key that no version shows there is refused.
        let numbers = |value: &Value| matches!(value, Value::Map(fields) if fields.values().any(|field| *field == written.into()));
        for after in others(&shown, written) {
            match declared.backward(&base, &shown, &after) {
                Ok(made) => prop_assert_eq!(declared.forward(&made), after),
                Err(refused) => prop_assert!(!numbers(&after), "{refused}"),
            }
        }
        // What is not shown may be written, unless the name is refused; a list suits the wrapped fields, too.
        let Value::Map(fields) = &shown else { panic!("a map") };
        for field in NAMES.into_iter().filter(|name| !fields.contains_key(*name)) {
            let mut after = fields.clone();
            after.insert(field.into(), vec![written.into()].into());
            let after = Value::Map(after);
            match declared.backward(&base, &shown, &after) {
                Ok(made) => prop_assert_eq!(declared.forward(&made), after),
                Err(refused) => prop_assert_eq!(refused, LensError::Hidden { field: field.into() }),
            }
        }
    }

    #[test]
    fn each_field_comes_from_where_it_is_said_to(
        declared in any_declaration(),
        base in any_document(),
        keys in prop::collection::vec(prop::sample::select(NAMES.to_vec()), 1..4),
    ) {
        let shown = keys.iter().try_fold(declared.forward(&base), |value, key| value.as_map()?.get(*key).cloned());
        if let Ok(origin) = declared.origin(&keys) {
            prop_assert_eq!(read(&origin, &base), shown, "{:?}", origin);
        }
        let Value::Map(fields) = &base else { panic!("a map") };
        let Value::Map(shown) = declared.forward(&base) else { panic!("a map") };
        let names = declared.names_of(fields.keys());
        prop_assert!(shown.keys().all(|name| names.contains(name)), "{:?}", names);
        if let Some(path) = declared.shown_path(&keys) {
            let stored = Origin::Stored(keys.iter().map(|key| (*key).to_owned()).collect());
            prop_assert_eq!(declared.origin(&path), Ok(stored));
        }
    }

    #[test]
    fn writing_back_what_was_read_changes_nothing(base in any_base()) {
        let shown = lenses().forward(&base);
        prop_assert_eq!(lenses().backward(&base, &shown, &shown).unwrap(), base);
    }

    #[test]
    fn what_is_written_is_read_again_and_what_no_version_names_survives(
        base in any_base(),
        writings in prop::collection::vec(any_writing(), 1..4),
    ) {
        let shown = lenses().forward(&base);
        let Value::Map(mut after) = shown.clone() else { panic!("a map") };
        writings.iter().for_each(|writing| write(&mut after, writing));
        let after = Value::Map(after);
        let made = lenses().backward(&base, &shown, &after).unwrap();
        prop_assert_eq!(lenses().forward(&made), after.clone());
        prop_assert_eq!(made.entry("other"), after.entry("other"));
        // What the newest version does not show stays as it is.
        prop_assert_eq!(made.entry("color"), base.entry("color"));
    }

    #[test]
    fn a_new_entity_reads_as_it_was_written(writings in prop::collection::vec(any_writing(), 0..6)) {
        let mut value = Fields::from([("mood".to_owned(), 3.into())]);
        writings.iter().for_each(|writing| write(&mut value, writing));
        let value = Value::Map(value);
        prop_assert_eq!(lenses().forward(&lenses().fresh(&value).unwrap()), value);
    }
}

#[test]
fn every_refused_declaration_keeps_its_code_and_its_class_and_the_guide_tells_both() {
    let (version, field) = (2, String::new);
    let rows = crate::frozen!(DeclareError {
        DeclareError::Order { .. } = DeclareError::Order { version, last: 3 } => "lens.order", Permanent;
        DeclareError::NoName { .. } = DeclareError::NoName { version } => "lens.no_name", Permanent;
        DeclareError::Taken { .. } = DeclareError::Taken { version, field: field() } => "lens.taken", Permanent;
        DeclareError::Gone { .. } = DeclareError::Gone { version, field: field() } => "lens.gone", Permanent;
        DeclareError::Wrapped { .. } = DeclareError::Wrapped { version, field: field() } => "lens.wrapped", Permanent;
        DeclareError::Reshaped { .. } = DeclareError::Reshaped { version, field: field() } => "lens.reshaped", Permanent;
        DeclareError::NotOneToOne { .. } = DeclareError::NotOneToOne { version, field: field() }
            => "lens.not_one_to_one", Permanent;
        DeclareError::Default { .. } = DeclareError::Default { version, field: field() } => "lens.default", Permanent;
    } passes on {
    });
    let guide = include_str!("../../../bindings/rust/src/guide/errors.md");
    crate::frozen::assert_told_by_the_guide(guide, &rows);
}
