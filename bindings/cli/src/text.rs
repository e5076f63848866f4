//! Numbers, times and tables in words.

use console::{measure_text_width, truncate_str};

/// A number of bytes.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1_000 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people has three digits")]
    let mut size = count as f64;
    let mut unit = "B";
    for name in UNITS {
        size /= 1_000.0;
        unit = name;
        if size < 999.5 {
            break;
        }
    }
    if size < 9.95 { format!("{size:.1} {unit}") } else { format!("{size:.0} {unit}") }
}

/// A number with its digits in groups of three.
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: "1 change", "2 changes".
pub(crate) fn count(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {many}", number(count)) }
}

/// A length of time in milliseconds.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => count(ms / 60_000, "minute", "minutes"),
        3_600_000..86_400_000 => count(ms / 3_600_000, "hour", "hours"),
        _ => count(ms / 86_400_000, "day", "days"),
    }
}

/// A moment that lies `ms` milliseconds back.
pub(crate) fn ago(ms: u64) -> String {
    match ms {
        0..1_000 => "just now".to_owned(),
        1_000..60_000 => format!("{} s ago", ms / 1_000),
        _ => format!("{} ago", duration(ms)),
    }
}

/// When what has a schedule comes next, to be put behind it: nothing where that is not known.
pub(crate) fn next(at_ms: Option<i64>, now_ms: i64) -> String {
    match at_ms.map(|at_ms| u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0)) {
        None => String::new(),
        Some(0) => ", due now".to_owned(),
        Some(left_ms) => format!(", next in {}", duration(left_ms)),
    }
}

/// Breaks a text into lines of this width, those after the first with so many blanks before them. A command between
/// backticks stays whole, so that it can be copied, and so does any word that is longer than a line.
pub(crate) fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut column = text.len() - text.trim_start_matches(' ').len();
    let mut told = " ".repeat(column);
    let mut is_line_empty = true;
    for word in words(text) {
        let length = measure_text_width(&word);
        if !is_line_empty && column + 1 + length > width {
            told.push('\n');
            told.push_str(&" ".repeat(indent));
            column = indent;
        } else if !is_line_empty {
            told.push(' ');
            column += 1;
        }
        told.push_str(&word);
        column += length;
        is_line_empty = false;
    }
    told
}

/// The words of a text; what stands between backticks is one.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_quoted = false;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match words.last_mut().filter(|_| is_quoted) {
            Some(quoted) => {
                quoted.push(' ');
                quoted.push_str(word);
            }
            None => words.push(word.to_owned()),
        }
        is_quoted ^= word.matches('`').count() % 2 == 1;
    }
    words
}

/// The narrowest that the last column of a table gets, in columns: in less nothing can be read.
const LAST_WIDTH_MIN: usize = 14;

/// A table whose columns are as wide as their widest cell; the last one takes what is left of the width. Where nothing is
/// left for it, the cells of a row stand below each other.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let columns = head.len();
    let mut widths: Vec<usize> = head.iter().map(|cell| measure_text_width(cell)).collect();
    for row in rows {
        for (column, cell) in widths.iter_mut().zip(row) {
            *column = (*column).max(measure_text_width(cell));
        }
    }
    let before: usize = widths.iter().take(columns.saturating_sub(1)).map(|column| column + 2).sum();
    if let Some(last) = widths.last_mut() {
        if before + (*last).min(LAST_WIDTH_MIN) > width {
            return stacked(rows, width);
        }
        *last = (*last).min(width.saturating_sub(before));
    }
    let mut text = String::new();
    let head = head.iter().map(|cell| console::style(cell).dim().to_string());
    line(&mut text, head, &widths);
    for row in rows {
        line(&mut text, row.iter().cloned(), &widths);
    }
    text
}

/// A table of which nothing may be cut, since its cells are to be copied.
pub(crate) fn whole_table(head: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| measure_text_width(cell));
        cells.chain(head.get(column).map(|cell| measure_text_width(cell))).max().unwrap_or(0)
    };
    let needed: usize = (0..head.len()).map(|column| widest(column) + 2).sum();
    if needed > width + 2 { stacked(rows, width) } else { table(head, rows, width) }
}

