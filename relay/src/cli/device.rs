//! `device`: what has signed in.

use super::CommandError;
use super::shown::{Shown, ago, counted, or_dash, print_rows};
use super::user::{say, warn_of_others};
use crate::log::accounts::{AccountError, Accounts, ShownTokens};
use crate::log::{Part, SqliteLog};
use crate::server::{DataFolder, SystemClock};
use crate::views::{DeviceView, SignedOutView};
use afield_core::{DeviceId, Now};
use clap::Subcommand;
use std::path::PathBuf;

/// Lists, names and signs out devices. A relay that runs on the same data folder notices within seconds.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// List devices, user by user, of each the one that was here last first
    List {
        /// Only those of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Give a device a name
    Name {
        /// Whose it is
        #[arg(value_name = "USER")]
        user: String,
        /// The device
        #[arg(value_name = "DEVICE")]
        device: DeviceId,
        /// Its name
        name: String,
    },
    /// Sign a device out: all tokens that it has shown end, and it keeps its unsent work
    SignOut {
        /// Whose it is, and its id, as `device list` shows them
        // As one argument: of two, who leaves the first out is told that the second is missing.
        #[arg(value_names = ["USER", "DEVICE"], num_args = 2, required = true)]
        whose: Vec<String>,
        /// Let its tokens be good for other devices that use them; whoever holds one signs in with it as a new device
        #[arg(long)]
        keep_tokens: bool,
    },
}

impl DeviceCommand {
    pub(super) fn run(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        let now = SystemClock::start().now();
        let mut log = DataFolder::existing(data)?.open_log()?;
        match self {
            Self::List { user } => {
                let is_any = match user {
                    Some(user) => print_rows(devices_of(&mut log, &user)?, json, now)?,
                    None => list_all(&mut log, json, now)?,
                };
                if !is_any && !json {
                    super::note("No device has signed in yet; one that has just done so is listed some seconds later.");
                }
                Ok(())
            }
            Self::Name { user, device, name } => {
                log.name_device(&user, device, &name)?;
                let view = serde_json::json!({ "user": user, "id": device.to_string(), "name": name });
                say(json, &view, &format!("Device {device} is called {name}."))
            }
            Self::SignOut { whose, keep_tokens } => {
                let [user, device] = <[String; 2]>::try_from(whose).map_err(|_| CommandError::UserAndDevice)?;
                let device: DeviceId = device.parse().map_err(CommandError::DeviceId)?;
                let tokens = if keep_tokens { ShownTokens::Keep } else { ShownTokens::Revoke };
                let signed_out = SignedOutView::from(log.sign_out_device(&user, device, tokens, now)?);
                let ended = counted(signed_out.revoked_tokens.len() as u64, "token");
                say(json, &signed_out, &format!("Device {device} is signed out: {ended} ended."))?;
                warn_of_others(&signed_out, json);
                Ok(())
            }
        }
    }
}

/// The devices of one user, of whom few are remembered, the one that was here last first.
fn devices_of(log: &mut SqliteLog, user: &str) -> Result<impl Iterator<Item = DeviceView>, AccountError> {
    Ok(log.devices(Some(user))?.into_iter().map(DeviceView::from))
}

/// Lists the devices of all users, one user after the other; answers whether there was any.
fn list_all(log: &mut SqliteLog, json: bool, now: Now) -> Result<bool, CommandError> {
    let (mut is_any, mut part) = (false, Part::default());
    loop {
        let users = log.list_users(&part)?;
        for user in users.rows {
            match devices_of(log, &user.name) {
                Ok(devices) => is_any |= print_rows(devices, json, now)?,
                // Who was purged meanwhile has none.
                Err(AccountError::NoSuchUser) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match users.next {
            Some(next) => part.after = Some(next),
            None => return Ok(is_any),
        }
    }
}

impl Shown for DeviceView {
    fn in_words(&self, now: Now) -> (Vec<String>, Vec<String>) {
        let state = match self.signed_out_ms {
            Some(ms) => format!("signed out {}", ago(ms, now)),
            None => format!("last seen {}", ago(self.last_seen_ms, now)),
        };
        let token = self.token.map_or_else(|| "-".to_owned(), |token| format!("token {token}"));
        let from = format!("from {}", or_dash(self.address.as_deref()));
        let names = vec![self.id.clone(), self.user.clone(), or_dash(self.name.as_deref())];
        (names, vec![state, from, token, format!("first seen {}", ago(self.first_seen_ms, now))])
    }
}
