//! `token`: what devices sign in with.

use super::{CommandError, TimeSpan, print_line, print_line_if_read, printable};
use crate::log::{NewToken, Token, TokenSummary};
use crate::server::{DataFolder, SystemClock, SystemEntropy};
use afield_core::{Now, SpaceId};
use clap::{Args, Subcommand};
use std::io::{self, IsTerminal};
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
    /// Whose it is: all tokens of a user share that user's spaces
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
    /// How long it is good, such as 90d; for ever unless given
    #[arg(long, value_name = "TIME")]
    expires_in: Option<TimeSpan>,
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
            may_create: !self.no_create_spaces && !self.read_only,
            expires_wall_ms: span_ms.map(|ms| now.wall_ms.saturating_add(ms)),
        };
        let number = folder.open_log()?.create_token(&token, &new, now)?;
        if json {
            let line = serde_json::json!({
                "number": number,
                "token": token.reveal(),
                "expires_ms": new.expires_wall_ms,
            });
            return print_line(&line.to_string());
        }
        print_line(token.reveal())?;
        // Not on standard output, so that TOKEN=$(afield-relay token create) works.
        super::note(&format!(
            "Token {number} is shown this once. Give it to one device; keep it out of URLs and logs."
        ));
        Ok(())
    }
}

fn list(folder: &DataFolder, json: bool, now: Now) -> Result<(), CommandError> {
    let tokens = folder.open_log()?.tokens()?;
    let is_for_a_person = io::stdout().is_terminal();
    for token in &tokens {
        print_line_if_read(&match (json, is_for_a_person) {
            (true, _) => as_json(token),
            (false, true) => as_page(token, now),
            (false, false) => as_text(token, now),
        })?;
    }
    if tokens.is_empty() && !json {
        super::note("There is no token yet: afield-relay token create");
    }
    Ok(())
}

fn revoke(folder: &DataFolder, json: bool, number: i64, now: Now) -> Result<(), CommandError> {
    if !folder.open_log()?.revoke_token(number, now)? {
        return Err(CommandError::NoSuchToken(number));
    }
    if json {
        return print_line_if_read(&serde_json::json!({ "number": number, "revoked_ms": now.wall_ms }).to_string());
    }
    print_line_if_read(&format!("Token {number} is revoked."))
}

fn as_json(token: &TokenSummary) -> String {
    let spaces = token.spaces.as_ref().map(|spaces| spaces.iter().map(SpaceId::to_string).collect::<Vec<_>>());
    serde_json::json!({
        "number": token.number,
        "user": token.user,
        "name": token.name,
        "spaces": spaces,
        "read_only": token.read_only,
        "may_create_spaces": token.may_create,
        "created_ms": token.created_wall_ms,
        "expires_ms": token.expires_wall_ms,
        "revoked_ms": token.revoked_wall_ms,
    })
    .to_string()
}

/// For a program: what there is between tabs.
fn as_text(token: &TokenSummary, now: Now) -> String {
    in_words(token, now).join("\t")
}

/// For a person: whose it is, and below that what it is good for, in lines that fit a narrow terminal.
fn as_page(token: &TokenSummary, now: Now) -> String {
    let [number, user, name, state, rights, spaces, created] = in_words(token, now);
    let spaces = if token.spaces.is_some() { spaces.replace(' ', "\n   ") } else { spaces };
    format!("{number}  {user}  {name}\n   {state}, {created}\n   {rights}\n   {spaces}")
}

/// Number, user, name, state, rights, spaces and age.
fn in_words(token: &TokenSummary, now: Now) -> [String; 7] {
    let ago = |ms: i64| TimeSpan::from_ms(now.wall_ms.saturating_sub(ms).max(0).unsigned_abs());
    let until = |ms: i64| TimeSpan::from_ms(ms.saturating_sub(now.wall_ms).max(0).unsigned_abs());
    let state = match (token.revoked_wall_ms, token.expires_wall_ms) {
        (Some(ms), _) => format!("revoked {} ago", ago(ms)),
        (None, Some(ms)) if ms <= now.wall_ms => format!("expired {} ago", ago(ms)),
        (None, Some(ms)) => format!("good for {}", until(ms)),
        (None, None) => "good".to_owned(),
    };
    let spaces = match &token.spaces {
        None => "all spaces".to_owned(),
        Some(spaces) => spaces.iter().map(SpaceId::to_string).collect::<Vec<_>>().join(" "),
    };
    let rights = match (token.read_only, token.may_create) {
        (true, _) => "reads",
        (false, false) => "reads and writes",
        (false, true) => "reads, writes, creates spaces",
    };
    let (user, name) = (printable(&token.user), printable(token.name.as_deref().unwrap_or("-")));
    let created = format!("created {} ago", ago(token.created_wall_ms));
    [token.number.to_string(), user, name, state, rights.to_owned(), spaces, created]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_token_says_whether_it_is_good() {
        let day = 86_400_000;
        let now = Now { wall_ms: 10 * day, monotonic_ms: 0 };
        let token = TokenSummary {
            number: 3,
            user: "ada".to_owned(),
            name: None,
            spaces: None,
            read_only: false,
            may_create: true,
            created_wall_ms: 8 * day,
            expires_wall_ms: None,
            revoked_wall_ms: None,
        };
        assert_eq!(as_text(&token, now), "3\tada\t-\tgood\treads, writes, creates spaces\tall spaces\tcreated 2d ago");
        let page = "3  ada  -\n   good, created 2d ago\n   reads, writes, creates spaces\n   all spaces";
        assert_eq!(as_page(&token, now), page);
        let with = |expires_wall_ms, revoked_wall_ms| {
            as_text(&TokenSummary { expires_wall_ms, revoked_wall_ms, ..token.clone() }, now)
        };
        assert!(with(Some(13 * day), None).contains("good for 3d"));
        assert!(with(Some(9 * day), None).contains("expired 1d ago"));
        assert!(with(Some(13 * day), Some(6 * day)).contains("revoked 4d ago"));
        let name = Some("\u{1b}[2Jphone\tgood".to_owned());
        let hostile = as_text(&TokenSummary { name, user: "a\nb".to_owned(), ..token.clone() }, now);
        assert_eq!(hostile.split('\t').take(4).collect::<Vec<_>>(), ["3", "a b", " [2Jphone good", "good"]);
    }
}