/// Rows that are too wide for a table, each from a line of its own on.
fn stacked(rows: &[Vec<String>], width: usize) -> String {
    rows.iter().map(|row| beside(row, width) + "\n").collect()
}

/// Cells beside each other, two blanks between them. A line that is full is broken between cells, and a cell that is
/// wider than a line between words; long ones are cut.
pub(crate) fn beside(cells: &[String], width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for cell in cells.iter().filter(|cell| !cell.is_empty()) {
        let cell = truncate_str(cell, width * 2, "…");
        let is_begun = !line.trim().is_empty();
        if is_begun && measure_text_width(&line) + 2 + measure_text_width(&cell) <= width {
            line = format!("{line}  {cell}");
            continue;
        }
        if is_begun {
            lines.push(std::mem::replace(&mut line, "  ".to_owned()));
        }
        let whole = wrapped(&format!("{line}{cell}"), width, 2);
        let mut broken: Vec<String> = whole.split('\n').map(str::to_owned).collect();
        line = broken.pop().unwrap_or_default();
        lines.extend(broken);
    }
    lines.push(line);
    lines.join("\n")
}

/// Cells beside each other, each cut and padded to its width.
fn line(text: &mut String, cells: impl Iterator<Item = String>, widths: &[usize]) {
    let mut row = String::new();
    for (cell, width) in cells.zip(widths) {
        let cell = truncate_str(&cell, *width, "…").into_owned();
        row.push_str(&cell);
        row.push_str(&" ".repeat(width - measure_text_width(&cell) + 2));
    }
    text.push_str(row.trim_end());
    text.push('\n');
}

/// What a terminal would act on is shown as a blank, so that what is stored cannot move the cursor or change colours.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well_at_every_size() {
        assert_eq!(
            [0, 999, 1_000, 9_949, 9_950, 999_499, 1_000_000].map(bytes),
            ["0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB"]
        );
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [7, 1_234, 61_000, 7_200_000, 200_000_000].map(duration),
            ["7 ms", "1.2 s", "1 minute", "2 hours", "2 days"]
        );
        assert_eq!(count(1, "change", "changes"), "1 change");
        assert_eq!(
            [None, Some(4_000), Some(5_000), Some(65_000)].map(|at| next(at, 5_000)),
            ["", ", due now", ", due now", ", next in 1 minute"]
        );
    }

    #[test]
    fn a_table_fits_its_width_and_cuts_only_the_last_column() {
        let rows = vec![vec!["one".to_owned(), "x".repeat(100)], vec!["three".to_owned(), "wide: 日本".to_owned()]];
        let text = table(&["name", "value"], &rows, 40);
        assert!(text.lines().all(|line| measure_text_width(line) <= 40), "{text}");
        assert!(text.contains("three  wide: 日本") && text.contains('…'), "{text}");
    }

    #[test]
    fn a_table_that_is_too_wide_is_written_below_each_other_and_breaks_no_word() {
        let cells = ["5f4a3b2c1d0e", "notes", "3 s ago", "title: Milk and bread for the weekend"].map(str::to_owned);
        let rows = [cells.to_vec()];
        let text = table(&["id ends in", "collection", "deleted", "fields"], &rows, 40);
        assert_eq!(text, "5f4a3b2c1d0e  notes  3 s ago\n  title: Milk and bread for the weekend\n");
        let id = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
        let rows = [vec!["Home".to_owned(), id.to_owned()]];
        assert_eq!(whole_table(&["space", "id"], &rows, 40), format!("Home\n  {id}\n"));
        assert!(whole_table(&["space", "id"], &rows, 80).starts_with("space"), "the control: it fits");
    }

    #[test]
    fn lines_are_broken_between_words_and_never_inside_a_command() {
        let text = "one two three `afield put notes` and four";
        assert_eq!(wrapped(text, 20, 2), "one two three\n  `afield put notes`\n  and four");
        assert_eq!(wrapped(text, 80, 2), text, "what fits stays on its line");
        assert_eq!(wrapped("  next: one two", 11, 8), "  next: one\n        two", "what it begins with stays");
        assert_eq!(wrapped("a/very/long/path is here", 10, 0), "a/very/long/path\nis here");
    }

    #[test]
    fn stored_text_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\nc"), "a [31mb c");
    }
}
