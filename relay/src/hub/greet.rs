//! Who is speaking: tokens, and one session per device.

use super::{Access, Hub};
use crate::log::{Authentication, Ended, Log, LogError, Principal, Standing, TokenHash};
use crate::signed::SignedError;
use crate::spans;
use afield_core::session::WelcomeAnswer;
use afield_core::wire::{GoodbyeCode, Hello, ITEMS_MAX};
use afield_core::{DeviceId, Now, SessionId};

/// The most spaces that a `Welcome` names: what a list of a frame may hold, far below its bytes. The others are opened all
/// the same by devices that know them.
const SPACES_NAMED_MAX: usize = ITEMS_MAX;

/// When a device comes back of whose user as many are here as may be, in milliseconds: some of them are gone by then.
const FULL_RETRY_MS: u64 = 30_000;

/// When a device comes back that could not be signed in since nothing can be written, in milliseconds: somebody has to make room first.
const NO_WRITES_RETRY_MS: u64 = 30_000;

impl<L: Log> Hub<L> {
    pub(super) fn greet(&mut self, id: SessionId, token: Option<String>, hello: &Hello, now: Now) {
        let _span = spans::sign_in(id).entered();
        // A guest is judged, written down and signed out as the device that it is a guest of (R7).
        let device = hello.guest_of.unwrap_or(hello.device);
        match self.authenticate(token.as_deref(), device, SPACES_NAMED_MAX, now) {
            Ok(Ok((principal, standing))) => self.admit(id, principal, standing, hello, now),
            Ok(Err(code)) => self.refuse(id, code),
            Err(error) => self.not_checked(id, &error),
        }
    }

    /// Ends a session whose token could not be checked. One that was signed and is new here cannot be noted on a disk that takes nothing now;
    /// those that were noted before get in meanwhile, for which nothing is written.
    pub(super) fn not_checked(&mut self, id: SessionId, error: &LogError) {
        let shown = error as &dyn std::error::Error;
        if error.takes_no_writes() {
            tracing::warn!(session = %id, error = shown, "a token could not be noted");
            return self.close_after(id, GoodbyeCode::Unavailable, Some(NO_WRITES_RETRY_MS));
        }
        tracing::error!(session = %id, error = shown, "a token could not be checked");
        self.close(id, GoodbyeCode::Internal);
    }

    /// Ends a session whose token is not good. Only who shows one that never was may be guessing.
    pub(super) fn refuse(&mut self, id: SessionId, code: GoodbyeCode) {
        if code == GoodbyeCode::Unauthorized
            && let Some(address) = self.sessions.get(&id).and_then(|seat| seat.address)
        {
            self.refused.push(address);
        }
        self.close(id, code);
    }

    /// Ends a session, with the reason, when its token is no longer good; answers whether it did.
    pub(super) fn end_if_revoked(&mut self, id: SessionId, principal: Principal, now: Now) -> bool {
        let code = match self.log.ended(principal, now) {
            Ok(None) => return false,
            Ok(Some(ended)) => {
                let code = code_of(ended);
                self.tell_ended(id, code);
                code
            }
            Err(error) => {
                tracing::error!(session = %id, error = &error as &dyn std::error::Error, "a token could not be checked");
                GoodbyeCode::Internal
            }
        };
        self.close(id, code);
        true
    }

    /// Says once in the log that a session ends for what somebody did to its access: a command beside the relay leaves no other line there.
    fn tell_ended(&self, id: SessionId, code: GoodbyeCode) {
        let Some(seat) = self.sessions.get(&id).filter(|seat| !seat.session.is_closed()) else { return };
        if let Some((device, _)) = seat.device {
            tracing::info!(session = %id, %device, ?code, "a session ends: its access was ended");
        }
    }

    /// Finds out who shows a token, with so many of the spaces that it is for.
    pub(super) fn authenticate(
        &mut self,
        token: Option<&str>,
        device: DeviceId,
        spaces_max: usize,
        now: Now,
    ) -> Result<Result<(Principal, Standing), GoodbyeCode>, LogError> {
        let authentication = match (self.access, token) {
            (Access::Open, _) => Authentication::Good(Principal::ANYONE),
            (Access::Tokens, None) => Authentication::Unknown,
            (Access::Tokens, Some(token)) if is_signed(token) => match self.authenticate_signed(token, device, now)? {
                Ok(authentication) => authentication,
                Err(code) => return Ok(Err(code)),
            },
            (Access::Tokens, Some(token)) => self.log.authenticate(&TokenHash::of(token), device, now)?,
        };
        Ok(match authentication {
            Authentication::Unknown => Err(GoodbyeCode::Unauthorized),
            Authentication::Ended(ended) => Err(code_of(ended)),
            Authentication::Good(principal) => {
                let standing = self.log.standing(principal, spaces_max, now)?;
                standing.map(|standing| (principal, standing)).ok_or(GoodbyeCode::TokenExpired)
            }
        })
    }

