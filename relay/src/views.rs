//! What the administration shows, in one form: lines of `--json` on a terminal, and answers of the HTTP API.
//!
//! Times are milliseconds since the Unix epoch. Nothing here holds a token or an invitation's code but what makes one.

use crate::hub::{Occurrence, Party, RecentEvent, SessionSummary};
use crate::log::Page;
use crate::log::accounts::{
    DeviceSummary, InvitationSummary, Member, SignedOut, SpaceSummary, TokenSummary, UserSummary, WrittenSession,
};
use afield_core::SpaceId;
use serde::Serialize;
use utoipa::ToSchema;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listed<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// What to ask for as `after` for the rows that follow; absent where there are none.
    pub next: Option<String>,
}

impl<S, T: From<S>> From<Page<S>> for Listed<T> {
    fn from(page: Page<S>) -> Self {
        Self { rows: page.rows.into_iter().map(T::from).collect(), next: page.next }
    }
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_ms: i64,
    /// Since when the account is closed.
    pub disabled_ms: Option<i64>,
    /// Who signs its tokens; absent for a user of this relay's own.
    pub issuer: Option<String>,
    /// How many spaces it is a member of.
    pub spaces: u64,
    /// How many of its tokens are good, those aside that were signed elsewhere.
    pub tokens: u64,
    /// How many devices it has that are not signed out.
    pub devices: u64,
}

impl From<UserSummary> for UserView {
    fn from(user: UserSummary) -> Self {
        let UserSummary { name, created_wall_ms, disabled_wall_ms, issuer, spaces, tokens, devices } = user;
        Self { name, created_ms: created_wall_ms, disabled_ms: disabled_wall_ms, issuer, spaces, tokens, devices }
    }
}

/// A token, without what would open the door.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// The number by which it is revoked.
    pub number: i64,
    /// Whose it is.
    pub user: String,
    /// What its holder calls it.
    pub name: Option<String>,
    /// The spaces it is for; absent for all of its user's.
    pub spaces: Option<Vec<String>>,
    /// Whether it may only read.
    pub read_only: bool,
    /// Whether it may bring spaces to the relay.
    pub may_create_spaces: bool,
    /// Whether it opens the administration of the relay.
    pub admin: bool,
    /// Whether an app's backend signed it.
    pub signed: bool,
    /// When it was made.
    pub created_ms: i64,
    /// When it expires.
    pub expires_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

impl From<TokenSummary> for TokenView {
    fn from(token: TokenSummary) -> Self {
        Self {
            number: token.number,
            user: token.user,
            name: token.name,
            spaces: token.spaces.map(|spaces| spaces.iter().map(SpaceId::to_string).collect()),
            read_only: token.read_only,
            may_create_spaces: token.may_create,
            admin: token.administers,
            signed: token.signed,
            created_ms: token.created_wall_ms,
            expires_ms: token.expires_wall_ms,
            revoked_ms: token.revoked_wall_ms,
        }
    }
}

/// A new token, shown this once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewToken)]
pub struct NewTokenView {
    /// The number by which it is revoked.
    pub number: i64,
    /// The token.
    pub token: String,
    /// When it expires.
    pub expires_ms: Option<i64>,
}

/// A space.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Space)]
pub struct SpaceView {
    /// Its id.
    pub id: String,
    /// How many members it has.
    pub members: u64,
    /// The last sequence of its log.
    pub sequence: u64,
    /// How many chunks count against its quota.
    pub chunks: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// When it came to the relay.
    pub created_ms: i64,
}

impl From<SpaceSummary> for SpaceView {
    fn from(space: SpaceSummary) -> Self {
        let SpaceSummary { id, members, sequence, chunks, bytes, created_wall_ms } = space;
        Self { id: id.to_string(), members, sequence, chunks, bytes, created_ms: created_wall_ms }
    }
}

/// A member of a space.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberView {
    /// The user.
    pub user: String,
    /// What it may do: reader, writer or owner.
    pub role: &'static str,
    /// Whether its account is closed.
    pub disabled: bool,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self { user: member.user, role: member.role.as_str(), disabled: member.is_disabled }
    }
}

