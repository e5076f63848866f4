//! An error and why it came to that, in one line.

use std::error::Error;

/// The words of an error and of all that caused it.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |&error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
