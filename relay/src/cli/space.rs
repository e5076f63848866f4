//! `space`: what is shared, and with whom.

use super::shown::{Shown, ago, counted, left, or_dash, print_pages, so_long};
use super::user::say;
use super::{CommandError, TimeSpan, note, print_line};
use crate::log::accounts::{Accounts, NewInvitation, Role};
use crate::log::{SqliteLog, Token};
use crate::server::{DataFolder, SystemClock, SystemEntropy};
use crate::views::{InvitationView, MemberView, MembershipView, NewInvitationView, SpaceView};
use afield_core::{LogId, Now, SpaceId};
use clap::Subcommand;
use std::path::PathBuf;

/// What a person types who was given an invitation.
const JOIN: &str = "afield space join --invitation";
/// How long an invitation can be used unless told otherwise.
const INVITATION_MS: u64 = 7 * 86_400_000;

/// Lists spaces and says who may use them. A relay that runs on the same data folder notices within seconds.
#[derive(Debug, Subcommand)]
pub enum SpaceCommand {
    /// List all spaces
    List,
    /// List the members of a space
    Members {
        /// The space
        #[arg(value_name = "ID")]
        space: SpaceId,
    },
    /// Create a space that no device brings, such as one that a backup lacks and whose owners have no device left: those of its other
    /// members fill it, once they are granted a role
    Create {
        /// The space, as `afield space list` shows it on a device
        #[arg(value_name = "ID")]
        space: SpaceId,
        /// Who is to own it
        #[arg(long, value_name = "USER")]
        owner: String,
    },
    /// Give a user a role in a space
    Grant {
        /// The space
        #[arg(value_name = "ID")]
        space: SpaceId,
        /// The user
        user: String,
        /// reader, writer or owner
        role: Role,
    },
    /// Take a user out of a space
    Remove {
        /// The space
        #[arg(value_name = "ID")]
        space: SpaceId,
        /// The user
        user: String,
    },
    /// Make an invitation to a space and show it, this once; whoever has it can join, once
    ///
    /// The person types `afield space join --invitation` on a device that is signed in with a token of his or her own, and pastes it there.
    Invite {
        /// The space
        #[arg(value_name = "ID")]
        space: SpaceId,
        /// reader, writer or owner
        #[arg(long, default_value_t = Role::Writer)]
        role: Role,
        /// How long it can be used, such as 7d
        #[arg(long, value_name = "TIME", default_value_t = TimeSpan::from_ms(INVITATION_MS))]
        expires_in: TimeSpan,
    },
    /// List the invitations to a space
    Invitations {
        /// The space
        #[arg(value_name = "ID")]
        space: SpaceId,
    },
    /// Make a user a member with an invitation, read from standard input, for who cannot use it on a device
    Accept {
        /// The user
        user: String,
    },
    /// Withdraw an invitation that was not used
    Withdraw {
        /// The number that `space invitations` shows
        number: i64,
    },
}

impl SpaceCommand {
    pub(super) fn run(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        let now = SystemClock::start().now();
        let mut log = DataFolder::existing(data)?.open_log()?;
        match self {
            Self::List => {
                let if_empty = "There is no space yet: a device brings its spaces when it syncs.";
                print_pages::<_, SpaceView>(|part| log.list_spaces(part), json, now, if_empty)
            }
            Self::Members { space } => {
                print_pages::<_, MemberView>(|part| log.list_members(space, part), json, now, "It has no member.")
            }
            Self::Create { space, owner } => {
                log.create_space(space, &owner, LogId::new(&mut SystemEntropy), now)?;
                is_member(json, space, owner, Role::Owner)
            }
            Self::Grant { space, user, role } => {
                log.grant(space, &user, role, now)?;
                is_member(json, space, user, role)
            }
            Self::Remove { space, user } => {
                log.remove_member(space, &user, now)?;
                let view = serde_json::json!({ "space": space.to_string(), "user": user });
                say(json, &view, &format!("{user} is no longer a member of {space}."))
            }
            Self::Invite { space, role, expires_in } => invite(&mut log, json, (space, role, expires_in), now),
            Self::Invitations { space } => {
                let if_empty = "There is no invitation: `space invite` makes one.";
                print_pages::<_, InvitationView>(|part| log.list_invitations(space, part), json, now, if_empty)
            }
            Self::Accept { user } => {
                let code = super::read_secret("the invitation")?;
                let (space, role) = log.accept(&code, &user, now)?;
                is_member(json, space, user, role)
            }
            Self::Withdraw { number } => {
                log.withdraw(number, now)?;
                let view = serde_json::json!({ "number": number, "withdrawn_ms": now.wall_ms });
                say(json, &view, &format!("Invitation {number} is withdrawn."))
            }
        }
    }
}

