//! What a person sees: the real binary on a terminal of 80 columns and 24 rows.

use crate::pseudo_terminal::Terminal;
use crate::running::{Person, Relay};
use console::{measure_text_width, strip_ansi_codes};
use std::process::Command;

/// What a command shows; it has to have succeeded.
#[track_caller]
fn shows(person: &Person, arguments: &[&str]) -> String {
    let (code, text) = Terminal::start(&mut person.command(arguments)).end();
    assert_eq!(code, 0, "{arguments:?}: {text}");
    text
}

#[track_caller]
fn fits(arguments: &[&str], text: &str) {
    let text = strip_ansi_codes(text);
    // What a progress bar has shown is overwritten.
    let widest = text
        .lines()
        .filter_map(|line| line.rsplit('\r').next())
        .max_by_key(|line| measure_text_width(line))
        .unwrap_or_default();
    assert!(measure_text_width(widest) <= 80, "{arguments:?}: {} columns: {widest}", measure_text_width(widest));
}

#[test]
fn every_command_fits_80_columns_and_colours_go_where_they_are_not_wanted() {
    let (folder, person) = (tempfile::tempdir().unwrap(), Person::with_store());
    let relay = Relay::open(folder.path());
    let value = r#"{"title": "A title that is longer than the eighty columns of this terminal, which cuts it off",
        "body": {"$text": "one\ntwo"}, "votes": {"$counter": 1}}"#;
    let ran = person.run(["put", "notes", value]);
    let id = ran.ok();
    let other = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    let deleted = person.run(["put", "notes", "title=Gone"]).ok().to_owned();
    let space = person.space();
    let url = relay.url();
    let commands: [&[&str]; 17] = [
        &["init"],
        &["put", "notes", "title=Milk"],
        &["edit", "notes", id, "done:=true"],
        &["list"],
        &["list", "notes"],
        &["delete", "notes", &deleted],
        &["trash"],
        &["trash", "tasks"],
        &["restore", "notes", &deleted],
        &["space", "create", "A second space"],
        &["space", "join", other, "--name", "A third"],
        &["space", "leave", other],
        &["space", "list"],
        &["connect", &url],
        &["sync"],
        &["status"],
        &["doctor"],
    ];
    for arguments in commands {
        let with_space: Vec<&str> = ["--space", &space].iter().chain(arguments).copied().collect();
        let with_space = if arguments[0] == "init" || arguments[0] == "space" { arguments } else { &with_space };
        let text = shows(&person, with_space);
        // What was typed is repeated as it is, however long the path of a store is.
        let text = text.replace(&format!(" --store {}", person.store().display()), "");
        let text = text.replace(&format!(" --space {space}"), "").replace(person.folder().to_str().unwrap(), "");
        fits(arguments, &text);
    }
    let listed = ["--space", &space, "list", "notes"];
    assert!(shows(&person, &listed).contains('\u{1b}'), "the control: there are colours");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let (code, text) = Terminal::start(person.command(listed).env(name, value)).end();
        assert!(code == 0 && !text.contains('\u{1b}'), "{name}: {text:?}");
    }
    let never: Vec<&str> = ["--color", "never"].iter().chain(&listed).copied().collect();
    assert!(!shows(&person, &never).contains('\u{1b}'));
    let always = person.run(["--color", "always", "--space", &space, "status"]);
    assert!(always.ok().contains('\u{1b}'), "the control: colours in a pipe, where they are asked for");
}

#[test]
fn an_error_is_broken_between_words_on_a_terminal_and_stays_on_its_line_in_a_pipe() {
    let person = Person::with_store();
    let arguments = ["get", "notes", "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e"];
    let (code, text) = Terminal::start(&mut person.command(arguments)).end();
    fits(&arguments, &text.replace(person.folder().to_str().unwrap(), ""));
    assert!(code == 3 && text.lines().count() > 2, "{text}");
    let piped = person.run(arguments);
    assert_eq!(piped.failed(3).lines().count(), 2);
}

