//! `device`: what has signed in.

use super::CommandError;
use super::shown::{Shown, ago, counted, or_dash, print_list};
use super::user::{say, warn_of_others};
use crate::log::accounts::{Accounts, ShownTokens};
use crate::server::{DataFolder, SystemClock};
use crate::views::{DeviceView, SignedOutView};
use afield_core::{DeviceId, Now};
use clap::Subcommand;
use std::path::PathBuf;

/// Lists, names and signs out devices. A relay that runs on the same data folder notices within seconds.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// List devices, the one that was here last first
    List {
        /// Only those of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Give a device a name
    Name {
        /// Whose it is
        user: String,
        /// The device
        #[arg(value_name = "ID")]
        device: DeviceId,
        /// Its name
        name: String,
    },
    /// Sign a device out: all tokens that it has shown end, and it keeps its unsent work
    SignOut {
        /// Whose it is
        user: String,
        /// The device
        #[arg(value_name = "ID")]
        device: DeviceId,
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
                let devices = log.devices(user.as_deref())?.into_iter().map(DeviceView::from);
                print_list(devices, json, now, "No device has signed in yet.")
            }
            Self::Name { user, device, name } => {
                log.name_device(&user, device, &name)?;
                let view = serde_json::json!({ "user": user, "id": device.to_string(), "name": name });
                say(json, &view, &format!("Device {device} is called {name}."))
            }
            Self::SignOut { user, device, keep_tokens } => {
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

impl Shown for DeviceView {
    fn in_words(&self, now: Now) -> (Vec<String>, Vec<String>) {
        let state = match self.signed_out_ms {
            Some(ms) => format!("signed out {}", ago(ms, now)),
            None => format!("here {}", ago(self.last_seen_ms, now)),
        };
        let token = self.token.map_or_else(|| "-".to_owned(), |token| format!("token {token}"));
        let from = format!("from {}", or_dash(self.address.as_deref()));
        let names = vec![self.id.clone(), self.user.clone(), or_dash(self.name.as_deref())];
        (names, vec![state, from, token, format!("first here {}", ago(self.first_seen_ms, now))])
    }
}
