//! `device`: what has signed in.

use super::CommandError;
use super::shown::{Shown, ago, or_dash, print_list};
use super::user::{say, warn_of_shared};
use crate::log::accounts::Accounts;
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
    /// Sign a device out: its token ends, and it keeps its unsent work
    SignOut {
        /// Whose it is
        user: String,
        /// The device
        #[arg(value_name = "ID")]
        device: DeviceId,
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
            Self::SignOut { user, device } => {
                let signed_out = SignedOutView::from(log.sign_out_device(&user, device, now)?);
                say(json, &signed_out, &format!("Device {device} is signed out."))?;
                warn_of_shared(&signed_out, json);
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
