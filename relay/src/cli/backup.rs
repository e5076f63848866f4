//! `backup` and `restore`: the log as one file, and back.

use super::progress::Progress;
use super::shown::counted;
use super::user::say;
use super::{CommandError, note};
use crate::config::{Flags, Sources};
use crate::log::LogFigures;
use crate::operations::{BackupOptions, RestoreOptions, Restored, back_up, restore};
use crate::server::{DataFolder, SystemClock};
use clap::Args;
use std::path::PathBuf;

/// Copies the log into one file, also while the relay runs. The file is there when the copy is whole, checked and on the disk. Where it does not fit, or
/// would leave the disk of the log less than disk_free_min_percent, nothing is written.
#[derive(Debug, Args)]
pub struct BackupCommand {
    /// The file to make
    file: PathBuf,
    /// Replace a file of that name
    #[arg(long)]
    force: bool,
}

/// What a restore cannot know, whatever becomes of tokens.
const AS_OF_BACKUP: &str = "members of spaces, their roles and closed accounts are those of the backup: who was removed, closed or purged since \
    then is back, and can get a new token or be signed in by an app's backend";

/// What a restore cannot know of spaces: who was a member of one that the backup lacks.
const NEWER_SPACES: &str = "spaces that the backup lacks come back with the devices of their owners (or by `space create`), and without their other members: \
    `space grant` lets those in again";

/// Puts a backup in the place of the log, on which no relay may run. All tokens in it are revoked, also what an app's backend has signed
/// so far, all users signed out and all invitations withdrawn. Who is a member of what, and whose account is closed, is as it was. Devices bring what the backup lacks once they are signed in.
#[derive(Debug, Args)]
pub struct RestoreCommand {
    /// The backup
    file: PathBuf,
    /// Put it in the place of a log that holds something; that one is kept beside it
    #[arg(long)]
    replace: bool,
    /// Let all tokens, sign-ins and invitations be good that were good when the backup was made, also those ended since
    #[arg(long)]
    keep_access: bool,
}

impl BackupCommand {
    pub(super) fn run(self, config: Option<PathBuf>, data: Option<PathBuf>, json: bool) -> Result<(), CommandError> {
        let Self { file, force } = self;
        let config = Sources::of_process(config, data, Flags::default()).load()?.config;
        let disk_free_min_percent = u8::try_from(config.disk_free_min_percent.get()).unwrap_or(u8::MAX);
        let options = BackupOptions { replaces: force, disk_free_min_percent };
        let mut progress = Progress::new(json);
        let made = back_up(&DataFolder::existing(config.data)?, &file, options, &mut |done, total| {
            progress.show_bytes("copied", done, total);
        });
        progress.clear();
        let figures = made?;
        let mut view = view(&figures);
        view.insert("file".to_owned(), file.display().to_string().into());
        let text = format!("{} is a whole copy: {}.", file.display(), in_words(&figures));
        say(json, &view, &text)
    }
}

impl RestoreCommand {
    pub(super) fn run(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        let Self { file, replace, keep_access } = self;
        let mut progress = Progress::new(json);
        let options = RestoreOptions { replaces: replace, keeps_access: keep_access };
        let restored = restore(data, &file, options, SystemClock::start().now(), &mut |done, total| {
            progress.show_bytes("copied", done, total);
        });
        progress.clear();
        let Restored { figures, kept, ended } = restored?;
        let kept = kept.map(|path| path.display().to_string());
        let mut view = view(&figures);
        view.insert("kept".to_owned(), kept.clone().into());
        view.insert("revoked_tokens".to_owned(), ended.map(|ended| ended.tokens).into());
        view.insert("withdrawn_invitations".to_owned(), ended.map(|ended| ended.invitations).into());
        view.insert("warning".to_owned(), AS_OF_BACKUP.into());
        view.insert("newer_spaces".to_owned(), NEWER_SPACES.into());
        say(json, &view, &format!("The backup is in place: {}.", in_words(&figures)))?;
        if json {
            return Ok(());
        }
        if let Some(kept) = kept {
            note(&format!("The log that was there is {kept}; remove it when it is not needed any more."));
        }
        note(&match ended {
            Some(ended) => format!(
                "{} and {} of before are over, with all that an app's backend signed so far, and everybody is signed out.\n  next: `token create` for each device, \
                then `serve`; the devices bring what the backup lacks",
                counted(ended.tokens, "token"),
                counted(ended.invitations, "invitation"),
            ),
            None => "Tokens and invitations are as they were when the backup was made: those ended since are good again.\n  \
                     next: `token list`, `token revoke`, then `serve`; the devices bring what the backup lacks"
                .to_owned(),
        });
        note(&format!(
            "But {AS_OF_BACKUP}.\n  next: `user list`, `space list` and `space members`, before you `serve`"
        ));
        note(&format!("And {NEWER_SPACES}."));
        Ok(())
    }
}

fn view(figures: &LogFigures) -> serde_json::Map<String, serde_json::Value> {
    let LogFigures { version, bytes, spaces, chunks, users, tokens } = figures;
    let figures = [("bytes", bytes), ("spaces", spaces), ("chunks", chunks), ("users", users), ("tokens", tokens)];
    let figures = figures.map(|(name, figure)| (name.to_owned(), (*figure).into()));
    figures.into_iter().chain([("version".to_owned(), (*version).into())]).collect()
}

fn in_words(figures: &LogFigures) -> String {
    let LogFigures { bytes, spaces, chunks, .. } = figures;
    format!("{bytes} B, {}, {}", counted(*spaces, "space"), counted(*chunks, "chunk"))
}
