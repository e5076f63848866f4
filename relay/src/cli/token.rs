//! `token`: what devices sign in with.

use super::shown::{Shown, ago, as_json, left, or_dash, print_pages};
use super::user::say;
use super::{CommandError, TimeSpan, print_line};
use crate::log::Token;
use crate::log::accounts::{Accounts, NewToken};
use crate::operations::folder_of;
use crate::server::folder::{for_its_owner, this_user};
use crate::server::{DataFolder, SystemClock, SystemEntropy};
use crate::views::{NewTokenView, TokenView};
use afield_core::{Now, SpaceId};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;

/// Creates, lists and revokes tokens. A relay that runs on the same data folder notices within seconds.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token and show it, this once
    Create(CreateTokenCommand),
    /// List all tokens, never showing one
    List,
    /// Revoke a token: its devices are signed out within seconds
    Revoke {
        /// The number that `token list` shows
        number: i64,
    },
}

/// Creates a token.
#[derive(Debug, Args)]
pub struct CreateTokenCommand {
    /// Whose it is, as `user create` named it: all tokens of a user share that user's spaces. Without it, it is of the user `default`, which
    /// is there from the start: one person's devices need no other, people who share spaces need a user each
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// What you call it, such as the device it is for
    #[arg(long)]
    name: Option<String>,
    /// Only for this space; may be given more than once
    #[arg(long = "space", value_name = "ID")]
    spaces: Vec<SpaceId>,
    /// May read and not write
    #[arg(long)]
    read_only: bool,
    /// May not bring spaces to the relay that were made offline
    #[arg(long)]
    no_create_spaces: bool,
    /// For the administration of the relay over HTTP; it signs no device in
    #[arg(long, conflicts_with_all = ["spaces", "read_only", "no_create_spaces"])]
    admin: bool,
    /// How long it is good, such as 90d; for ever unless given
    #[arg(long, value_name = "TIME")]
    expires_in: Option<TimeSpan>,
    /// Write the token to a new file, for its owner alone, and do not print it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Why a token was not written to a file; there is no such token then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenFileError {
    #[error("{} is there already", path.display())]
    Exists { path: PathBuf },
    #[error("{user} may not write into {}", folder.display())]
    Forbidden { user: String, folder: PathBuf },
    #[error("{} could not be written", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A file with a token that is not good yet; dropped before it is kept, it is removed.
#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    is_kept: bool,
}

impl TokenCommand {
    pub(super) fn run(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        let now = SystemClock::start().now();
        match self {
            Self::Create(command) => command.run(&DataFolder::create(data)?, json, now),
            Self::List => list(&DataFolder::existing(data)?, json, now),
            Self::Revoke { number } => revoke(&DataFolder::existing(data)?, json, number, now),
        }
    }
}

impl CreateTokenCommand {
    fn run(self, folder: &DataFolder, json: bool, now: Now) -> Result<(), CommandError> {
        let token = Token::new(&mut SystemEntropy);
        let span_ms = self.expires_in.map(|span| i64::try_from(span.ms()).unwrap_or(i64::MAX));
        let new = NewToken {
            user: self.user,
            name: self.name,
            spaces: self.spaces,
            read_only: self.read_only,
            may_create: !self.no_create_spaces && !self.read_only && !self.admin,
            administers: self.admin,
            expires_wall_ms: span_ms.map(|ms| now.wall_ms.saturating_add(ms)),
        };
        let file = self.output.map(|path| TokenFile::write(path, &token)).transpose()?;
        let number = folder.open_log()?.create_token(&token, &new, now)?;
        if let Some(file) = file {
            let path = file.keep().display().to_string();
            let view = serde_json::json!({ "number": number, "file": path, "expires_ms": new.expires_wall_ms });
            return say(json, &view, &format!("Token {number} is in {path}, which its owner alone can read."));
        }
        if json {
            let token = token.reveal().to_owned();
            return print_line(&as_json(&NewTokenView { number, token, expires_ms: new.expires_wall_ms })?);
        }
        print_line(token.reveal())?;
        // Not on standard output, so that TOKEN=$(afield-relay token create) works.
        let holder = if self.admin { "It opens the administration of this relay" } else { "Give it to one device" };
        super::note(&format!("Token {number} is shown this once. {holder}; keep it out of URLs and logs."));
        Ok(())
    }
}

