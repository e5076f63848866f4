//! The terminal around the app: keys and news go in, and the window is drawn after each.

use crate::app::{App, Flow};
use crate::draw::draw;
use crate::failure::Failure;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyEventKind};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{Clear, ClearType};
use ratatui::layout::Size;
use std::io::{self, Write};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the clock of the status is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Runs an app in this terminal until it ends; whatever happens, the terminal is then as it was.
pub(crate) fn run(start: impl FnOnce(Size) -> Result<App, Failure>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(Failure::Terminal)?;
    let mut terminal = ratatui::try_init().map_err(Failure::Terminal)?;
    say_panics_of_this_thread();
    let result = execute!(io::stdout(), EnableBracketedPaste, Clear(ClearType::All))
        .and_then(|()| terminal.size())
        .map_err(Failure::Terminal)
        .and_then(start)
        .and_then(|mut app| runtime.block_on(drive(&mut app, &mut terminal)));
    restore();
    result
}

async fn drive(app: &mut App, terminal: &mut DefaultTerminal) -> Result<(), Failure> {
    let mut input = read_input();
    let mut clock = tokio::time::interval(TICK);
    loop {
        terminal.draw(|frame| draw(app, frame)).map_err(Failure::Terminal)?;
        tokio::select! {
            event = input.recv() => match event {
                Some(event) => if take_all(app, event, &mut input)? == Flow::Quit {
                    return Ok(());
                },
                None => return Ok(()),
            },
            () = app.changed() => {}
            _ = clock.tick() => app.refresh(),
        }
    }
}

/// Takes what was typed, and all that was typed meanwhile: the window is drawn once for it.
fn take_all(
    app: &mut App,
    first: io::Result<Event>,
    input: &mut mpsc::UnboundedReceiver<io::Result<Event>>,
) -> Result<Flow, Failure> {
    let mut next = Some(first);
    while let Some(event) = next {
        if take(app, &event.map_err(Failure::Terminal)?) == Flow::Quit {
            return Ok(Flow::Quit);
        }
        next = input.try_recv().ok();
    }
    app.refresh();
    Ok(Flow::Go)
}

fn take(app: &mut App, event: &Event) -> Flow {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => return app.key(key),
        Event::Paste(text) => app.paste(text),
        Event::Resize(width, height) => app.size = Size::new(*width, *height),
        _ => {}
    }
    Flow::Go
}

/// Reads what is typed, on a thread of its own since that waits; it ends with the program.
fn read_input() -> mpsc::UnboundedReceiver<io::Result<Event>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let is_last = event.is_err();
            if sender.send(event).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

/// Puts the terminal back before a panic of this thread is told. On the library's own threads a panic is caught and becomes an
/// error, and the window stays.
fn say_panics_of_this_thread() {
    let here = std::thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == here {
            restore();
            let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
            // Without its message, which may hold what somebody wrote.
            let _ = writeln!(io::stderr(), "journal: a defect{place}; what was written is stored");
        }
        afield::report_panic(info);
    }));
}

fn restore() {
    let _ = execute!(io::stdout(), DisableBracketedPaste);
    ratatui::restore();
}
