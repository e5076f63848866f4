//! What a person does on one device, without any network.

use super::Device;
use crate::app::Flow;
use crate::journal::Filter;
use crate::settings::Settings;
use jiff::ToSpan;
use ratatui::layout::Size;

fn device() -> (tempfile::TempDir, Device) {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::open(&folder.path().join("journal.db"));
    (folder, device)
}

#[test]
fn a_day_is_written_listed_searched_and_filtered() {
    let (_folder, mut device) = device();
    device.shows("Nothing is written yet: n begins today's entry.");
    device.press("nRain<Tab>2<Tab>reading<Enter>tea<Enter>tea<Enter><Tab>It poured all day.<Esc>");
    device.press("nSun<Tab>5<Tab>walk<Enter><Tab>To the Käsemarkt and back.<Esc>");
    device.shows("●●○○○ Rain");
    device.shows("●●●●● Sun");

    device.press("/kase");
    device.shows("Käsemarkt");
    device.hides("Rain");
    device.press("<Esc>mm");
    device.shows("Days · low");
    device.shows("●●○○○ Rain");
    device.hides("Sun");
    device.press("mmmm");
    device.shows("Sun");
    device.press("aaa");
    device.shows("Days · walk");
    device.hides("Rain");
    device.press("a<Down>");
    device.shows("reading, tea ×2");
    assert_eq!(device.press("q"), Flow::Quit);
}

#[test]
fn an_entry_may_be_about_another_day_and_stands_where_that_is() {
    let (_folder, mut device) = device();
    let today = device.app.journal.today();
    device.press("nToday<Esc>nLast week");
    device.press(&"<F3>".repeat(8));
    device.press("<F4><Esc>");
    let days: Vec<String> = device
        .app
        .journal
        .days(&Filter::default(), 10)
        .unwrap()
        .all()
        .unwrap()
        .entities
        .into_iter()
        .map(|(_, entry)| entry.day)
        .collect();
    assert_eq!(days, [today.to_string(), today.checked_sub(7.days()).unwrap().to_string()]);
    device.shows(&format!("{} ····· Last week", days[1]));
}

#[test]
fn one_change_that_waits_is_told_as_one() {
    let (_folder, mut device) = device();
    device.press("n<Esc>5");
    device.shows("Waiting       1 change, the oldest for");
    device.press("1n<Esc>5");
    device.shows("Waiting       2 changes, the oldest for");
}

#[test]
fn what_is_pasted_goes_where_the_cursor_is() {
    let (_folder, mut device) = device();
    device.press("nTrip<Tab><Tab><Tab>early late<Left><Left><Left><Left>");
    device.app.paste("in the morning,\r\nand \u{1b}");
    device.press("not too ");
    device.shows("early in the morning,");
    device.shows("and not too late");
    device.press("<^Z>");
    device.hides("not too");
}

#[test]
fn what_is_deleted_is_in_the_trash_and_comes_back() {
    let (_folder, mut device) = device();
    device.press("nRain<Esc>d");
    device.shows("is in the trash (t)");
    device.hides("●");
    device.shows("Nothing is written yet");
    device.press("t");
    device.shows("Rain");
    device.press("r");
    device.shows("The trash is empty.");
    device.press("<Esc>");
    device.shows("Rain");
}

#[test]
fn keys_are_undone_and_redone_and_the_past_is_shown_and_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("journal.db");
    let mut device = Device::open(&store);
    device.press("6<Enter>Anna<Enter><Down><Enter>laptop<Enter>1nTrip<Tab>4<Tab><Tab>By train.<Esc>");
    drop(device);

    // Another opening is another sitting, and may still undo what the one before did.
    let mut device = Device::open(&store);
    device.press("<Enter><Tab><Tab>1");
    device.shows("●○○○○ awful");
    device.press("<^Z>");
    device.shows("●●●●○ good");
    device.press("<^Y>");
    device.shows("●○○○○ awful");
    device.press("<F2>");
    device.shows("Anna on laptop");
    device.press("<Down>");
    device.shows("~ mood: 4 → 1");
    device.press("<Down>r");
    device.shows("the entry is back to");
    device.shows("●●●●○ good");
    device.press("<F2>");
    device.shows("back to 20");
}

#[test]
fn a_questionnaire_is_due_until_it_is_answered_and_its_answers_are_charted() {
    let (_folder, mut device) = device();
    device.press("3");
    device.shows("No questionnaire is here yet");
    device.press("n<^S>");
    device.shows("give the questionnaire a name and at least one question");
    device.press("Sleep<Down><Home>never <^S>");
    device.shows("a schedule is `every 10 min`");
    device.press("<Esc>nSleep<Enter><End><Backspace><Backspace><Backspace>2 d<Enter><Enter>");
    device.press("How long did it take?<Enter>How often did you wake?<^S>");
    device.shows("Sleep is due now, and then every 2 d");
    device.shows("3 Assessments (1)");
    device.shows("due now");
    device.press("<Enter>2<Down><Right><Right><Right><Right><Enter>");
    device.shows("kept: 5 in all");
    device.shows("3 Assessments  ");
    device.shows("due in 1 day");
    device.shows("Last 1 sums, of 6:");
    let answers = device.app.journal.answers.list().unwrap().complete().unwrap();
    assert_eq!(answers[0].1.values.values().copied().collect::<Vec<_>>(), [2, 3], "an answer ends with its scale");
    device.press("d");
    device.shows("No questionnaire is here yet");
    device.press("u");
    device.shows("Last 1 sums, of 6:");
}