#[test]
fn an_invitation_is_asked_for_and_not_shown() {
    let person = Person::new();
    let secret = "0123456789abcdefghjkmnpqrstvwxyz";
    let mut terminal = Terminal::start(&mut person.command(["space", "join", "--invitation", "--name", "Work"]));
    terminal.until("Paste the invitation");
    terminal.until_typing_is_hidden();
    terminal.press(&format!("afield_invitation_{secret}_0192f0c17a3e7b6c8d2e5f4a3b2c1d0e\n"));
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Joined the space \"Work\""), "the control: it was read: {shown}");
    assert!(!shown.contains(&secret[..8]), "{shown}");
}

#[test]
fn a_live_status_is_drawn_in_place_and_gives_the_terminal_back() {
    let (folder, person) = (tempfile::tempdir().unwrap(), Person::with_store());
    let relay = Relay::open(folder.path());
    for (keys, command) in [("q", &["status", "--watch"][..]), ("\u{3}", &["status", "--watch"])] {
        let mut terminal = Terminal::start(&mut person.command(command));
        terminal.until("q leaves");
        person.run(["put", "notes", "title=Milk"]).ok();
        terminal.until("change");
        terminal.press(keys);
        let (code, text) = terminal.end();
        assert_eq!(code, 0, "{text}");
        let (alternate, normal) = text.split_once("\u{1b}[?1049l").expect("the other screen is left");
        assert!(alternate.contains("\u{1b}[?1049h") && alternate.contains("\u{1b}[?25l"), "{alternate:?}");
        assert!(normal.contains("waiting") && text.contains("\u{1b}[?25h"), "the last page stays readable: {normal:?}");
        fits(command, &normal.replace(person.folder().to_str().unwrap(), ""));
    }
    person.run(["connect", &relay.url()]).ok();
    let mut terminal = Terminal::start(&mut person.command(["status", "--watch", "--sync"]));
    terminal.until("on, in step");
    let ben = Person::joining(&person.space());
    ben.run(["put", "notes", "title=Bread"]).ok();
    ben.run(["connect", &relay.url()]).ok();
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(person.run(["status", "--json"]).json()["state"], "idle");
}