fn invite(
    log: &mut SqliteLog,
    json: bool,
    (space, role, expires_in): (SpaceId, Role, TimeSpan),
    now: Now,
) -> Result<(), CommandError> {
    let code = Token::invitation(space, &mut SystemEntropy);
    let expires_ms = now.wall_ms.saturating_add(i64::try_from(expires_in.ms()).unwrap_or(i64::MAX));
    let number = log.invite(&code, NewInvitation { space, role, expires_wall_ms: expires_ms }, now)?;
    if json {
        let view = NewInvitationView { number, code: code.reveal().to_owned(), expires_ms };
        return print_line(&super::shown::as_json(&view)?);
    }
    print_line(code.reveal())?;
    note(&format!(
        "Invitation {number} is shown this once, is good for {expires_in} and makes one user a {role}.\nHand it over \
        with the relay's address, a token of the person's own (`token create --user NAME --output FILE`) and, where you made the relay's certificate yourself, \
        that one (`afield connect --ca`). It is pasted when asked:\n  {JOIN}"
    ));
    Ok(())
}

fn is_member(json: bool, space: SpaceId, user: String, role: Role) -> Result<(), CommandError> {
    let text = format!("{user} is {} of {space}.", if role == Role::Owner { "an owner" } else { article(role) });
    say(json, &MembershipView { space: space.to_string(), user, role: role.as_str() }, &text)
}

const fn article(role: Role) -> &'static str {
    match role {
        Role::Reader => "a reader",
        Role::Writer => "a writer",
        Role::Owner => "an owner",
    }
}

impl Shown for SpaceView {
    fn in_words(&self, now: Now) -> (Vec<String>, Vec<String>) {
        let holds =
            format!("{}, {} bytes, up to sequence {}", counted(self.chunks, "chunk"), self.bytes, self.sequence);
        let came = format!("here for {}", so_long(self.created_ms, now));
        (vec![self.id.clone()], vec![counted(self.members, "member"), holds, came])
    }
}

impl Shown for MemberView {
    fn in_words(&self, _: Now) -> (Vec<String>, Vec<String>) {
        let closed = self.disabled.then(|| "its account is closed".to_owned());
        (vec![self.user.clone(), self.role.to_owned()], closed.into_iter().collect())
    }
}

impl Shown for InvitationView {
    fn in_words(&self, now: Now) -> (Vec<String>, Vec<String>) {
        let state = match (self.used_ms, self.withdrawn_ms) {
            (Some(ms), _) => format!("used {} by {}", ago(ms, now), or_dash(self.used_by.as_deref())),
            (None, Some(ms)) => format!("withdrawn {}", ago(ms, now)),
            (None, None) if self.expires_ms <= now.wall_ms => format!("too old for {}", so_long(self.expires_ms, now)),
            (None, None) => format!("good for {}", left(self.expires_ms, now)),
        };
        (
            vec![self.number.to_string(), self.role.to_owned()],
            vec![state, format!("made {}", ago(self.created_ms, now))],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::shown::as_text;
    use super::*;

    #[test]
    fn a_listed_invitation_says_what_became_of_it() {
        let day = 86_400_000;
        let now = Now { wall_ms: 10 * day, monotonic_ms: 0 };
        let state = |expires_ms, used_ms: Option<i64>, withdrawn_ms| {
            let used_by = used_ms.map(|_| "ben".to_owned());
            let role = Role::Writer.as_str();
            as_text(
                &InvitationView { number: 3, role, created_ms: 8 * day, expires_ms, used_ms, used_by, withdrawn_ms },
                now,
            )
        };
        assert_eq!(state(11 * day, None, None), "3\twriter\tgood for 1d\tmade 2d ago");
        assert_eq!(state(9 * day, None, None), "3\twriter\ttoo old for 1d\tmade 2d ago");
        assert_eq!(state(11 * day, Some(9 * day), None), "3\twriter\tused 1d ago by ben\tmade 2d ago");
        assert_eq!(state(11 * day, None, Some(9 * day)), "3\twriter\twithdrawn 1d ago\tmade 2d ago");
    }
}
