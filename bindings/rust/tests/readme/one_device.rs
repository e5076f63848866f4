//! What a device does alone.

use crate::done;
use afield::{Replica, Space};

fn home() -> (Replica, Space) {
    let replica = Replica::open_in_memory().unwrap();
    let home = replica.create_space("Home").unwrap();
    (replica, home)
}

mod contents {
    use super::{done, home};
    use serde_json::json;

    include!("blocks/contents.rs");

    #[test]
    fn a_page_is_marked_gets_a_heading_that_counts_as_one_and_a_step_of_a_list_in_a_list_is_replaced() {
        let (_replica, home) = home();
        let pages: Collection<Page> = home.collection("pages").unwrap();
        let steps = vec![vec!["mix".to_owned(), "bake".to_owned()], vec!["eat".to_owned()]];
        let id = pages.insert(&Page { body: RichText::new(), steps }).unwrap();
        done(write(&pages, id));
        let heading = json!({"block": {"type": "heading", "parents": [], "attrs": {"level": 1}, "isEmbed": false}});
        let bold = |text: &str| json!({"text": text, "marks": {"bold": true}});
        let spans = || pages.json().read_tagged(id).unwrap()["body"]["$richtext"].clone();
        assert_eq!(spans()[0]["block"]["type"], heading["block"]["type"]);
        assert_eq!(spans()[0]["block"]["attrs"], heading["block"]["attrs"]);
        assert_eq!((&spans()[1], &spans()[2]["text"]), (&bold("Read"), &json!(" this")));
        let page = pages.entity(id).unwrap();
        assert_eq!(page.text("body").length().unwrap(), "Read this".len() + 1, "a block counts as one");
        // Behind the block and "Read", with a letter of two bytes that is one position.
        page.text("body").splice(5, 0, "é").unwrap();
        page.text("body").splice(6, 0, "!").unwrap();
        assert_eq!(spans()[1], bold("Readé!"), "what is typed behind it is bold, too");
        let read = pages.read(id).unwrap();
        assert_eq!(read.steps, [vec!["mix".to_owned(), "bake for an hour".to_owned()], vec!["eat".to_owned()]]);
    }
}

mod long_text {
    use super::{done, home};
    use afield::Point;

    include!("blocks/long_text.rs");

    #[test]
    fn a_long_note_is_written_by_small_changes_and_read_in_paragraphs_and_slices() {
        let (_replica, home) = home();
        let stories: Collection<Story> = home.collection("stories").unwrap();
        let text = "It was a dark night.\n\n".repeat(2_000);
        let id = stories.insert(&Story { title: "Night".into(), text: text.as_str().into() }).unwrap();
        let shown = done(type_and_show(&stories, id));
        let whole = format!("{text}\n\nThe end.");
        assert_eq!(shown, whole[..2_000]);
        let read = stories.read(id).unwrap();
        assert_eq!((read.title.as_str(), read.text.as_str()), ("Night", whole.as_str()));
        let (start, last) = read.text.paragraphs().last().unwrap();
        assert_eq!((start, last), (whole.len() - "The end.".len(), "The end."));
        let history = stories.history(id, &Point::Now, 1).unwrap();
        let operations = history.changes[0].operations;
        assert!(operations < 20, "a small change for ten characters in {}: {operations} operations", whole.len());
        assert_eq!(stories.json().read_tagged(id).unwrap()["text"]["$longtext"], whole);
    }
}

mod queries {
    use super::home;

    include!("blocks/queries.rs");

    #[test]
    fn what_is_due_is_found_along_its_index_and_a_live_query_has_another_answer_after_an_edit() {
        let (_replica, home) = home();
        let tasks: Collection<Task> = home.collection("tasks").unwrap();
        let at = |ms| Some(Timestamp::from_millis(ms));
        let insert = |title: &str, done, due| tasks.insert(&Task { title: title.into(), done, due }).unwrap();
        insert("Buy milk and bread", false, at(20));
        let first = insert("Call Ada", false, at(10));
        insert("Done before", true, at(5));
        insert("Not yet", false, at(1_000));
        insert("Some day", false, None);
        due(&tasks, Timestamp::from_millis(100)).unwrap();
        assert_eq!(tasks.indexes().unwrap(), [["done", "due"]], "declared once");
        due(&tasks, Timestamp::from_millis(100)).unwrap();
        assert_eq!(tasks.indexes().unwrap().len(), 1);
        assert_eq!(tasks.searched_fields().unwrap().unwrap(), ["title"]);
        let due = tasks.query("done = 0 AND due < ?", [Timestamp::from_millis(100)]).unwrap().order_by("due").limit(20);
        assert!(due.plan().unwrap().concat().contains("INDEX"), "`plan` shows its use: {:?}", due.plan().unwrap());
        let titles = |all: afield::Listing<Task>| -> Vec<String> {
            assert!(all.unreadable.is_empty());
            all.entities.into_iter().map(|(_, task)| task.title).collect()
        };
        assert_eq!(titles(due.all().unwrap()), ["Call Ada", "Buy milk and bread"]);
        assert_eq!(due.count().unwrap(), 2);
        let found = tasks.search("milk bre").unwrap().while_typing().limit(20).all().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].snippet.marked("*", "*"), "Buy *milk* and *bread*");
        let mut live = due.watch().unwrap();
        assert_eq!(titles(live.take().unwrap().unwrap()).len(), 2);
        assert!(live.take().is_none(), "it is the same answer");
        tasks.edit(first, |task| task.done = true).unwrap();
        assert_eq!(titles(live.take().unwrap().unwrap()), ["Buy milk and bread"]);
        let mistaken = tasks.query("doen = 0", ()).and_then(|query| query.count()).unwrap_err();
        assert_eq!(mistaken.position().map(|place| place.column), Some(1), "{mistaken}");
        assert!(mistaken.to_string().contains("done"), "the field that was probably meant: {mistaken}");
    }
}

