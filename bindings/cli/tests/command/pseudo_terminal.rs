//! The real binary on a terminal of its own.

use console::strip_ansi_codes;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take to show: a hundred times what it needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command on a terminal of its own.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

#[derive(Default)]
struct Shown {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Terminal {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::sized(command, 80, 24)
    }

    /// On a terminal of so many columns and rows.
    pub(crate) fn sized(command: &mut Command, columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        tcsetwinsize(&slave, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let side = || slave.try_clone().unwrap();
        let is_set =
            |command: &Command, wanted: &str| command.get_envs().any(|(name, value)| name == wanted && value.is_some());
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
            if !is_set(command, name) {
                command.env_remove(name);
            }
        }
        if !is_set(command, "TERM") {
            command.env("TERM", "xterm-256color");
        }
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        // The command keeps a copy of its end, which would keep the terminal open.
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        drop(slave);
        let keys = File::from(master);
        let shown = Arc::<(Mutex<Shown>, Condvar)>::default();
        let (mut from, to) = (keys.try_clone().unwrap(), shown.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                // Linux tells the end of a terminal by an error.
                let read = from.read(&mut buffer).unwrap_or(0);
                let mut shown = to.0.lock().unwrap();
                shown.bytes.extend_from_slice(&buffer[..read]);
                shown.is_over = read == 0;
                to.1.notify_all();
                if shown.is_over {
                    return;
                }
            }
        });
        Self { child, keys, shown }
    }

    /// Waits until this is shown, with colours and the like left out.
    #[track_caller]
    pub(crate) fn until(&self, text: &str) {
        let since = Instant::now();
        let (shown, changed) = &*self.shown;
        let mut shown = shown.lock().unwrap();
        while !plain(&shown.bytes).contains(text) {
            let time = PATIENCE.saturating_sub(since.elapsed());
            assert!(!shown.is_over && !time.is_zero(), "{text:?} is missing in {:?}", plain(&shown.bytes));
            shown = changed.wait_timeout(shown, time).unwrap().0;
        }
    }

    /// Waits until what is typed is shown no more; what was typed before that is forgotten.
    pub(crate) fn until_typing_is_hidden(&self) {
        let since = Instant::now();
        while tcgetattr(&self.keys).unwrap().local_modes.contains(LocalModes::ECHO) {
            assert!(since.elapsed() < PATIENCE, "what is typed is shown");
            std::thread::yield_now();
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// What Ctrl-C does where the terminal belongs to the command.
    pub(crate) fn interrupt(&self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    }

    /// Waits for the end; gives the exit code and everything that was sent to the terminal.
    pub(crate) fn end(mut self) -> (i32, String) {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let (shown, changed) = &*self.shown;
        let shown = changed.wait_while(shown.lock().unwrap(), |shown| !shown.is_over).unwrap();
        (code, String::from_utf8(shown.bytes.clone()).unwrap().replace("\r\n", "\n"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plain(bytes: &[u8]) -> String {
    strip_ansi_codes(&String::from_utf8_lossy(bytes)).replace("\r\n", "\n")
}