#[test]
fn a_terminal_that_cannot_be_drawn_on_gets_a_line_for_each_change() {
    let person = Person::with_store();
    let mut command = person.command(["status", "--watch"]);
    let terminal = Terminal::start(command.env("TERM", "dumb"));
    terminal.until("waiting: nothing");
    person.run(["put", "notes", "title=Milk"]).ok();
    terminal.until("waiting: 1 change");
    terminal.interrupt();
    let (code, text) = terminal.end();
    assert!(code == 0 && !text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn stored_text_cannot_drive_the_terminal_of_who_watches() {
    let person = Person::with_store();
    let terminal = Terminal::start(&mut person.command(["--color", "never", "watch", "notes"]));
    person.run(["put", "notes", r#"{"title": "\u001b[31mred\u0007"}"#]).ok();
    terminal.until("[31mred");
    terminal.interrupt();
    let (code, text) = terminal.end();
    assert!(code == 0 && !text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
}

#[test]
fn what_was_searched_for_stands_out_and_what_is_stored_does_not_drive_the_terminal() {
    let person = Person::with_store();
    person.run(["index", "add", "notes", "body", "--text"]).ok();
    person.run(["put", "notes", r#"{"body": "Whole\u001b[31m Milk\nand \u009b31mbread"}"#]).ok();
    let search = ["search", "notes", "milk"];
    let text = shows(&person, &search);
    assert!(text.contains("Whole [31m \u{1b}[1mMilk\u{1b}[0m and  31mbread"), "{text:?}");
    assert!(!text.contains("[31m\u{1b}") && !text.contains('\u{9b}'), "{text:?}");
    let never: Vec<&str> = ["--color", "never"].iter().chain(&search).copied().collect();
    assert!(shows(&person, &never).contains("Whole [31m Milk and  31mbread"), "the control");
    assert_eq!(
        person.run(search.iter().chain(&["--json"])).json()["snippet"],
        "Whole\u{1b}[31m Milk\nand \u{9b}31mbread"
    );
}

#[test]
fn conflicts_and_differences_of_others_cannot_drive_the_terminal() {
    let (folder, ada) = (tempfile::tempdir().unwrap(), Person::with_store());
    let relay = Relay::open(folder.path());
    let id = ada.run(["put", "notes", r#"{"ti tle\u009b31m": "Milk"}"#]).ok().to_owned();
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    for (person, author) in [(&ada, "Ada"), (&ben, "Ben\u{1b}[31m\u{9b}31m")] {
        let value = format!(r#"{{"ti tle\u009b31m": "{author}\u009b31m"}}"#).replace('\u{1b}', "\\u001b");
        person.run(["put", "notes", &id, &value, "--author", author]).ok();
    }
    for person in [&ada, &ben, &ada] {
        person.run(["sync"]).ok();
    }
    let commands: [&[&str]; 4] =
        [&["conflicts"], &["diff", "notes", &id], &["at", "notes", &id, "now"], &["get", "notes", &id]];
    for command in commands {
        let never: Vec<&str> = ["--color", "never"].iter().chain(command).copied().collect();
        let text = shows(&ada, &never);
        assert!(!text.contains('\u{9b}') && !text.contains('\u{1b}'), "{command:?}: {text:?}");
        assert!(text.contains("31m"), "the control: it is shown: {text:?}");
    }
    let piped = ada.run(["conflicts"]);
    assert!(!piped.ok().contains('\u{1b}') && piped.ok().lines().count() == 2, "{piped:?}");
    let listed = shows(&ada, &["--color", "never", "conflicts"]);
    let (_, next) = listed.split_once("resolve ").expect("what to do next");
    let words = shell_words(&format!("resolve {}", next.replace('\n', " ")));
    ada.run(words).ok();
    assert!(ada.run(["conflicts"]).ok().is_empty(), "the command that was proposed decides it");
}

/// The words of a command line, as a shell reads them.
fn shell_words(line: &str) -> Vec<String> {
    let output = Command::new("sh").args(["-c", &format!("printf '%s\\n' {line}")]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_line_that_fills_the_page_keeps_its_last_character() {
    let person = Person::new();
    let folder = person.folder().join("a-folder-with-a-long-name".repeat(4));
    let store = folder.join("store.db");
    let command = |arguments: &[&str]| {
        let mut command = crate::running::afield();
        command.arg("--store").arg(&store).args(arguments);
        command
    };
    assert!(command(&["init"]).output().unwrap().status.success());
    let mut terminal = Terminal::start(&mut command(&["status", "--watch"]));
    terminal.until("q leaves");
    terminal.press("q");
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
    let (page, _) = text.split_once("\u{1b}[?1049l").expect("the other screen is left");
    // Every line begins with its place; what stands before the next one ends with the number of its row.
    let of_row = |line: &str| line.rsplit_once("\u{1b}[").map_or(line, |(line, _)| line).to_owned();
    let lines: Vec<String> = page.split(";1H").map(of_row).collect();
    let is_full = |line: &&String| measure_text_width(strip_ansi_codes(line).trim_end_matches('\n')) == 80;
    let full: Vec<&String> = lines.iter().filter(is_full).collect();
    assert!(!full.is_empty(), "a line is as wide as the page: {page:?}");
    assert!(full.iter().all(|line| !line.contains("\u{1b}[K")), "what would erase its last character: {full:?}");
    let short = lines.iter().filter(|line| strip_ansi_codes(line).contains("waiting"));
    assert!(short.clone().count() > 0 && short.clone().all(|line| line.contains("\u{1b}[K")), "the control: {lines:?}");
}

#[test]
fn a_narrow_terminal_gets_whole_words_and_ids_on_lines_of_its_width() {
    let (folder, ada) = (tempfile::tempdir().unwrap(), Person::with_store());
    let relay = Relay::open(folder.path());
    let put = |title: &str| ada.run(["put", "notes", &format!("title={title}")]).ok().to_owned();
    let ids = ["Milk and bread for the weekend", "Bread", "Salt"].map(put);
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    for (person, title) in [(&ada, "title=What Ada wrote"), (&ben, "title=What Ben wrote")] {
        person.run(["put", "notes", &ids[0], title]).ok();
    }
    for person in [&ada, &ben, &ada] {
        person.run(["sync"]).ok();
    }
    let (space, device) = (ada.space(), ada.run(["status", "--json"]).json()["device"].as_str().unwrap().to_owned());
    ada.run(["guard", "--deletions", "1"]).ok();
    for id in &ids[1..] {
        ada.run(["delete", "notes", id]).ok();
    }
    ada.run(["sync"]).failed(7);
    let shown = |arguments: &[&str], code: i32, columns: u16, rows: u16| {
        let mut terminal = Terminal::sized(&mut ada.command(arguments), columns, rows);
        if arguments == ["confirm"] {
            terminal.until("[y/N]");
            terminal.press("n\n");
        }
        let (ended, text) = terminal.end();
        assert_eq!(ended, code, "{arguments:?}: {text}");
        let text = strip_ansi_codes(&text).into_owned();
        let known = [format!(" --store {}", ada.store().display()), ada.folder().display().to_string(), relay.url()];
        known.iter().fold(text, |text, known| text.replace(known, ""))
    };
    let _token = relay.token(&["--name", "home laptop"]);
    let tokens = ["relay", "token", "list", "--data", folder.path().to_str().unwrap()];
    for columns in [80, 40] {
        let (code, text) = Terminal::sized(crate::running::afield().args(tokens), columns, 20).end();
        assert!(code == 0 && !text.contains('\t') && text.contains("home laptop"), "{text:?}");
        assert!(text.lines().all(|line| measure_text_width(line) <= usize::from(columns)), "{text}");
    }
    let schedule = ["schedule", "--cron", "30 7 * * MON-FRI", "--zone", "Europe/Berlin"];
    let commands: [(&[&str], i32, &[&str]); 10] = [
        (&["status"], 0, &["Home", &space[24..], &device[24..], "waiting"]),
        (&["space", "list"], 0, &["Home", &space]),
        (&["trash"], 0, &[&ids[1][24..], "title: Bread"]),
        (&["confirm"], 7, &[&ids[1][24..], "title: Bread", "this device"]),
        (&["log", "notes", &ids[0]], 0, &["this device"]),
        (&["conflicts"], 0, &["What Ada wrote", "What Ben wrote", "this device"]),
        (&["guard"], 0, &["more than 1 deletion"]),
        (&schedule, 0, &["Europe/Berlin"]),
        (&["conflicts", "strategy", "notes", "title", "prefer-other"], 0, &["prefer-other"]),
        (&["explain"], 0, &["Home:"]),
    ];
    for (arguments, code, expected) in commands {
        for (columns, rows) in [(80, 24), (40, 20)] {
            let text = shown(arguments, code, columns, rows);
            // A command that is proposed is one piece, to be copied.
            let is_command = |line: &str| line.contains("afield ") || line.contains("--");
            let is_wide = |line: &&str| measure_text_width(line) > usize::from(columns) && !is_command(line);
            assert_eq!(text.lines().find(is_wide), None, "{arguments:?} at {columns}: {text}");
            let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let missing = expected.iter().find(|expected| !flat.contains(**expected));
            assert_eq!(missing, None, "{arguments:?} at {columns}: {text}");
        }
    }
}
