//! `session`: who is connected to the relay that runs on the folder.

use super::CommandError;
use super::shown::{Shown, ago, counted, or_dash, print_list, print_pages, so_long};
use super::user::{say, warn_of_others};
use crate::log::accounts::{Accounts, SessionFilter, ShownTokens};
use crate::log::session_id;
use crate::server::folder::WrittenSessions;
use crate::server::{DataFolder, SystemClock};
use crate::views::{SessionView, SignedOutView};
use afield_core::{DeviceId, Now, SessionId, SpaceId};
use clap::Subcommand;
use std::path::PathBuf;

/// Lists and ends the sessions of the relay that runs on the data folder, which writes them down within seconds.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List the devices that are connected now, the one that has been for longest first
    List {
        /// Only those of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only those of this device
        #[arg(long, value_name = "ID")]
        device: Option<DeviceId>,
        /// Only those that have this space open
        #[arg(long, value_name = "ID")]
        space: Option<SpaceId>,
    },
    /// Sign the device of a session out, as `device sign-out` does: the session ends within seconds
    SignOut {
        /// The id that `session list` shows
        #[arg(value_name = "ID", value_parser = parse)]
        session: SessionId,
        /// Let its tokens be good for other devices that use them; whoever holds one signs in with it as a new device
        #[arg(long)]
        keep_tokens: bool,
    },
}

/// The text is not the id of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a session has 32 hexadecimal digits")]
struct ParseSessionIdError;

fn parse(text: &str) -> Result<SessionId, ParseSessionIdError> {
    session_id(text).ok_or(ParseSessionIdError)
}

impl SessionCommand {
    pub(super) fn run(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        let now = SystemClock::start().now();
        let folder = DataFolder::existing(data)?;
        // Before the log is read: what stands in it counts only as that of a relay that ran when it was asked for.
        let written = folder.written_sessions();
        let mut log = folder.open_log()?;
        match (self, written) {
            (_, WrittenSessions::Unknown) => Err(CommandError::SessionsUnknown),
            (Self::SignOut { .. }, WrittenSessions::NoRelay) => Err(CommandError::NoRelay),
            (Self::List { .. }, WrittenSessions::NoRelay) => {
                let nothing = Vec::<SessionView>::new();
                print_list(nothing, json, now, "There are no sessions: no relay runs on this folder.")
            }
            (Self::List { user, device, space }, WrittenSessions::Live) => {
                let is_filtered = user.is_some() || device.is_some() || space.is_some();
                let if_empty =
                    if is_filtered { "No such device is connected now." } else { "Nobody is connected now." };
                let filter = SessionFilter { user, device, space };
                print_pages::<_, SessionView>(|part| log.list_sessions(&filter, part), json, now, if_empty)
            }
            (Self::SignOut { session, keep_tokens }, WrittenSessions::Live) => {
                let tokens = if keep_tokens { ShownTokens::Keep } else { ShownTokens::Revoke };
                let done = log.sign_out_session(session, tokens, now)?;
                let signed_out = SignedOutView::from(done.signed_out);
                let ended = counted(signed_out.revoked_tokens.len() as u64, "token");
                let text = format!("Device {} of {} is signed out: {ended} ended.", done.device, done.user);
                say(json, &signed_out, &text)?;
                warn_of_others(&signed_out, json);
                Ok(())
            }
        }
    }
}

impl Shown for SessionView {
    fn in_words(&self, now: Now) -> (Vec<String>, Vec<String>) {
        let user = self.user.clone().unwrap_or_else(|| "anyone".to_owned());
        let names = vec![self.id.clone(), user, or_dash(self.name.as_deref())];
        let lag: u64 = self.spaces.iter().map(|space| space.lag).sum();
        let lag = if lag == 0 { "up to date".to_owned() } else { format!("{} behind", counted(lag, "change")) };
        let words = vec![
            format!("device {}", self.device),
            format!("from {}", or_dash(self.address.as_deref())),
            format!("connected for {}", so_long(self.since_ms, now)),
            format!("last heard {}", ago(self.last_seen_ms, now)),
            format!("{lag} in {}", counted(self.spaces.len() as u64, "space")),
            format!("{} queued", counted(self.queued_bytes, "byte")),
        ];
        (names, words)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shown::as_text;
    use super::*;
    use crate::views::ProgressView;

    #[test]
    fn the_id_of_a_session_reads_back() {
        let id = SessionId::from_bytes([0xa7; 16]);
        assert_eq!(parse(&id.to_string()), Ok(id));
        for wrong in ["", "a7", "+7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7", "g7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7"] {
            assert_eq!(parse(wrong), Err(ParseSessionIdError), "{wrong}");
        }
    }

    #[test]
    fn a_listed_session_says_who_is_here_and_how_far_behind() {
        let now = Now { wall_ms: 1_000_000, monotonic_ms: 0 };
        let progress = |lag| ProgressView { space: "s".to_owned(), stored: Some(1), head: 1 + lag, lag };
        let session = |user: Option<&str>, spaces| SessionView {
            id: "5".to_owned(),
            user: user.map(str::to_owned),
            device: "7".to_owned(),
            name: None,
            address: Some("192.0.2.7".to_owned()),
            since_ms: 940_000,
            last_seen_ms: 995_000,
            queued_bytes: 0,
            spaces,
        };
        let behind = as_text(&session(Some("ada"), vec![progress(2), progress(0)]), now);
        let expected = "5\tada\t-\tdevice 7\tfrom 192.0.2.7\tconnected for 1m\tlast heard 5s ago\t2 changes behind in 2 spaces\t0 bytes queued";
        assert_eq!(behind, expected);
        let open = as_text(&session(None, vec![]), now);
        assert!(open.starts_with("5\tanyone\t-") && open.contains("up to date in 0 spaces"), "{open}");
    }
}
