//! The app in a real terminal. What is run there is this very program, once more: no other one holds the app when its tests run.

use super::PATIENCE;
use crate::failure::Failure;
use crate::{Arguments, start, terminal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// Says to the program of the tests that it is the app, and with which store.
const STORE: &str = "AFIELD_JOURNAL_TEST_STORE";

/// A program in a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    news: Receiver<Vec<u8>>,
    shown: String,
}

impl Terminal {
    /// Runs one of the ignored tests below.
    fn start(name: &str, store: &Path) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(slave).unwrap();
        tcsetwinsize(&slave, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let side = || slave.try_clone().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("tests::terminal::{name}"), "--ignored", "--nocapture"]);
        command.env(STORE, store).env("TERM", "xterm-256color").stdin(side()).stdout(side()).stderr(side());
        let child = command.spawn().unwrap();
        drop((command, slave));
        let keys = File::from(master);
        let (mut from, (to, news)) = (keys.try_clone().unwrap(), channel());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Linux tells the end of a terminal by an error.
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                let _ = to.send(buffer[..read].to_vec());
            }
        });
        Self { child, keys, news, shown: String::new() }
    }

    /// Waits until this was sent to the terminal.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let since = Instant::now();
        while !self.shown.contains(text) {
            let news = self.news.recv_timeout(PATIENCE.saturating_sub(since.elapsed()));
            let Ok(news) = news else { panic!("{text:?} is missing in {:?}", self.shown) };
            self.shown.push_str(&String::from_utf8_lossy(&news));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether what is typed is taken line by line and shown, as a shell wants it.
    fn is_as_a_shell_wants_it(&self) -> bool {
        tcgetattr(&self.keys).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Waits for the end; gives the exit code and everything that was sent.
    fn end(&mut self) -> (i32, String) {
        let since = Instant::now();
        while let Ok(news) = self.news.recv_timeout(PATIENCE.saturating_sub(since.elapsed())) {
            self.shown.push_str(&String::from_utf8_lossy(&news));
        }
        assert!(since.elapsed() < PATIENCE, "it goes on: {:?}", self.shown);
        (self.child.wait().unwrap().code().unwrap_or(-1), self.shown.clone())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ENTERS: &str = "\u{1b}[?1049h";
const LEAVES: &str = "\u{1b}[?1049l";
const SHOWS_CURSOR: &str = "\u{1b}[?25h";

/// What was sent after the window was left, which has the cursor again, and on which nothing acts as in the window any more.
#[track_caller]
fn given_back(sent: &str) -> &str {
    let (window, after) = sent.rsplit_once(LEAVES).unwrap_or_else(|| panic!("the window is not left: {sent:?}"));
    assert!(window.contains(ENTERS) && !after.contains(ENTERS), "{sent:?}");
    let hides = sent.rfind("\u{1b}[?25l");
    assert!(hides <= sent.rfind(SHOWS_CURSOR), "the cursor stays away: {sent:?}");
    assert!(sent.rfind("\u{1b}[?2004h") < sent.rfind("\u{1b}[?2004l"), "pasting stays bracketed: {sent:?}");
    after
}

#[test]
fn the_app_draws_takes_keys_and_gives_the_terminal_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("journal.db");
    for leave in ["q", "\u{3}"] {
        let mut terminal = Terminal::start("the_app_itself", &store);
        // What is blank already is not drawn, so that words are sent one by one.
        terminal.until("1 Days");
        terminal.until("quit");
        assert!(!terminal.is_as_a_shell_wants_it(), "each key is taken as it is typed");
        terminal.press("6");
        terminal.until("histories");
        terminal.press(leave);
        let (code, sent) = terminal.end();
        assert_eq!(code, 0, "{sent:?}");
        given_back(&sent);
        assert!(terminal.is_as_a_shell_wants_it());
    }
}

#[test]
fn what_fails_before_the_window_is_there_is_told_in_the_terminal_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start("the_app_itself", folder.path());
    let (code, sent) = terminal.end();
    assert!(code == 1 && sent.contains("journal: "), "{sent:?}");
    assert!(!sent.contains('\u{1b}'), "{sent:?}");
    assert!(terminal.is_as_a_shell_wants_it());
}

#[test]
fn what_fails_in_the_window_is_told_once_the_terminal_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    for (name, code, told) in
        [("a_start_that_fails", 1, "no relay is set"), ("a_start_that_panics", 101, "journal: a defect at ")]
    {
        let mut terminal = Terminal::start(name, folder.path());
        let (ended, sent) = terminal.end();
        assert_eq!(ended, code, "{name}: {sent:?}");
        assert!(given_back(&sent).contains(told), "{name}: {sent:?}");
        assert!(terminal.is_as_a_shell_wants_it(), "{name}");
    }
}

/// The store of the app; none where nobody runs these tests in a terminal.
fn store() -> Option<PathBuf> {
    std::env::var_os(STORE).map(PathBuf::from)
}

#[test]
#[ignore = "another test runs it in a terminal"]
fn the_app_itself() {
    let Some(store) = store() else { return };
    let code = start(Arguments { store: Some(store) });
    std::process::exit(if code == ExitCode::SUCCESS { 0 } else { 1 });
}

#[test]
#[ignore = "another test runs it in a terminal"]
fn a_start_that_fails() {
    let Some(_) = store() else { return };
    let failed = terminal::run(|_| Err(Failure::NoRelay)).unwrap_err();
    eprintln!("{}", failed.in_words());
    std::process::exit(1);
}

#[test]
#[ignore = "another test runs it in a terminal"]
fn a_start_that_panics() {
    let Some(store) = store() else { return };
    let _ = terminal::run(|_| panic!("in {}", store.display()));
}
