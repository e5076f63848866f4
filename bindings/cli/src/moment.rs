//! Moments of an entity's history as a person types them.

use crate::failure::Failure;
use afield::{ChangeHash, HistoryPage, Point, ReadError};
use std::str::FromStr;

/// The fewest digits of a change's hash that name it.
const DIGITS_MIN: usize = 4;
/// How many digits all of a hash has.
const DIGITS: usize = 64;
/// How many changes are read at once to find one by its first digits.
const PAGE_CHANGES: usize = 1_000;

/// A moment, with the hash of a change or only its first digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Moment {
    Now,
    AtMs(i64),
    After(String),
    Before(String),
}

/// The text names no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a moment is now, the first digits of a change's hash, before: and such digits, or @ and milliseconds since 1970"
)]
pub(crate) struct ParseMomentError;

impl FromStr for Moment {
    type Err = ParseMomentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Some(at_ms) = text.strip_prefix('@') {
            return at_ms.parse().map(Self::AtMs).map_err(|_| ParseMomentError);
        }
        let (digits, is_before) = match text.strip_prefix("before:") {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let is_hash =
            (DIGITS_MIN..=DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match (is_hash, is_before) {
            (false, _) => Err(ParseMomentError),
            (true, true) => Ok(Self::Before(digits.to_lowercase())),
            (true, false) => Ok(Self::After(digits.to_lowercase())),
        }
    }
}

impl Moment {
    /// The moment that is meant, in a history that is read page by page.
    pub(crate) fn find(
        &self,
        page: impl Fn(&Point, usize) -> Result<HistoryPage, ReadError>,
    ) -> Result<Point, Failure> {
        Ok(match self {
            Self::Now => Point::Now,
            Self::AtMs(at_ms) => Point::TimeMs(*at_ms),
            Self::After(digits) => Point::After(find_change(digits, page)?),
            Self::Before(digits) => Point::Before(find_change(digits, page)?),
        })
    }
}

fn find_change(
    digits: &str,
    page: impl Fn(&Point, usize) -> Result<HistoryPage, ReadError>,
) -> Result<ChangeHash, Failure> {
    if let (DIGITS, Ok(hash)) = (digits.len(), digits.parse()) {
        return Ok(hash);
    }
    let (mut found, mut from) = (None, Some(Point::Now));
    while let Some(point) = from {
        let changes = page(&point, PAGE_CHANGES)?;
        for change in changes.changes.iter().filter(|change| change.hash.to_string().starts_with(digits)) {
            if found.replace(change.hash).is_some() {
                return Err(Failure::ChangeAmbiguous);
            }
        }
        from = changes.next;
    }
    found.ok_or(Failure::ChangeUnknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_now_a_change_before_one_or_a_time() {
        assert_eq!("now".parse(), Ok(Moment::Now));
        assert_eq!("@-5".parse(), Ok(Moment::AtMs(-5)));
        assert_eq!("3F9A".parse(), Ok(Moment::After("3f9a".to_owned())));
        assert_eq!("before:3f9a0".parse(), Ok(Moment::Before("3f9a0".to_owned())));
        for bad in ["", "3f9", "before:", "@", "yesterday", "@1.5"] {
            assert_eq!(bad.parse::<Moment>(), Err(ParseMomentError), "{bad}");
        }
    }
}
