//! What a key does to a text, and where the characters of a text stand on the screen.
//!
//! Nothing is kept here that the document keeps: an answer is a splice, in Unicode code points as in the library, which goes into
//! the document of an entry or into the line of a form.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::text::Span;
use unicode_segmentation::UnicodeSegmentation;

/// What a key does to a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stroke {
    /// The cursor goes elsewhere.
    Move(usize),
    /// Characters go out and others come in.
    Splice { at: usize, delete: usize, insert: String },
}

/// What a key does to a text with the cursor at a position; `None` where it does nothing to it. In a text with several lines
/// `width` is how many columns one has.
pub(crate) fn stroke(key: &KeyEvent, text: &str, at: usize, width: Option<usize>) -> Option<Stroke> {
    if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
        return None;
    }
    let insert = |text: String| Some(Stroke::Splice { at, delete: 0, insert: text });
    let delete = |from: usize, to: usize| Some(Stroke::Splice { at: from, delete: to - from, insert: String::new() });
    let (left, right) = neighbours(text, at);
    match (key.code, width) {
        (KeyCode::Char(character), _) => insert(character.to_string()),
        (KeyCode::Enter, Some(_)) => insert("\n".to_owned()),
        (KeyCode::Backspace, _) if left < at => delete(left, at),
        (KeyCode::Delete, _) if right > at => delete(at, right),
        (KeyCode::Left, _) => Some(Stroke::Move(left)),
        (KeyCode::Right, _) => Some(Stroke::Move(right)),
        (KeyCode::Home, None) => Some(Stroke::Move(0)),
        (KeyCode::End, None) => Some(Stroke::Move(text.chars().count())),
        (code, Some(width)) => vertical(code, text, at, width).map(Stroke::Move),
        _ => None,
    }
}

/// What may be pasted: characters and, in a text with several lines, ends of lines.
pub(crate) fn pasted(text: &str, has_lines: bool) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().filter(|character| !character.is_control() || has_lines && *character == '\n').collect()
}

/// The positions before and behind what a person takes for one character.
fn neighbours(text: &str, at: usize) -> (usize, usize) {
    let mut start = 0;
    for grapheme in text.graphemes(true) {
        let end = start + grapheme.chars().count();
        if at <= end {
            let right = if at < end { end } else { end + next_length(text, end) };
            return (start, right);
        }
        start = end;
    }
    (start, at)
}

fn next_length(text: &str, at: usize) -> usize {
    let rest = text.char_indices().nth(at).and_then(|(byte, _)| text.get(byte..)).unwrap_or_default();
    rest.graphemes(true).next().map_or(0, |grapheme| grapheme.chars().count())
}

fn vertical(code: KeyCode, text: &str, at: usize, width: usize) -> Option<usize> {
    let rows = rows(text, width);
    let (row, column) = place(&rows, at);
    let here = rows.get(row)?;
    match code {
        KeyCode::Home => Some(here.start),
        KeyCode::End => Some(here.last_position(rows.get(row + 1))),
        KeyCode::Up => Some(row.checked_sub(1).and_then(|row| rows.get(row)).map_or(0, |above| above.at(column))),
        KeyCode::Down => Some(rows.get(row + 1).map_or(here.end(), |below| below.at(column))),
        _ => None,
    }
}

/// A row of a text on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Where it begins in the text, in code points.
    pub(crate) start: usize,
    pub(crate) text: String,
}

impl Row {
    fn end(&self) -> usize {
        self.start + self.text.chars().count()
    }

    /// The last position that is shown on this row: behind a break of the screen's the next row begins.
    fn last_position(&self, next: Option<&Self>) -> usize {
        let end = self.end();
        if next.is_some_and(|next| next.start == end) { end.saturating_sub(1).max(self.start) } else { end }
    }

    /// The position in a column, or the nearest one before it.
    fn at(&self, column: usize) -> usize {
        let (mut at, mut seen) = (self.start, 0);
        for grapheme in self.text.graphemes(true) {
            seen += width_of(grapheme);
            if seen > column {
                break;
            }
            at += grapheme.chars().count();
        }
        at
    }
}

/// How many columns a text takes.
pub(crate) fn width_of(text: &str) -> usize {
    Span::raw(text).width()
}

/// The rows of a text in so many columns: broken behind blanks where there are some.
pub(crate) fn rows(text: &str, width: usize) -> Vec<Row> {
    let (mut rows, mut start) = (Vec::new(), 0);
    for line in text.split('\n') {
        let mut row = Row { start, text: String::new() };
        // A word with the blank behind it; that blank may hang over.
        for word in line.split_inclusive(' ') {
            let fits = width_of(&row.text) + width_of(word.trim_end()) <= width;
            if !fits && !row.text.is_empty() {
                rows.push(std::mem::replace(&mut row, Row { start, text: String::new() }));
            }
            for grapheme in word.graphemes(true) {
                if grapheme != " " && width_of(&row.text) + width_of(grapheme) > width && !row.text.is_empty() {
                    rows.push(std::mem::replace(&mut row, Row { start, text: String::new() }));
                }
                row.text.push_str(grapheme);
                start += grapheme.chars().count();
            }
        }
        rows.push(row);
        start += 1;
    }
    rows
}

/// The row and the column of a position.
pub(crate) fn place(rows: &[Row], at: usize) -> (usize, usize) {
    let row = rows.partition_point(|row| row.start <= at).saturating_sub(1);
    let column = rows.get(row).map_or(0, |row| {
        let before: String = row.text.chars().take(at.saturating_sub(row.start)).collect();
        width_of(&before)
    });
    (row, column)
}

/// Where a position of a text is once the text has become another one: it stays behind the same character.
pub(crate) fn moved(at: usize, before: &str, after: &str) -> usize {
    let (old, new): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
    let same_start = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    if at <= same_start {
        return at;
    }
    let most = old.len().min(new.len()) - same_start;
    let same_end = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(one, other)| one == other).count();
    if at >= old.len() - same_end { at + new.len() - old.len() } else { at.min(new.len() - same_end) }
}

/// A line of a form, which no document holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) at: usize,
}

impl Line {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), at: text.chars().count() }
    }

    /// Takes a key; false where the key does nothing to a line.
    pub(crate) fn key(&mut self, key: &KeyEvent) -> bool {
        let stroke = stroke(key, &self.text, self.at, None);
        match stroke {
            Some(Stroke::Move(at)) => self.at = at,
            Some(Stroke::Splice { at, delete, insert }) => self.splice(at, delete, &insert),
            None => return false,
        }
        true
    }

    pub(crate) fn paste(&mut self, text: &str) {
        self.splice(self.at, 0, &pasted(text, false));
    }

    fn splice(&mut self, at: usize, delete: usize, insert: &str) {
        let mut characters: Vec<char> = self.text.chars().collect();
        characters.splice(at..at + delete, insert.chars());
        self.text = characters.into_iter().collect();
        self.at = at + insert.chars().count();
    }

    /// What is shown in so many columns, with the column of the cursor: the end of a line that is too long.
    pub(crate) fn shown(&self, width: usize) -> (String, usize) {
        let before: String = self.text.chars().take(self.at).collect();
        let column = width_of(&before);
        let mut skip = (column + 1).saturating_sub(width);
        let mut hidden = 0;
        let shown = self.text.graphemes(true).skip_while(|grapheme| {
            let is_hidden = hidden < skip;
            if is_hidden {
                hidden += width_of(grapheme);
            }
            is_hidden
        });
        let shown: String = shown.collect();
        skip = hidden;
        (shown, column.saturating_sub(skip))
    }
}
