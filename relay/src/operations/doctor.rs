//! What is wrong with a relay's installation, and what to do about it.

use super::certificate;
use crate::causes::with_causes;
use crate::config::{Config, Loaded};
use crate::log::{LogHealth, MoreHealth, OpenLogError, health};
use crate::server::{DataFolder, FolderError};
use afield_core::Now;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
#[cfg(unix)]
use std::path::PathBuf;

const DAY_MS: i64 = 86_400_000;
/// How soon an end of a certificate or a token is soon: time enough for a person to see it and to act.
const CERTIFICATE_SOON_MS: i64 = 21 * DAY_MS;
const TOKEN_SOON_MS: i64 = 7 * DAY_MS;
/// A WAL above this is not emptied any more; a relay keeps it below 16 MiB unless somebody reads for long.
const WAL_BYTES_MAX: u64 = 256 << 20;
/// No clock that is right is before the first version of this program: 1 January 2025.
const CLOCK_MIN_MS: i64 = 1_735_689_600_000;
/// How far the clock may be behind what was noted already: those of two machines differ by that much.
const CLOCK_BEHIND_MS: i64 = 60_000;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Good,
    /// It works, and somebody should look at it.
    Warning,
    /// Something does not work, or will not.
    Problem,
}

impl Severity {
    /// A word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What was found in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: a word that does not change.
    pub about: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub words: String,
    /// What to do about it.
    pub next: Option<&'static str>,
}

/// Looks at everything that a relay with this configuration needs, also beside one that runs. Changes nothing.
pub fn examine(loaded: &Loaded, now: Now) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    findings.configuration(loaded);
    findings.proxy(loaded);
    findings.certificate(loaded, now);
    findings.clock(now);
    match DataFolder::existing(loaded.config.data.clone()) {
        Err(error @ FolderError::Forbidden { .. }) => {
            findings.problem("folder", error.to_string(), "run this as the user whose folder it is");
        }
        Err(error) => findings.problem(
            "folder",
            error.to_string(),
            "name the relay's folder with --data; `serve` and `token create` make a new one",
        ),
        Ok(folder) => {
            findings.folder(&folder);
            findings.disk(&folder, loaded);
            findings.relay(&folder);
            findings.left_overs(&folder);
            findings.log(&folder, loaded, now);
        }
    }
    findings.0
}

/// The number and the name of a log that a restore has replaced, of its own file or of one beside it.
fn replaced_log(name: &OsStr) -> Option<(u32, String)> {
    let (log, number) = name.to_str()?.split_once(".replaced-")?;
    let number = number.split('-').next()?;
    Some((number.parse().ok()?, format!("{log}.replaced-{number}")))
}

struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, about: &'static str, words: impl Into<String>) {
        self.0.push(Finding { about, severity: Severity::Good, words: words.into(), next: None });
    }

    fn warning(&mut self, about: &'static str, words: impl Into<String>, next: &'static str) {
        self.0.push(Finding { about, severity: Severity::Warning, words: words.into(), next: Some(next) });
    }

    fn problem(&mut self, about: &'static str, words: impl Into<String>, next: &'static str) {
        self.0.push(Finding { about, severity: Severity::Problem, words: words.into(), next: Some(next) });
    }

    fn configuration(&mut self, loaded: &Loaded) {
        match loaded.check() {
            Ok(()) => self.good("configuration", "a relay starts with it"),
            Err(error) => self.problem(
                "configuration",
                with_causes(&error),
                "`config print` shows every value and where it is from; `config check` checks again",
            ),
        }
    }

    fn proxy(&mut self, loaded: &Loaded) {
        let Config { behind_proxy, trusted_proxies, listen, tls, .. } = &loaded.config;
        let proxies: Vec<String> = trusted_proxies.as_slice().iter().map(ToString::to_string).collect();
        match &proxies[..] {
            [_, ..] => self.good("proxy", format!("believed for whom they ask: {}", proxies.join(", "))),
            [] if *behind_proxy => {
                let words = "the relay stands behind a proxy that is not trusted: nobody's address is known, and addresses are not limited";
                self.warning("proxy", words, "set trusted_proxies to the addresses of the proxy");
            }
            // Whether there is one is not written down; the log of a relay says so when one asks for others.
            [] if listen.ip().is_loopback() && tls.certificate.is_none() => self.good(
                "proxy",
                "none is told of; where one on this machine asks for devices, all of them count as one address unless trusted_proxies is \
                set, to \"127.0.0.1, ::1\"",
            ),
            [] => {}
        }
    }

    fn certificate(&mut self, loaded: &Loaded, now: Now) {
        let Some(path) = &loaded.config.tls.certificate else { return };
        let next = "renew the certificate, and start the relay again";
        if certificate::is_of_authority(path) {
            self.warning(
                "certificate",
                certificate::OF_AUTHORITY,
                "make one with basicConstraints CA:FALSE, as DEPLOYMENT.md says, and start the relay again",
            );
        }
        match certificate::not_after_ms(path) {
            None => self.problem(
                "certificate",
                format!("{} has no certificate that can be read", path.display()),
                "see whether the file is there, is PEM, and may be read by the relay's user",
            ),
            Some(end) if end <= now.wall_ms => {
                let days = (now.wall_ms - end) / DAY_MS;
                self.problem("certificate", format!("it ended {days} days ago: no device connects"), next);
            }
            Some(end) => {
                let left = end - now.wall_ms;
                let words = format!("good for {} days", left / DAY_MS);
                if left < CERTIFICATE_SOON_MS {
                    self.warning("certificate", words, next);
                } else {
                    self.good("certificate", words);
                }
            }
        }
    }

    fn clock(&mut self, now: Now) {
        if now.wall_ms < CLOCK_MIN_MS {
            let next =
                "set the clock; until then tokens that have ended are good, and what is noted has the wrong time";
            self.problem("clock", "the clock of this machine is years behind", next);
        }
    }

    #[cfg(unix)]
    fn folder(&mut self, folder: &DataFolder) {
        use std::os::unix::fs::MetadataExt;
        let strangers = self.strangers(folder);
        let mut is_good = strangers.is_empty();
        for path in [folder.path().to_owned(), folder.log_file()] {
            let Ok(found) = fs::metadata(&path) else { continue };
            if found.mode() & 0o077 != 0 {
                is_good = false;
                let words =
                    format!("others on this machine may use {} (mode {:o})", path.display(), found.mode() & 0o777);
                self.warning("folder", words, "take the rights of group and others away: chmod -R go= FOLDER");
            }
            let may_write = rustix::fs::access(&path, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK);
            if let Err(error) = may_write
                && !strangers.contains(&path)
            {
                is_good = false;
                let words = format!("this user may not write {}: {error}", path.display());
                self.problem("folder", words, "run this, and the relay, as the user whose folder it is");
            }
        }
        if is_good {
            self.good("folder", format!("{} is for its owner alone", folder.path().display()));
        }
    }

    /// What a relay of the folder's owner may not open, as it is of somebody else: a command that was run as root left it.
    #[cfg(unix)]
    fn strangers(&mut self, folder: &DataFolder) -> Vec<PathBuf> {
        use std::os::unix::fs::MetadataExt;
        let Ok(owner) = fs::metadata(folder.path()).map(|found| found.uid()) else { return Vec::new() };
        let is_strange = |path: &PathBuf| {
            let Ok(found) = fs::metadata(path) else { return false };
            // Root opens everything, and so does whoever the rights let in.
            owner != 0 && found.uid() != owner && found.mode() & 0o066 == 0
        };
        let strangers: Vec<_> = folder.own_files().into_iter().filter(is_strange).collect();
        for path in &strangers {
            let words = format!("a relay of the folder's owner (user {owner}) may not open {}", path.display());
            self.problem("folder", words, "as root: chown -R --reference=FOLDER FOLDER; and run commands as its owner");
        }
        strangers
    }

    #[cfg(not(unix))]
    fn folder(&mut self, folder: &DataFolder) {
        self.good("folder", folder.path().display().to_string());
    }

    #[cfg(unix)]
    fn disk(&mut self, folder: &DataFolder, loaded: &Loaded) {
        let floor = loaded.config.disk_free_min_percent.get();
        let next = "make room, or give the relay a larger disk; `compact` makes the log smaller";
        match rustix::fs::statvfs(folder.path()) {
            Err(error) => self.problem("disk", format!("it cannot be asked: {error}"), "see whether it is mounted"),
            Ok(found) => {
                let share = found.f_bavail.saturating_mul(100).checked_div(found.f_blocks).unwrap_or(0);
                let words = format!("{share} % of it is free; a relay appends while {floor} % is");
                if share < floor {
                    self.problem("disk", words, next);
                } else if share < floor.saturating_mul(2) {
                    self.warning("disk", words, next);
                } else {
                    self.good("disk", words);
                }
            }
        }
    }

    #[cfg(not(unix))]
    fn disk(&mut self, _: &DataFolder, _: &Loaded) {}

    fn relay(&mut self, folder: &DataFolder) {
        match folder.holder() {
            Some(Some(process)) => self.good("relay", format!("one runs on the folder (process {process})")),
            Some(None) => self.good("relay", "one runs on the folder"),
            None => self.warning("relay", "none runs on the folder", "start it: `serve`"),
        }
    }

    fn left_overs(&mut self, folder: &DataFolder) {
        let names = fs::read_dir(folder.path()).into_iter().flatten().flatten();
        for name in names.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
            if name.ends_with(".restoring") {
                let words = format!("a restore came to no end: {name}");
                self.warning("restore", words, "run it again; nothing was changed so far");
            }
        }
        self.replaced_logs(folder);
    }

    /// Logs that restores have replaced: they are as large as a log, and nobody else removes them.
    fn replaced_logs(&mut self, folder: &DataFolder) {
        let entries = fs::read_dir(folder.path()).into_iter().flatten().flatten();
        let size = |entry: fs::DirEntry| Some((replaced_log(&entry.file_name())?, entry.metadata().ok()?.len()));
        let mut kept: BTreeMap<(u32, String), u64> = BTreeMap::new();
        for (log, bytes) in entries.filter_map(size) {
            *kept.entry(log).or_default() += bytes;
        }
        if kept.is_empty() {
            return;
        }
        let named: Vec<String> = kept.iter().map(|((_, name), bytes)| format!("{name} ({bytes} B)")).collect();
        let all: u64 = kept.values().sum();
        let words = format!("logs that restores have replaced are kept, {all} B in all: {}", named.join(", "));
        self.warning(
            "restore",
            words,
            "once the devices have synced with the restored log and nobody misses anything, in the data folder: rm log.sqlite.replaced-NUMBER*",
        );
    }

    fn log(&mut self, folder: &DataFolder, loaded: &Loaded, now: Now) {
        let health = match health(&folder.log_file(), now.wall_ms, now.wall_ms.saturating_add(TOKEN_SOON_MS)) {
            Ok(health) => health,
            Err(error) => return self.log_that_does_not_open(&error),
        };
        let LogHealth { version: (found, supported), wal_bytes, more } = health;
        if wal_bytes > WAL_BYTES_MAX {
            let words = format!("{wal_bytes} B were committed and are not in the log's file yet");
            self.warning("wal", words, "end what reads the log all the time; starting the relay again empties it");
        }
        let Some(more) = more else {
            let words = format!("it has version {found}, and this program makes version {supported}");
            return if found < supported {
                let next = "make a backup; stop the relay where one runs, which is an older one; then `serve`, or any other command, brings it there";
                self.warning("log", words, next)
            } else {
                self.problem("log", words, "use a newer afield-relay")
            };
        };
        let figures = more.figures;
        self.good("log", format!("{} B; spaces: {}, chunks: {}", figures.bytes, figures.spaces, figures.chunks));
        self.tokens(&more, loaded);
        if more.unfinished_purges > 0 {
            let words = format!("{} purged entities are still packed with others", more.unfinished_purges);
            self.warning("purge", words, "a relay takes them out within minutes; `compact` does it at once");
        }
        if more.unfinished_spaces > 0 {
            let words =
                format!("of {} purged spaces something is still there, which nobody is served", more.unfinished_spaces);
            self.warning(
                "purge",
                words,
                "where no purge runs just now, one was stopped: `purge space SPACE --confirm` completes it",
            );
        }
        let behind = more.newest_ms.unwrap_or(i64::MIN).saturating_sub(now.wall_ms);
        if behind > CLOCK_BEHIND_MS {
            let words = format!("the clock is {} s behind what was noted already", behind / 1_000);
            self.problem("clock", words, "set the clock; until then tokens that have ended are good, and who was signed out may not get in with new ones");
        } else if now.wall_ms >= CLOCK_MIN_MS {
            self.good("clock", "not behind anything that was noted");
        }
    }

    fn log_that_does_not_open(&mut self, error: &OpenLogError) {
        let next = match error {
            OpenLogError::Torn | OpenLogError::Damaged(_) | OpenLogError::Empty => {
                "stop the relay and put a backup in place: `restore FILE --replace`; devices bring what it lacks"
            }
            OpenLogError::NotOpened { why, .. } => why.next(),
            _ => "see what it is; the relay's log is log.sqlite in the data folder",
        };
        self.problem("log", with_causes(error), next);
    }

    fn tokens(&mut self, more: &MoreHealth, loaded: &Loaded) {
        let MoreHealth { tokens_for_ever, admin_tokens_for_ever, tokens_ending, figures, .. } = more;
        // Those that an app's backend signs come by themselves.
        let lets_devices_in = more.lets_devices_in || loaded.config.jwt.options().is_some();
        if !lets_devices_in {
            let words = match figures.tokens {
                0 => "no device can sign in yet",
                _ => "no device can sign in now: no token of a device is good, as after a restore",
            };
            self.warning(
                "tokens",
                words,
                "create a user and a token: `user create NAME`, then `token create --user NAME`",
            );
        }
        if *admin_tokens_for_ever > 0 {
            let words = format!("of the administration, without an end: {admin_tokens_for_ever}");
            self.warning("tokens", words, "replace them by some that end: `token create --admin --expires-in 90d`");
        }
        if !tokens_ending.is_empty() {
            let numbers: Vec<String> = tokens_ending.iter().map(i64::to_string).collect();
            let words = format!("these end within a week: {}", numbers.join(", "));
            self.warning("tokens", words, "give their devices new ones: `token create`, then `token revoke`");
        }
        if lets_devices_in {
            self.good("tokens", format!("without an end: {tokens_for_ever}; `token revoke` ends one that is lost"));
        }
    }
}
