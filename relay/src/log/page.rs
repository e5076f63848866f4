//! Lists that are given part by part, so that however much there is, an answer has an end.

use super::accounts::AccountError;
use afield_core::SessionId;
use std::fmt;

/// How many rows of a list are given at once unless told otherwise.
pub const PAGE_ROWS: usize = 1_000;
/// How many rows of a list are given at once at the most.
pub const PAGE_ROWS_MAX: usize = 10_000;

/// Which part of a list is wanted.
#[derive(Debug, Clone)]
pub struct Part {
    /// The place behind which it begins, as an earlier page named it; absent for the beginning.
    pub after: Option<String>,
    /// How many rows it has at the most.
    pub limit: usize,
}

impl Default for Part {
    fn default() -> Self {
        Self { after: None, limit: PAGE_ROWS }
    }
}

impl Part {
    /// The number of the row behind which it begins.
    pub(crate) fn after_number(&self) -> Result<i64, AccountError> {
        self.after.as_deref().map_or(Ok(0), |after| after.parse().map_err(|_| AccountError::After))
    }

    /// How many rows have to be read to know whether more follow.
    pub(crate) fn rows_to_read(&self) -> i64 {
        i64::try_from(self.limit.saturating_add(1)).unwrap_or(i64::MAX)
    }
}

/// A part of a list.
///
/// Places are told by what a row keeps for good, in whose order the list is: whatever comes and goes between two pages, a row that stays
/// is in one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The place behind which the next part begins; absent where nothing follows.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of as many rows as [`Part::rows_to_read`] says, each with its place.
    pub(crate) fn of<P: fmt::Display>(mut rows: Vec<(P, T)>, part: &Part) -> Self {
        let is_whole = rows.len() <= part.limit;
        rows.truncate(part.limit);
        let next = rows.last().filter(|_| !is_whole).map(|(place, _)| place.to_string());
        Self { rows: rows.into_iter().map(|(_, row)| row).collect(), next }
    }

    /// The same, shown in another way.
    pub fn map<S>(self, show: impl FnMut(T) -> S) -> Page<S> {
        Page { rows: self.rows.into_iter().map(show).collect(), next: self.next }
    }
}

/// All of a list, page by page.
pub(crate) fn whole<T>(mut list: impl FnMut(&Part) -> Result<Page<T>, AccountError>) -> Result<Vec<T>, AccountError> {
    let (mut all, mut part) = (Vec::new(), Part::default());
    loop {
        let Page { rows, next } = list(&part)?;
        all.extend(rows);
        match next {
            Some(next) => part.after = Some(next),
            None => return Ok(all),
        }
    }
}

/// The place of a session among those that are here, in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionPlace {
    /// Since when it is here, in milliseconds since the Unix epoch.
    pub since_wall_ms: i64,
    /// Its id.
    pub id: SessionId,
}

impl SessionPlace {
    /// Before all that there can be.
    pub(crate) const START: Self = Self { since_wall_ms: i64::MIN, id: SessionId::from_bytes([0; 16]) };

    /// The place behind which a part begins.
    pub(crate) fn before(part: &Part) -> Result<Self, AccountError> {
        let Some(after) = &part.after else { return Ok(Self::START) };
        let place = after
            .split_once('.')
            .and_then(|(since, id)| Some(Self { since_wall_ms: since.parse().ok()?, id: session_id(id)? }));
        place.ok_or(AccountError::After)
    }
}

impl fmt::Display for SessionPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.since_wall_ms, self.id)
    }
}

/// Reads the id of a session, as it stands in logs and lists.
pub(crate) fn session_id(text: &str) -> Option<SessionId> {
    let is_id = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let bytes = u128::from_str_radix(text, 16).ok().filter(|_| is_id)?;
    Some(SessionId::from_bytes(bytes.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_follows_only_where_something_does() {
        let part = Part { after: None, limit: 2 };
        let page = |count: i64| Page::of((1..=count).map(|row| (row, row)).collect(), &part);
        assert_eq!(page(3), Page { rows: vec![1, 2], next: Some("2".to_owned()) });
        assert_eq!(page(2), Page { rows: vec![1, 2], next: None });
        assert_eq!(page(0), Page { rows: vec![], next: None });
    }

    #[test]
    fn a_place_reads_back_and_what_is_none_is_refused() {
        let place = SessionPlace { since_wall_ms: 1_700_000_000_000, id: SessionId::from_bytes([0xa7; 16]) };
        let after = |text: &str| Part { after: Some(text.to_owned()), limit: 1 };
        assert_eq!(SessionPlace::before(&after(&place.to_string())).unwrap(), place);
        for wrong in ["", "1", "1.", ".a7", "x.a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7"] {
            assert!(matches!(SessionPlace::before(&after(wrong)), Err(AccountError::After)), "{wrong}");
            assert!(wrong == "1" || matches!(after(wrong).after_number(), Err(AccountError::After)), "{wrong}");
        }
    }
}