mod lenses {
    use super::{done, home};
    use serde_json::json;

    include!("blocks/lenses.rs");

    #[afield::model]
    struct Step {
        text: String,
    }

    #[afield::model]
    struct Third {
        name: String,
        phones: Vec<String>,
        state: String,
        mood: u64,
        steps: Vec<Step>,
    }

    #[test]
    fn an_entity_of_the_oldest_version_is_read_and_written_by_version_3_and_by_both_at_once() {
        let (_replica, home) = home();
        let old = home.collection::<()>("tasks").unwrap().json();
        let first = json!({
            "title": "Call", "phone": "1", "done": false, "color": "red", "steps": [{"what": "dial"}]
        });
        let id = old.insert(&first).unwrap();
        let tasks = done(of_version_3::<Third>(&home.collection("tasks").unwrap()));
        let read = tasks.read(id).unwrap();
        assert_eq!((read.name.as_str(), read.state.as_str(), read.mood), ("Call", "open", 3));
        assert_eq!((read.phones, read.steps[0].text.as_str()), (vec!["1".to_owned()], "dial"));
        tasks
            .edit(id, |task| {
                task.name = "Call Ada".into();
                task.phones.push("2".into());
                task.steps[0].text = "look it up".into();
            })
            .unwrap();
        old.edit(id, |task| task["done"] = true.into()).unwrap();
        assert_eq!(tasks.read(id).unwrap().state, "closed");
        let read = old.read(id).unwrap();
        assert_eq!(
            (&read["title"], &read["phone"]),
            (&json!("Call Ada"), &json!("1")),
            "older versions: the first one"
        );
        assert_eq!(
            (&read["color"], &read["steps"][0]["what"]),
            (&json!("red"), &json!("look it up")),
            "nothing is lost"
        );
        let one_way = Lens::convert("done", "state", [(false, "open"), (true, "open")], false, "open");
        assert!(Lenses::oldest(1).version(2, [one_way]).is_err(), "what could not be written back is refused");
    }
}

mod past {
    use super::{done, home};

    include!("blocks/past.rs");

    #[test]
    fn an_edit_is_known_by_author_and_message_compared_undone_redone_and_taken_back() {
        let (replica, home) = home();
        replica.set_author(Some("Anna"));
        let plans: Collection<Plan> = home.collection("plans").unwrap();
        let id = plans.insert(&Plan { title: "Day trip".into() }).unwrap();
        done(past(&plans, id));
        assert_eq!(plans.read(id).unwrap().title, "Day trip");
        let changes = plans.history(id, &Point::Now, 20).unwrap().changes;
        let is_undo: Vec<_> = changes.iter().map(|change| change.undoes.as_ref().map(|of| of.is_redo())).collect();
        assert_eq!(is_undo, [None, Some(true), Some(false), None, None], "brought back, redone, undone, edited, made");
        let edit = &changes[3].attribution;
        assert_eq!((edit.author.as_deref(), edit.message.as_deref()), (Some("Anna"), Some("it is far")));
        assert_eq!(edit.device, Some(replica.device()));
        let redone = plans.at(id, &Point::Before(changes[0].hash)).unwrap();
        assert_eq!(redone.title, "Night trip", "the redo was there before it was taken back");
        assert_eq!(plans.at(id, &Point::Before(changes[1].hash)).unwrap().title, "Day trip", "and the undo before it");
        let asked = plans.restore_to(id, &Point::Before(changes[0].hash), Confirm::Ask).unwrap_err();
        assert!(asked.to_string().contains("1 place"), "`Ask` says what it would write: {asked}");
        assert_eq!(plans.read(id).unwrap().title, "Day trip", "and writes nothing");
    }
}
