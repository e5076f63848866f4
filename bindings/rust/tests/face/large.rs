//! What no change has room for is refused before anything is written, by every way in.

use afield::{Bytes, Collection, EditError, LongText, OperationError, Path, Replica, Text, TransferError, model};
use serde_json::json;
use std::error::Error;

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Page {
    title: String,
    cover: Bytes,
    body: Text,
    story: LongText,
    parts: Vec<Part>,
}

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Part {
    data: Bytes,
}

const BYTES: usize = 600_000;
const BYTES_MAX: usize = 512 * 1024;

fn bytes() -> Bytes {
    Bytes::from(vec![7; BYTES])
}

/// The place and the sizes that a refusal names.
fn refusal(error: &EditError) -> (String, u64, u64) {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<OperationError>() {
            Some(
                OperationError::ValueTooLarge { path, bytes, bytes_max }
                | OperationError::TooLarge { path, bytes, bytes_max },
            ) => {
                return (path.to_string(), *bytes as u64, *bytes_max as u64);
            }
            Some(OperationError::TooManyOperations { path, operations, operations_max }) => {
                return (path.to_string(), *operations, *operations_max);
            }
            _ => cause = error.source(),
        }
    }
    panic!("{error:?} names no size")
}

#[test]
fn whatever_is_too_large_is_refused_with_its_place_and_nothing_changes() {
    let replica = Replica::open_in_memory().unwrap();
    let home = replica.create_space("Home").unwrap();
    let pages: Collection<Page> = home.collection("pages").unwrap();
    let page = Page { title: "before".into(), parts: vec![Part::default()], ..Page::default() };
    let id = pages.insert(&page).unwrap();
    let entity = pages.entity(id).unwrap();
    let story = "x".repeat(100_001);
    let refused = [
        ("insert", pages.insert(&Page { cover: bytes(), ..page.clone() }).unwrap_err()),
        ("edit", pages.edit(id, |page| page.cover = bytes()).unwrap_err()),
        (
            "edit beside others",
            pages.edit(id, |page| (page.title, page.cover) = ("after".into(), bytes())).unwrap_err(),
        ),
        ("edit of an element", pages.edit(id, |page| page.parts[0].data = bytes()).unwrap_err()),
        ("JSON insert", pages.json().insert(&json!({ "cover": "x".repeat(BYTES) })).unwrap_err()),
        ("JSON put", pages.json().put(id, &json!({ "cover": "x".repeat(BYTES) })).unwrap_err()),
        ("JSON edit", pages.json().edit(id, |page| page["cover"] = json!("x".repeat(BYTES))).unwrap_err()),
        ("put", entity.map(Path::ROOT).put("cover", bytes()).unwrap_err()),
        ("list", entity.list("parts").push(bytes()).unwrap_err()),
        ("splice", entity.text("body").splice(0, 0, &story).unwrap_err()),
        ("long splice", entity.long_text("story").splice(0, 0, &story).unwrap_err()),
        ("transaction", {
            let stored = replica.transaction(|transaction| {
                transaction.edit(&pages, id, |page| page.title = "after".into())?;
                transaction.edit(&pages, id, |page| page.cover = bytes())
            });
            stored.unwrap_err()
        }),
    ];
    for (way, error) in &refused {
        let (place, size, limit) = refusal(error);
        let (expected, least, max) = match *way {
            "edit of an element" => ("parts[0].data", BYTES, BYTES_MAX),
            "list" => ("parts[1]", BYTES, BYTES_MAX),
            "splice" => ("body", 100_001, 100_000),
            "long splice" => ("story", 100_001, 100_000),
            _ => ("cover", BYTES, BYTES_MAX),
        };
        assert_eq!((place.as_str(), limit), (expected, max as u64), "{way}: {error:?}");
        assert!(size >= least as u64, "{way}: {size}");
        let is_of_one_value = limit == BYTES_MAX as u64;
        assert_eq!((error.has_too_large_value(), error.is_too_large()), (is_of_one_value, !is_of_one_value), "{way}");
    }
    assert_eq!(pages.read(id).unwrap(), page);
    assert_eq!(pages.ids().unwrap(), [id], "nothing was made");
    let changes = entity.raw(|document| document.get_changes(&[]).len()).unwrap();
    assert_eq!(changes, 1);
    entity.map(Path::ROOT).put("cover", Bytes::from(vec![7; 500_000])).unwrap();
}

#[test]
fn an_import_divides_what_can_be_divided_and_names_what_cannot() {
    let source = Replica::open_in_memory().unwrap();
    let home = source.create_space("Home").unwrap();
    let pages = home.collection::<()>("pages").unwrap();
    let lines = |count: usize| "a line with some wörds in it\n".repeat(count);
    let marked: Vec<_> = (0..1_500)
        .flat_map(|_| [json!({ "text": "bold", "marks": { "bold": true } }), json!({ "text": " and plain text\n" })])
        .collect();
    let value = json!({
        "text": { "$text": lines(4_500) }, "story": { "$longtext": lines(4_500) }, "rich": { "$richtext": marked },
    });
    let id = afield::EntityId::from_bytes([1; 16]);
    let line = json!({ "collection": "pages", "id": id.to_string(), "value": value }).to_string();
    home.import(line.as_bytes(), |_| ()).unwrap();
    assert_eq!(pages.json().read_tagged(id).unwrap(), value);
    let entity = pages.entity(id).unwrap();
    assert!(entity.raw(|document| document.get_changes(&[]).len()).unwrap() > 4, "in several changes");

    // Over what stands there, another is written, as far as they differ.
    let shorter = json!({ "text": { "$text": "new" }, "story": { "$longtext": lines(100) }, "rich": { "$richtext": &marked[..9] } });
    let line = json!({ "collection": "pages", "id": id.to_string(), "value": shorter }).to_string();
    home.import(line.as_bytes(), |_| ()).unwrap();
    assert_eq!(pages.json().read_tagged(id).unwrap(), shorter);

    let line =
        json!({ "collection": "pages", "id": id.to_string(), "value": { "deep": ["x".repeat(BYTES)] } }).to_string();
    match home.import(line.as_bytes(), |_| ()).unwrap_err() {
        TransferError::Edit { line: 1, source } => assert_eq!(refusal(&source).0, "deep[0]"),
        other => panic!("{other:?}"),
    }
}
