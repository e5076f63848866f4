use super::*;
use crate::document::Block;
use proptest::prelude::*;

fn applied_to_text(old: &str, hunks: &[Hunk]) -> String {
    let mut text: Vec<char> = old.chars().collect();
    for hunk in hunks.iter().rev() {
        text.splice(hunk.position..hunk.position + hunk.delete, hunk.insert.chars());
    }
    text.into_iter().collect()
}

#[test]
fn hunks_touch_only_what_differs_and_count_code_points() {
    let hunk = |position, delete, insert: &str| Hunk { position, delete, insert: insert.to_owned() };
    assert_eq!(text_hunks("naïve 🦀 text", "naïve 🦀 test"), [hunk(10, 1, "s")]);
    assert_eq!(text_hunks("äb", "äöb"), [hunk(1, 0, "ö")]);
    assert_eq!(text_hunks("aXbYc", "abc"), [hunk(1, 1, ""), hunk(3, 1, "")]);
    assert_eq!(text_hunks("same", "same"), []);
    assert_eq!(text_hunks("aaa", "aa"), [hunk(2, 1, "")]);
}

#[test]
fn long_texts_are_compared_by_line_first() {
    let old: String = (0..3_000).map(|number| format!("line {number}\n")).collect();
    let new = old.replace("line 10\n", "line ten\n").replace("line 2990\n", "");
    let hunks = text_hunks(&old, &new);
    assert_eq!(applied_to_text(&old, &hunks), new);
    let touched: usize = hunks.iter().map(|hunk| hunk.delete + hunk.insert.len()).sum();
    assert!(touched < 20, "{touched}");
    let (long, other) = ("x".repeat(5_000), "y".repeat(5_000));
    assert_eq!(applied_to_text(&long, &text_hunks(&long, &other)), other);
}

#[test]
fn what_goes_or_comes_does_so_from_one_block_to_the_next() {
    let hunk = |position, delete, insert: &str| Hunk { position, delete, insert: insert.to_owned() };
    // In words, of blocks that are all the same character: the first of two paragraphs goes, and a third comes.
    let of = |text: &str| text.replace('#', &BLOCK_CHARACTER.to_string());
    let strings = |old: &str, new: &str| text_hunks(&of(old), &of(new));
    assert_eq!(strings("#one#two#three", "#two#three"), [hunk(0, 4, "")]);
    assert_eq!(strings("#one#two#three", "#one#three"), [hunk(4, 4, "")]);
    assert_eq!(strings("#one#two", "#one#new#two"), [hunk(4, 0, &of("#new"))]);
    assert_eq!(strings("a#x#b#x#c", "a#b#x#c"), [hunk(1, 2, "")]);
    assert_eq!(strings("#a b#c#a b#d!", "#c#a b#d?"), [hunk(0, 4, ""), hunk(12, 1, "?")]);
    assert_eq!(strings("one#two", "onetwo"), [hunk(3, 1, "")], "the control: a paragraph is joined");
}

fn rich(written: &str) -> RichText {
    let mut text = RichText::new();
    for character in written.chars() {
        match character {
            '0'..='9' => text.push_block(Block::new("paragraph").with_attribute("n", character.to_string())),
            _ => text.push_text(character.encode_utf8(&mut [0; 4]), []),
        }
    }
    text
}

#[test]
fn a_block_stays_only_where_it_is_equal_or_became_the_other() {
    let hunk = |position, delete, insert: &str| Hunk { position, delete, insert: insert.to_owned() };
    let hunks = |old: &str, new: &str| rich_text_hunks(&rich(old), &rich(new));
    assert_eq!(hunks("1one2two", "2two"), [hunk(0, 4, "")]);
    assert_eq!(hunks("1one1two", "1two"), [hunk(0, 4, "")], "of equal ones that which heads what goes");
    assert_eq!(hunks("1one2two", "3one2two"), [], "it became another");
    assert_eq!(hunks("1one2two", "1one3new2two"), [hunk(4, 0, "\u{fffc}new")]);
    assert_eq!(hunks("1one2two", "12two"), [hunk(1, 3, "")]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn hunks_turn_any_text_into_any_other(old in "[aäb\n🦀]{0,40}", new in "[aäb\n🦀]{0,40}") {
        prop_assert_eq!(applied_to_text(&old, &text_hunks(&old, &new)), new);
    }

    #[test]
    fn hunks_turn_the_string_of_any_rich_text_into_that_of_any_other(
        old in "[ab12\n🦀]{0,30}", new in "[ab123\n🦀]{0,30}",
    ) {
        let (old, new) = (rich(&old), rich(&new));
        prop_assert_eq!(applied_to_text(old.as_str(), &rich_text_hunks(&old, &new)), new.as_str());
        prop_assert_eq!(applied_to_text(old.as_str(), &text_hunks(old.as_str(), new.as_str())), new.as_str());
    }
}