/// A new invitation, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewInvitation)]
pub struct NewInvitationView {
    /// The number by which it is withdrawn.
    pub number: i64,
    /// The invitation: one word, which whoever gets it pastes on a device, and which `accept` takes.
    pub code: String,
    /// Until when it can be used.
    pub expires_ms: i64,
}

/// An invitation to a space, without its code.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub struct InvitationView {
    /// The number by which it is withdrawn.
    pub number: i64,
    /// What whoever uses it may do: reader, writer or owner.
    pub role: &'static str,
    /// When it was made.
    pub created_ms: i64,
    /// Until when it can be used.
    pub expires_ms: i64,
    /// When it was used.
    pub used_ms: Option<i64>,
    /// Who used it.
    pub used_by: Option<String>,
    /// When it was withdrawn.
    pub withdrawn_ms: Option<i64>,
}

impl From<InvitationSummary> for InvitationView {
    fn from(invitation: InvitationSummary) -> Self {
        let (used_ms, used_by) = invitation.used.unzip();
        Self {
            number: invitation.number,
            role: invitation.role.as_str(),
            created_ms: invitation.created_wall_ms,
            expires_ms: invitation.expires_wall_ms,
            used_ms,
            used_by,
            withdrawn_ms: invitation.withdrawn_wall_ms,
        }
    }
}

/// A member that somebody has become.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Membership)]
pub struct MembershipView {
    /// The space.
    pub space: String,
    /// The user.
    pub user: String,
    /// What it may do now: reader, writer or owner.
    pub role: &'static str,
}

/// A device that has signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
pub struct DeviceView {
    /// Whose it is.
    pub user: String,
    /// Its id.
    pub id: String,
    /// The name that it was given, or else that of its token.
    pub name: Option<String>,
    /// The number of the token that it showed last.
    pub token: Option<i64>,
    /// Where it came from last.
    pub address: Option<String>,
    /// When it signed in first.
    pub first_seen_ms: i64,
    /// When it was here last.
    pub last_seen_ms: i64,
    /// When it was signed out.
    pub signed_out_ms: Option<i64>,
}

impl From<DeviceSummary> for DeviceView {
    fn from(device: DeviceSummary) -> Self {
        Self {
            user: device.user,
            id: device.id.to_string(),
            name: device.name,
            token: device.token,
            address: device.address,
            first_seen_ms: device.first_seen_wall_ms,
            last_seen_ms: device.last_seen_wall_ms,
            signed_out_ms: device.signed_out_wall_ms,
        }
    }
}

/// What signing out did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignedOut)]
pub struct SignedOutView {
    /// The numbers of the tokens that were revoked by it.
    pub revoked_tokens: Vec<i64>,
    /// Of those, the numbers of tokens that other devices have shown, too: they need new ones.
    pub shared_tokens: Vec<i64>,
    /// The numbers of tokens that stay good, as was wished: whoever holds one signs in with it as a new device.
    pub kept_tokens: Vec<i64>,
}

impl From<SignedOut> for SignedOutView {
    fn from(signed_out: SignedOut) -> Self {
        let SignedOut { revoked, shared, kept } = signed_out;
        Self { revoked_tokens: revoked, shared_tokens: shared, kept_tokens: kept }
    }
}

/// A session: a device that is connected now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// Its id, as it stands in the log of the relay and of the device.
    pub id: String,
    /// Whose it is; absent where the relay has no access control.
    pub user: Option<String>,
    /// The device.
    pub device: String,
    /// What the device is called: the name that it was given, or else that of its token.
    pub name: Option<String>,
    /// Where it comes from.
    pub address: Option<String>,
    /// Since when it is connected.
    pub since_ms: i64,
    /// When a message of it came last; the pings that keep an idle connection alive are none.
    pub last_seen_ms: i64,
    /// How many bytes wait to be sent to it.
    pub queued_bytes: u64,
    /// How far it is in each space that it has open.
    pub spaces: Vec<ProgressView>,
}

