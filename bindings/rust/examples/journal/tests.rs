//! The app, driven by keys and looked at as a person would: with real stores, and with a real relay between two devices.

mod one_device;
mod signing_in;
#[cfg(unix)]
mod terminal;
mod two_devices;
mod writing;

use crate::app::{App, Flow};
use crate::draw::draw;
use crate::journal::Journal;
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Size;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long something may take that needs another thread.
const PATIENCE: Duration = Duration::from_secs(60);

/// The app on one device, in a window of a size.
struct Device {
    app: App,
    terminal: Terminal<TestBackend>,
    clock: Arc<Mutex<Option<jiff::Timestamp>>>,
}

impl Device {
    fn open(store: &Path) -> Self {
        Self::open_in(store, Size::new(100, 30))
    }

    fn open_in(store: &Path, size: Size) -> Self {
        let clock = Arc::<Mutex<Option<jiff::Timestamp>>>::default();
        let shown = clock.clone();
        let now = move || shown.lock().unwrap().unwrap_or_else(jiff::Timestamp::now);
        let journal = Journal::open(store, TimeZone::UTC, Arc::new(now)).unwrap();
        let terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
        Self { app: App::new(journal, size).unwrap(), terminal, clock }
    }

    /// Lets it be a moment, until another is set; what looks at the time by itself has looked.
    fn at(&mut self, moment: &str) {
        *self.clock.lock().unwrap() = Some(moment.parse().unwrap());
        self.app.refresh();
    }

    /// Presses keys: characters as they are, others by name, as in `n<Tab>4<Esc>` or `<^Z>`.
    fn press(&mut self, keys: &str) -> Flow {
        let mut flow = Flow::Go;
        let mut rest = keys.chars();
        while let Some(character) = rest.next() {
            let key = match character {
                '<' => named(&rest.by_ref().take_while(|character| *character != '>').collect::<String>()),
                character => KeyEvent::from(KeyCode::Char(character)),
            };
            flow = self.app.key(&key);
        }
        self.app.refresh();
        flow
    }

    /// The window as text.
    fn screen(&mut self) -> String {
        let app = &self.app;
        self.terminal.draw(|frame| draw(app, frame)).unwrap();
        self.terminal.backend().to_string()
    }

    #[track_caller]
    fn shows(&mut self, text: &str) {
        let screen = self.screen();
        assert!(screen.contains(text), "{text:?} is not shown:\n{screen}");
    }

    #[track_caller]
    fn hides(&mut self, text: &str) {
        let screen = self.screen();
        assert!(!screen.contains(text), "{text:?} is shown:\n{screen}");
    }

    /// Waits, without a key, until something is shown.
    async fn comes_to_show(&mut self, text: &str) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !self.screen().contains(text) {
                self.app.changed().await;
            }
        });
        let is_shown = waited.await.is_ok();
        assert!(is_shown, "{text:?} did not come:\n{}", self.screen());
    }
}

fn named(name: &str) -> KeyEvent {
    if let Some(letter) = name.strip_prefix('^') {
        let letter = letter.chars().next().unwrap().to_ascii_lowercase();
        return KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
    }
    KeyEvent::from(match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Backspace" => KeyCode::Backspace,
        "Delete" => KeyCode::Delete,
        "F2" => KeyCode::F(2),
        "F3" => KeyCode::F(3),
        "F4" => KeyCode::F(4),
        other => panic!("no key is called {other}"),
    })
}
