//! What keys do to texts, and where characters stand.

use crate::typing::{Line, Stroke, moved, pasted, place, rows, stroke, width_of};
use proptest::prelude::*;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::from(code)
}

#[test]
fn what_a_person_takes_for_one_character_is_deleted_as_one() {
    let text = "a🏳️‍🌈e\u{301}";
    let length = text.chars().count();
    let delete = |at| stroke(&key(KeyCode::Backspace), text, at, None);
    let gone = |at, delete| Some(Stroke::Splice { at, delete, insert: String::new() });
    assert_eq!(delete(length), gone(length - 2, 2));
    assert_eq!(delete(length - 2), gone(1, 4));
    assert_eq!(delete(1), gone(0, 1));
    assert_eq!(delete(0), None);
    assert_eq!(stroke(&key(KeyCode::Right), text, 1, None), Some(Stroke::Move(5)));
}

#[test]
fn up_and_down_go_by_the_rows_of_the_window() {
    let text = "one two three\nfour";
    let shown: Vec<_> = rows(text, 8).into_iter().map(|row| row.text).collect();
    assert_eq!(shown, ["one two ", "three", "four"]);
    let go = |code, at| match stroke(&key(code), text, at, Some(8)) {
        Some(Stroke::Move(to)) => to,
        other => panic!("{other:?}"),
    };
    assert_eq!(go(KeyCode::Down, 1), 9);
    assert_eq!(go(KeyCode::Down, 9), 15);
    assert_eq!(go(KeyCode::Up, 15), 9);
    assert_eq!(go(KeyCode::End, 0), 7, "the position behind is shown on the next row");
    assert_eq!(go(KeyCode::End, 15), 18);
    assert_eq!(go(KeyCode::Home, 12), 8);
}

#[test]
fn pasting_leaves_control_characters_out() {
    assert_eq!(pasted("a\r\nb\u{1b}[31m\u{7}c", true), "a\nb[31mc");
    assert_eq!(pasted("a\nb", false), "ab");
    let mut line = Line::new("ac");
    line.key(&key(KeyCode::Left));
    line.paste("b\n");
    assert_eq!((line.text.as_str(), line.at), ("abc", 2));
    assert_eq!(Line::new("0123456789").shown(5), ("6789".to_owned(), 4));
}

#[test]
fn a_cursor_stays_behind_its_character_when_others_write() {
    assert_eq!(moved(5, "hello", "oh hello"), 8);
    assert_eq!(moved(2, "hello", "hello you"), 2);
    assert_eq!(moved(5, "hello", ""), 0);
    assert_eq!(moved(4, "one two", "one and two"), 4, "before what came in where it stood");
}

proptest! {
    #[test]
    fn rows_hold_each_character_once_and_in_no_more_columns_than_there_are(text in "[a-c 日🦀\n]{0,60}", width in 2_usize..20) {
        let rows = rows(&text, width);
        let mut shown = String::new();
        for (number, row) in rows.iter().enumerate() {
            if number > 0 && row.start > shown.chars().count() {
                shown.push('\n');
            }
            prop_assert_eq!(row.start, shown.chars().count());
            shown.push_str(&row.text);
            prop_assert!(width_of(row.text.trim_end()) <= width);
        }
        prop_assert_eq!(&shown, &text);
        for at in 0..=text.chars().count() {
            let (row, column) = place(&rows, at);
            prop_assert!(row < rows.len() && column <= width_of(&rows[row].text));
        }
    }

    #[test]
    fn a_cursor_keeps_the_characters_before_it_where_others_write_behind_and_those_behind_it_where_before(
        before in "[a-d]{0,10}", after in "[a-d]{0,10}", written in "[a-d]{1,10}",
    ) {
        let text = format!("{before}|{after}");
        let at = before.len() + 1;
        let behind = format!("{before}|{written}{after}");
        prop_assert_eq!(&behind[..moved(at, &text, &behind)], &text[..at]);
        let ahead = format!("{written}{before}|{after}");
        prop_assert_eq!(&ahead[moved(at, &text, &ahead)..], &text[at..]);
    }
}
