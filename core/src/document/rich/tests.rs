use super::*;
use proptest::prelude::*;

/// One place of a text: a character with its marks, or a block.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Character(char, BTreeMap<String, Value>),
    Block(Block),
}

fn cells(text: &RichText) -> Vec<Cell> {
    text.spans()
        .flat_map(|span| match span {
            Span::Block(block) => vec![Cell::Block(block.clone())],
            Span::Text { text, marks } => {
                let marks: BTreeMap<String, Value> =
                    marks.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
                text.chars().map(|character| Cell::Character(character, marks.clone())).collect()
            }
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Splice(usize, usize, String),
    Mark(usize, usize, &'static str, Value),
    Insert(usize, String),
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop::sample::select(vec!["bold", "link"]);
    let value = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), (0i64..3).prop_map(Value::Int)];
    prop_oneof![
        3 => (0usize..12, 0usize..5, "[a-cé🦀]{0,4}").prop_map(|(at, delete, text)| Step::Splice(at, delete, text)),
        3 => (0usize..12, 0usize..6, name, value).prop_map(|(at, count, name, value)| Step::Mark(at, count, name, value)),
        2 => (0usize..12, "[a-z]{1,2}").prop_map(|(at, kind)| Step::Insert(at, kind)),
        1 => (0usize..12).prop_map(Step::Remove),
    ]
}

/// The same step on a plain list of places.
fn apply(cells: &mut Vec<Cell>, step: &Step) {
    match step {
        Step::Splice(at, delete, text) => {
            let at = (*at).min(cells.len());
            let marks = match at.checked_sub(1).and_then(|before| cells.get(before)) {
                Some(Cell::Character(_, marks)) => marks.clone(),
                _ => BTreeMap::new(),
            };
            let grown: BTreeMap<String, Value> = marks.into_iter().filter(|(name, _)| name == "bold").collect();
            // A mark that grows behind its end grows over what lies within it in any case; a link only there.
            let end = (at + delete).min(cells.len());
            let within = |name: &str| match (at.checked_sub(1).and_then(|before| cells.get(before)), cells.get(end)) {
                (Some(Cell::Character(_, before)), Some(Cell::Character(_, after)))
                    if before.get(name) == after.get(name) =>
                {
                    before.get(name).cloned()
                }
                _ => None,
            };
            let mut marks = grown;
            if let Some(value) = within("link") {
                marks.insert("link".to_owned(), value);
            }
            cells.splice(at..end, text.chars().map(|character| Cell::Character(character, marks.clone())));
        }
        Step::Mark(at, count, name, value) => {
            for cell in cells.iter_mut().skip(*at).take(*count) {
                let Cell::Character(_, marks) = cell else { continue };
                match value {
                    Value::Null => marks.remove(*name),
                    value => marks.insert((*name).to_owned(), value.clone()),
                };
            }
        }
        Step::Insert(at, kind) => cells.insert((*at).min(cells.len()), Cell::Block(Block::new(kind.as_str()))),
        Step::Remove(at) => {
            if matches!(cells.get(*at), Some(Cell::Block(_))) {
                cells.remove(*at);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_text_is_its_characters_each_with_its_marks(steps in prop::collection::vec(step(), 0..20)) {
        let mut text = RichText::from("hello world");
        let mut model = cells(&text);
        for step in &steps {
            // Whether a link goes on over what replaces its middle part cannot be told from the places alone where the
            // parts beside it come from two links: those are left out.
            match step {
                Step::Splice(at, delete, insert) if *delete > 0 => {
                    text.splice(*at, *delete, "");
                    text.splice(*at, 0, insert);
                    apply(&mut model, &Step::Splice(*at, *delete, String::new()));
                    apply(&mut model, &Step::Splice(*at, 0, insert.clone()));
                }
                Step::Splice(at, _, insert) => { text.splice(*at, 0, insert); apply(&mut model, step); }
                Step::Mark(at, count, name, value) => {
                    text.mark(*at..at + count, *name, value.clone());
                    apply(&mut model, step);
                }
                Step::Insert(at, kind) => {
                    text.insert_block(*at, Block::new(kind.as_str()));
                    apply(&mut model, step);
                }
                Step::Remove(at) => {
                    prop_assert_eq!(text.remove_block(*at).is_some(), matches!(model.get(*at), Some(Cell::Block(_))));
                    apply(&mut model, step);
                }
            }
            prop_assert_eq!(cells(&text), model.clone(), "after {:?}", step);
            prop_assert_eq!(text.len(), model.len());
            let as_read: RichText = {
                let mut read = RichText::new();
                for span in text.spans() {
                    match span {
                        Span::Block(block) => read.push_block(block.clone()),
                        Span::Text { text, marks } => read.push_text(text, marks),
                    }
                }
                read
            };
            prop_assert_eq!(as_read, text.clone(), "what says the same is equal");
        }
    }
}

#[test]
fn a_mark_grows_as_people_expect_of_its_name() {
    let mut text = RichText::from("bold link");
    text.mark(0..4, "bold", true);
    text.mark(5..9, "link", "https://example.org");
    text.splice(9, 0, "!");
    text.splice(4, 0, "er");
    let spans: Vec<(&str, usize)> = text
        .spans()
        .map(|span| match span {
            Span::Text { text, marks } => (text, marks.len()),
            Span::Block(_) => ("", 0),
        })
        .collect();
    assert_eq!(spans, [("bolder", 1), (" ", 0), ("link", 1), ("!", 0)]);
}

#[test]
fn a_block_says_its_kind_its_parents_and_its_attributes() {
    let block = Block::new("heading").with_parents(["quote"]).with_attribute("level", 2).with("isEmbed", false);
    assert_eq!(block.kind(), Some("heading"));
    assert_eq!(block.parents().collect::<Vec<_>>(), ["quote"]);
    assert_eq!(block.attribute("level"), Some(&Value::Int(2)));
    assert_eq!(block.entries().get("isEmbed"), Some(&Value::Bool(false)));
    assert_eq!(Block::default().kind(), None);
}
