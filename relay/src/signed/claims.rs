//! What a token says, once its signature was found good.

use super::{CLOCK_SKEW_MAX_MS, LIFETIME_MAX_MS, SignedError, Verified};
use crate::log::SignedClaims;
use crate::log::accounts::Role;
use afield_core::{DeviceId, Now, SpaceId};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The longest subject, in bytes.
const SUBJECT_BYTES_MAX: usize = 256;
/// The last second that is taken for a time, far beyond any that is meant: in the year 5138.
const SECONDS_MAX: f64 = 1e11;

/// As they stand in the token. Each that stands there twice is an error, since readers differ in which of the two they take.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    exp: Option<Moment>,
    nbf: Option<Moment>,
    iat: Option<Moment>,
    spaces: Option<Spaces>,
    #[serde(default)]
    create: bool,
    device: Option<String>,
}

/// A time as JWTs have it: seconds since the Unix epoch, which may have a fraction. Held in milliseconds.
#[derive(Clone, Copy)]
struct Moment(i64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if !(0.0..=SECONDS_MAX).contains(&seconds) {
            return Err(D::Error::custom("no time"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is within the range that was checked")]
        Ok(Self((seconds * 1_000.0).floor() as i64))
    }
}

/// Roles by space; a space that stands there twice, however it is written, is an error.
struct Spaces(BTreeMap<SpaceId, Role>);

impl<'de> Deserialize<'de> for Spaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SpacesVisitor)
    }
}

struct SpacesVisitor;

impl<'de> Visitor<'de> for SpacesVisitor {
    type Value = Spaces;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("roles by the ids of spaces")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spaces, A::Error> {
        let mut spaces = BTreeMap::new();
        while let Some((space, role)) = map.next_entry::<Cow<'de, str>, Cow<'de, str>>()? {
            let space: SpaceId = space.parse().map_err(A::Error::custom)?;
            let role: Role = role.parse().map_err(A::Error::custom)?;
            if spaces.insert(space, role).is_some() {
                return Err(A::Error::custom("a space stands there twice"));
            }
        }
        Ok(Spaces(spaces))
    }
}

/// Checks what jsonwebtoken leaves to those who know: times, and the claims of our own.
pub(super) fn check(claims: Claims, now: Now) -> Result<Verified, SignedError> {
    let made_by = claims.iss.ok_or(SignedError::Missing("iss"))?;
    let Moment(expires_wall_ms) = claims.exp.ok_or(SignedError::Missing("exp"))?;
    let Moment(issued_wall_ms) = claims.iat.ok_or(SignedError::Missing("iat"))?;
    check_times(issued_wall_ms, claims.nbf, expires_wall_ms, now)?;
    let subject = claims.sub.filter(|subject| !subject.is_empty()).ok_or(SignedError::Missing("sub"))?;
    if subject.len() > SUBJECT_BYTES_MAX {
        return Err(SignedError::Claims);
    }
    let device = claims.device.map(|id| id.parse::<DeviceId>()).transpose().map_err(|_| SignedError::Claims)?;
    let spaces = claims.spaces.map(|Spaces(spaces)| spaces.into_iter().collect());
    let may_create = claims.create;
    let claims = SignedClaims { issuer: made_by, subject, spaces, may_create, issued_wall_ms, expires_wall_ms };
    Ok(Verified { claims, device })
}

/// The clock of whoever made the token may be a little ahead of this one; its end is its end.
fn check_times(issued_ms: i64, begins: Option<Moment>, expires_ms: i64, now: Now) -> Result<(), SignedError> {
    if expires_ms <= now.wall_ms {
        return Err(SignedError::Expired);
    }
    let begins_ms = begins.map_or(issued_ms, |Moment(ms)| ms.max(issued_ms));
    if begins_ms > now.wall_ms.saturating_add(CLOCK_SKEW_MAX_MS) {
        return Err(SignedError::NotYet);
    }
    if expires_ms.saturating_sub(issued_ms) > LIFETIME_MAX_MS { Err(SignedError::TooLong) } else { Ok(()) }
}