#[test]
fn a_questionnaire_with_an_interval_is_due_again_once_that_has_passed() {
    let (_folder, mut device) = device();
    device.at("2026-03-14T09:00:00Z");
    device.press("3nSleep<Enter><End><Backspace><Backspace><Backspace>1 d<Enter><Enter>How long did it take?<^S>");
    device.shows("Sleep is due now, and then every 1 d");
    device.press("<Enter>2<Enter>");
    device.shows("due in 1 day");
    device.shows("answered 2026-03-14 09:00");
    device.at("2026-03-15T08:59:59.999Z");
    device.shows("3 Assessments  ");
    device.hides("due now");
    device.at("2026-03-15T09:00:00Z");
    device.shows("3 Assessments (1)");
    device.shows("due now");
    device.press("<Enter>3<Enter>");
    device.shows("3 Assessments  ");
    device.shows("Last 2 sums, of 3:");
    let answers = device.app.journal.answers.list().unwrap().complete().unwrap();
    let days = answers.iter().map(|(_, answers)| device.app.journal.local(answers.at.as_millis()));
    assert_eq!(days.collect::<Vec<_>>(), ["2026-03-14 09:00", "2026-03-15 09:00"]);
}

#[test]
fn a_questionnaire_with_a_cron_schedule_is_due_at_its_hours_whenever_it_was_answered() {
    let (_folder, mut device) = device();
    // A Saturday; the schedule is of Sundays.
    device.at("2026-03-14T09:00:00Z");
    device.press("3nWeek<Enter>");
    device.press(&"<Backspace>".repeat(40));
    device.press("0 20 * * SUN<Enter><Enter>How was it?<^S>");
    device.shows("Week is due now, and then 0 20 * * SUN");
    device.press("<Enter>2<Enter>");
    device.shows("due in 1 day");
    device.at("2026-03-15T19:59:59Z");
    device.hides("due now");
    device.at("2026-03-15T20:00:00Z");
    device.shows("due now");
    device.at("2026-03-18T12:00:00Z");
    device.shows("due now");
    device.press("<Enter>3<Enter>");
    device.shows("due in 4 days");
    device.at("2026-03-22T20:00:00Z");
    device.shows("3 Assessments (1)");
}

#[test]
fn statistics_have_the_mean_mood_of_weeks_and_of_activities() {
    let (_folder, mut device) = device();
    device.press("nLong ago<Tab>1");
    device.press(&"<F3>".repeat(100));
    device.press("<Esc>nRain<Tab>2<Tab>tea<Enter>tea<Enter><Esc>nSun<Tab>5<Tab>tea<Enter>walk<Enter><Esc>2");
    device.shows("Mean mood by week · entries in 12 weeks: 2");
    device.shows("   3 times   mood 3.5");
    device.shows("   1 time    mood 5.0");
    let this_week = device.app.statistics.weeks.last().unwrap();
    assert_eq!((this_week.entries, this_week.mood), (2, Some(3.5)));
    assert!(this_week.monday <= device.app.journal.today());
}

#[test]
fn a_token_is_kept_for_its_owner_and_never_shown() {
    let (folder, mut device) = device();
    device.press("6<Down><Down><Down><Enter>afield_secret");
    device.hides("secret");
    device.press("<Enter>");
    device.hides("secret");
    device.shows("••••••••");
    let path = Settings::path(&folder.path().join("journal.db"));
    let kept = Settings::read(&path).unwrap();
    assert_eq!(kept.token.0, "afield_secret");
    assert!(!format!("{kept:?}").contains("secret"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    }
}

#[test]
fn what_cannot_be_done_is_said_with_what_helps() {
    let (_folder, mut device) = device();
    device.press("5c");
    device.shows("no relay is set; name one under Settings (6)");
    device.press("s");
    device.shows("sync is off: connect to a relay");
    device.press("6<Down><Down><Enter>http://example.org<Enter><Esc>5c");
    device.shows("ws://");
    device.press("6<Down><Down><Enter>not an id<Enter>");
    device.shows("that is not a journal's id");
    device.press("<Esc>5e0 20 * *<Enter>");
    device.shows("a schedule is `every 10 min`");
    device.press(" SUN<Enter>");
    device.shows("0 20 * * SUN (UTC)");
}

#[test]
fn every_page_fits_into_the_windows_of_old_terminals() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = [Size::new(80, 24), Size::new(60, 18), Size::new(120, 40)];
    let mut device = Device::open_in(&folder.path().join("journal.db"), sizes[0]);
    device.press(
        "nRain in the city of Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogoch<Tab>2<Tab>tea<Enter><Tab>",
    );
    device.press("日本語 and 🦀🦀🦀 ");
    device.press(&"words and words ".repeat(20));
    device.press("<Esc>3nSleep<Enter><Enter><Enter>How long?<^S>");
    for size in sizes {
        device.app.size = size;
        device.terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(size.width, size.height)).unwrap();
        for keys in ["1", "1/", "1t", "1<Enter>", "1h", "2", "3", "3n", "3<Enter>", "4", "5", "5e", "6", "6<Enter>"] {
            device.press(keys);
            let hints = device.app.hints();
            let screen = device.screen();
            for (key, meaning) in hints {
                assert!(
                    screen.contains(&format!("{key} {meaning}")),
                    "{key} is cut off at {size} after {keys}:\n{screen}"
                );
            }
            for tab in ["1 Days", "6 Settings", "sync is off"] {
                assert!(screen.contains(tab), "{tab} is cut off at {size} after {keys}:\n{screen}");
            }
            device.press("<Esc>");
        }
    }
    device.app.size = Size::new(40, 10);
    device.terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(40, 10)).unwrap();
    device.shows("The window is too small");
    assert_eq!(device.press("<^C>"), Flow::Quit);
}
