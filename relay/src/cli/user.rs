//! `user`: whose devices sign in.

use super::shown::{Shown, ago, as_json, counted, print_pages};
use super::{CommandError, note, print_line_if_read};
use crate::log::accounts::Accounts;
use crate::server::{DataFolder, SystemClock};
use crate::views::{SignedOutView, UserView};
use afield_core::Now;
use clap::Subcommand;
use std::path::PathBuf;

/// Makes, lists, closes and signs out users. A relay that runs on the same data folder notices within seconds.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user; its devices sign in with tokens of `token create --user`
    Create {
        /// Its name
        name: String,
    },
    /// List all users
    List,
    /// Close an account: none of its devices gets in until it is opened again
    Disable {
        /// Its name
        name: String,
    },
    /// Open a closed account again
    Enable {
        /// Its name
        name: String,
    },
    /// Sign out everything of a user: all its tokens end, and its devices keep their unsent work
    SignOut {
        /// Its name
        name: String,
    },
}

impl UserCommand {
    pub(super) fn run(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        let now = SystemClock::start().now();
        if let Self::Create { name } = self {
            DataFolder::create(data)?.open_log()?.create_user(&name, now)?;
            return say(json, &serde_json::json!({ "name": name }), &format!("User {name} is made."));
        }
        let mut log = DataFolder::existing(data)?.open_log()?;
        match self {
            Self::Create { .. } => Ok(()),
            Self::List => print_pages::<_, UserView>(|part| log.list_users(part), json, now, "There is no user."),
            Self::Disable { name } => {
                log.set_user_enabled(&name, false, now)?;
                say(json, &serde_json::json!({ "name": name, "disabled": true }), &format!("User {name} is closed."))
            }
            Self::Enable { name } => {
                log.set_user_enabled(&name, true, now)?;
                say(json, &serde_json::json!({ "name": name, "disabled": false }), &format!("User {name} is open."))
            }
            Self::SignOut { name } => {
                let signed_out = SignedOutView::from(log.sign_out_user(&name, now)?);
                let ended = counted(signed_out.revoked_tokens.len() as u64, "token");
                say(json, &signed_out, &format!("Everything of {name} is signed out: {ended} ended."))
            }
        }
    }
}

/// Says what was done.
pub(super) fn say(json: bool, view: &impl serde::Serialize, text: &str) -> Result<(), CommandError> {
    print_line_if_read(&if json { as_json(view)? } else { text.to_owned() })
}

/// Says what signing out a device means for others who have its tokens.
pub(super) fn warn_of_others(signed_out: &SignedOutView, json: bool) {
    if json {
        return;
    }
    for token in &signed_out.shared_tokens {
        note(&format!("Other devices used token {token}, too: each of them needs a new one (`token create`)."));
    }
    for token in &signed_out.kept_tokens {
        note(&format!(
            "Token {token} stays good: whoever holds it signs in with it as a new device. End it with `token revoke {token}`."
        ));
    }
}

impl Shown for UserView {
    fn in_words(&self, now: Now) -> (Vec<String>, Vec<String>) {
        let state = self.disabled_ms.map_or_else(|| "open".to_owned(), |ms| format!("closed {}", ago(ms, now)));
        let has = [(self.spaces, "space"), (self.tokens, "token"), (self.devices, "device")];
        let has = has.map(|(count, noun)| counted(count, noun)).join(", ");
        let signed = self.issuer.as_ref().map(|issuer| format!("signed in by {issuer}"));
        // The default user has no time of its own: it comes with the file.
        let made = if self.created_ms == 0 {
            "there from the start".to_owned()
        } else {
            format!("made {}", ago(self.created_ms, now))
        };
        let lines = [state, has, made];
        (vec![self.name.clone()], lines.into_iter().chain(signed).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::shown::{as_page, as_text};
    use super::*;

    #[test]
    fn a_listed_user_says_what_it_has_and_whether_it_gets_in() {
        let day = 86_400_000;
        let now = Now { wall_ms: 10 * day, monotonic_ms: 0 };
        let user = |disabled_ms, issuer: Option<&str>| UserView {
            name: "ada".to_owned(),
            created_ms: 8 * day,
            disabled_ms,
            issuer: issuer.map(str::to_owned),
            spaces: 1,
            tokens: 2,
            devices: 0,
        };
        assert_eq!(as_text(&user(None, None), now), "ada\topen\t1 space, 2 tokens, 0 devices\tmade 2d ago");
        let page = as_page(&user(Some(9 * day), Some("https://app.example")), now);
        assert!(page.contains("closed 1d ago") && page.ends_with("signed in by https://app.example"), "{page}");
    }
}