    /// Looks at a token that an app's backend signed. One that is new here costs a commit that is synced by itself
    /// ([`Log::authenticate_signed`]).
    fn authenticate_signed(
        &mut self,
        token: &str,
        device: DeviceId,
        now: Now,
    ) -> Result<Result<Authentication, GoodbyeCode>, LogError> {
        let Some(signed) = &mut self.signed else { return Ok(Err(GoodbyeCode::Unauthorized)) };
        let verified = match signed.verify(token, now) {
            Ok(verified) => verified,
            Err(SignedError::Expired) => return Ok(Err(GoodbyeCode::TokenExpired)),
            Err(error @ SignedError::Keys(_)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no signed token can be checked");
                return Ok(Err(GoodbyeCode::Internal));
            }
            Err(error) => {
                tracing::info!(error = &error as &dyn std::error::Error, "a signed token is refused");
                return Ok(Err(GoodbyeCode::Unauthorized));
            }
        };
        if verified.device.is_some_and(|only| only != device) {
            tracing::info!("a signed token is refused: it is for another device");
            return Ok(Err(GoodbyeCode::Unauthorized));
        }
        let text = token.rsplit_once('.').map_or(token, |(text, _)| text);
        let hash = TokenHash::of_signed(text);
        let known = self.log.authenticate(&hash, device, now)?;
        if known != Authentication::Unknown {
            return Ok(Ok(known));
        }
        self.noted += 1;
        self.log.authenticate_signed(&hash, &verified.claims, device, now).map(Ok)
    }

    fn admit(&mut self, id: SessionId, principal: Principal, standing: Standing, hello: &Hello, now: Now) {
        let key = (principal.user, hello.device);
        if let Some(older) = self.devices.get(&key).copied() {
            let live = self.sessions.get(&older).and_then(|seat| seat.device).map(|(_, incarnation)| incarnation);
            let continues = live.is_none_or(|live| live == hello.incarnation || hello.predecessors.contains(&live));
            if !continues {
                return self.close(id, GoodbyeCode::CopiedDevice);
            }
            // From here on nothing of the older session is handled, not even what it pushed a moment ago.
            self.drop_pending(|pending| pending.session == older);
            self.close(older, GoodbyeCode::Replaced);
        } else if principal.token.is_some() && self.devices_of(principal.user) >= self.sessions_per_user_max {
            return self.close_after(id, GoodbyeCode::RateLimited, Some(FULL_RETRY_MS));
        }
        self.devices.insert(key, id);
        self.set_principal(id, principal, &standing);
        let Some(seat) = self.sessions.get_mut(&id) else { return };
        seat.device = Some((hello.device, hello.incarnation));
        seat.guest_of = hello.guest_of;
        seat.welcomed = Some(now);
        self.counts.welcomed += 1;
        let Standing { spaces, may_create, .. } = standing;
        seat.session.welcome(WelcomeAnswer { spaces, may_create });
        tracing::debug!(session = %id, device = %hello.device, "a session is welcome");
        self.note_welcome(id);
        self.note_seen(id, now);
    }

    /// How many devices of a user are here.
    fn devices_of(&self, user: i64) -> usize {
        let all = (user, DeviceId::from_bytes([0; 16]))..=(user, DeviceId::from_bytes([u8::MAX; 16]));
        self.devices.range(all).count()
    }

    pub(super) fn set_principal(&mut self, id: SessionId, principal: Principal, standing: &Standing) {
        let Some(seat) = self.sessions.get_mut(&id) else { return };
        seat.principal = Some(principal);
        seat.user.clone_from(&standing.user);
        seat.expires_wall_ms.and_then(|expiry| self.expiries.take(&(expiry, id)));
        seat.expires_wall_ms = standing.expires_wall_ms;
        self.expiries.extend(standing.expires_wall_ms.map(|expiry| (expiry, id)));
    }
}

/// What a session is told whose token is good no more.
fn code_of(ended: Ended) -> GoodbyeCode {
    match ended {
        Ended::Expired => GoodbyeCode::TokenExpired,
        Ended::SignedOut => GoodbyeCode::SignedOut,
        Ended::AccountClosed => GoodbyeCode::AccountClosed,
    }
}

/// Whether a token has the form of a JWT (RFC 7519); none of the relay's own has.
pub(super) fn is_signed(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}