impl TokenFile {
    fn write(path: PathBuf, token: &Token) -> Result<Self, TokenFileError> {
        let mut file = match for_its_owner().create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(TokenFileError::Exists { path }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(TokenFileError::Forbidden { user: this_user(), folder: folder_of(&path).to_owned() });
            }
            Err(source) => return Err(TokenFileError::Write { path, source }),
        };
        let made = Self { path, is_kept: false };
        let written = writeln!(file, "{}", token.reveal()).and_then(|()| file.sync_all());
        written.map_err(|source| TokenFileError::Write { path: made.path.clone(), source })?;
        Ok(made)
    }

    fn keep(mut self) -> PathBuf {
        self.is_kept = true;
        std::mem::take(&mut self.path)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a file with a token that is no good could not be removed");
        }
    }
}

fn list(folder: &DataFolder, json: bool, now: Now) -> Result<(), CommandError> {
    let mut log = folder.open_log()?;
    let if_empty = "There is no token yet: afield-relay token create";
    print_pages::<_, TokenView>(|part| log.list_tokens(part), json, now, if_empty)
}

fn revoke(folder: &DataFolder, json: bool, number: i64, now: Now) -> Result<(), CommandError> {
    folder.open_log()?.revoke_token(number, now)?;
    let view = serde_json::json!({ "number": number, "revoked_ms": now.wall_ms });
    say(json, &view, &format!("Token {number} is revoked."))
}

impl Shown for TokenView {
    fn in_words(&self, now: Now) -> (Vec<String>, Vec<String>) {
        let state = match (self.revoked_ms, self.expires_ms) {
            (Some(ms), _) => format!("revoked {}", ago(ms, now)),
            (None, Some(ms)) if ms <= now.wall_ms => format!("expired {}", ago(ms, now)),
            (None, Some(ms)) => format!("good for {}", left(ms, now)),
            (None, None) => "good".to_owned(),
        };
        let spaces = self.spaces.as_ref().map_or_else(|| "all spaces".to_owned(), |spaces| spaces.join(" "));
        let rights = match (self.admin, self.signed, self.read_only, self.may_create_spaces) {
            (true, ..) => "administers the relay",
            (_, true, ..) => "as it was signed",
            (_, _, true, _) => "reads",
            (_, _, false, false) => "reads and writes",
            (_, _, false, true) => "reads, writes, creates spaces",
        };
        let names = vec![self.number.to_string(), self.user.clone(), or_dash(self.name.as_deref())];
        let created = format!("created {}", ago(self.created_ms, now));
        (names, vec![state, rights.to_owned(), spaces, created])
    }
}

#[cfg(test)]
mod tests {
    use super::super::shown::{as_page, as_text};
    use super::*;

    #[test]
    fn a_listed_token_says_whether_it_is_good() {
        let day = 86_400_000;
        let now = Now { wall_ms: 10 * day, monotonic_ms: 0 };
        let token = |name: Option<&str>, user: &str, expires_ms, revoked_ms| TokenView {
            number: 3,
            user: user.to_owned(),
            name: name.map(str::to_owned),
            spaces: None,
            read_only: false,
            may_create_spaces: true,
            admin: false,
            signed: false,
            created_ms: 8 * day,
            expires_ms,
            revoked_ms,
        };
        let with = |expires_ms, revoked_ms| as_text(&token(None, "ada", expires_ms, revoked_ms), now);
        assert_eq!(with(None, None), "3\tada\t-\tgood\treads, writes, creates spaces\tall spaces\tcreated 2d ago");
        let page = "3  ada  -\n   good\n   reads, writes, creates spaces\n   all spaces\n   created 2d ago";
        assert_eq!(as_page(&token(None, "ada", None, None), now), page);
        assert!(with(Some(13 * day), None).contains("good for 3d"));
        assert!(with(Some(9 * day), None).contains("expired 1d ago"));
        assert!(with(Some(13 * day), Some(6 * day)).contains("revoked 4d ago"));
        let hostile = as_text(&token(Some("\u{1b}[2Jphone\tgood"), "a\nb", None, None), now);
        assert_eq!(hostile.split('\t').take(4).collect::<Vec<_>>(), ["3", "a b", " [2Jphone good", "good"]);
    }
}