impl From<SessionSummary> for SessionView {
    fn from(session: SessionSummary) -> Self {
        let spaces = session.spaces.iter().map(|progress| ProgressView {
            space: progress.space.to_string(),
            stored: progress.stored,
            head: progress.head,
            lag: progress.lag,
        });
        Self {
            id: session.id.to_string(),
            user: session.user,
            device: session.device.to_string(),
            name: None,
            address: session.address.map(|address| address.to_string()),
            since_ms: session.since_wall_ms,
            last_seen_ms: session.heard_wall_ms,
            queued_bytes: session.queued_bytes,
            spaces: spaces.collect(),
        }
    }
}

impl From<WrittenSession> for SessionView {
    fn from(session: WrittenSession) -> Self {
        let spaces = session.spaces.iter().map(|progress| ProgressView {
            space: progress.space.to_string(),
            stored: progress.stored,
            head: progress.head,
            lag: progress.head.saturating_sub(progress.stored.unwrap_or_default()),
        });
        Self {
            id: session.id.to_string(),
            user: session.user,
            device: session.device.to_string(),
            name: session.name,
            address: session.address,
            since_ms: session.since_wall_ms,
            last_seen_ms: session.heard_wall_ms,
            queued_bytes: session.queued_bytes,
            spaces: spaces.collect(),
        }
    }
}

/// How far a session's device is in a space.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Progress)]
pub struct ProgressView {
    /// The space.
    pub space: String,
    /// The last sequence that the device has stored, where it has said so.
    pub stored: Option<u64>,
    /// The last sequence of the log.
    pub head: u64,
    /// How many sequences lie between them.
    pub lag: u64,
}

/// Something that happened on a relay, once or several times.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Its number since the relay's start; it keeps it when the same happens again.
    pub number: u64,
    /// When it happened last.
    pub at_ms: i64,
    /// How many times.
    pub times: u64,
    /// What it was: `signed_in`, `left`, `ended`, `turned_away`, `chunk_refused`, `not_ready`, `ready`, `compacted`, `token_revoked`,
    /// `device_signed_out`, `user_signed_out`, `account_closed` or `account_opened`.
    pub kind: &'static str,
    /// The user.
    pub user: Option<String>,
    /// The device.
    pub device: Option<String>,
    /// Where it came from.
    pub address: Option<String>,
    /// The number of the token.
    pub token: Option<i64>,
    /// Why.
    pub because: Option<String>,
}

impl From<RecentEvent> for EventView {
    fn from(event: RecentEvent) -> Self {
        let RecentEvent { number, wall_ms, times, what } = event;
        let mut view = Self { number, at_ms: wall_ms, times, ..Self::default() };
        view.kind = match what {
            Occurrence::SignedIn(party) => view.about(party, "signed_in"),
            Occurrence::Left(party) => view.about(party, "left"),
            Occurrence::Ended(party, code) => {
                view.because = Some(code.to_string());
                view.about(party, "ended")
            }
            Occurrence::TurnedAway(address, code) => {
                view.address = address.map(|address| address.to_string());
                view.because = Some(code.to_string());
                "turned_away"
            }
            Occurrence::ChunkRefused(party, code) => {
                view.because = Some(code.to_string());
                view.about(party, "chunk_refused")
            }
            Occurrence::CannotAppend(because) => {
                view.because = Some(because);
                "not_ready"
            }
            Occurrence::CanAppend => "ready",
            Occurrence::Compacted => "compacted",
            Occurrence::TokenRevoked(token) => {
                view.token = Some(token);
                "token_revoked"
            }
            Occurrence::DeviceSignedOut(user, device) => {
                view.about(Party { user: Some(user), device, address: None }, "device_signed_out")
            }
            Occurrence::UserSignedOut(user) => view.about_user(user, "user_signed_out"),
            Occurrence::AccountClosed(user) => view.about_user(user, "account_closed"),
            Occurrence::AccountOpened(user) => view.about_user(user, "account_opened"),
        };
        view
    }
}

impl EventView {
    fn about(&mut self, party: Party, kind: &'static str) -> &'static str {
        self.user = party.user;
        self.device = Some(party.device.to_string());
        self.address = party.address.map(|address| address.to_string());
        kind
    }

    fn about_user(&mut self, user: String, kind: &'static str) -> &'static str {
        self.user = Some(user);
        kind
    }
}
