//! Spans of time as people write them.

use std::fmt;
use std::str::FromStr;

/// The units, largest first, with their length in milliseconds.
const UNITS: [(char, u64); 5] = [('w', 604_800_000), ('d', 86_400_000), ('h', 3_600_000), ('m', 60_000), ('s', 1_000)];

/// A span of time such as `90d`, `12h` or `30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    ms: u64,
}

/// The text is not a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a span of time: give a number and a unit of w, d, h, m or s, such as 90d")]
pub struct ParseTimeSpanError;

impl TimeSpan {
    /// The span of so many milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    /// Its length in milliseconds.
    pub const fn ms(self) -> u64 {
        self.ms
    }

    /// The span and a hundredth of it: what was given a moment ago is shown as it was given, and a week is not 6 days.
    pub(crate) fn nearly(self) -> Self {
        Self { ms: self.ms.saturating_add(self.ms / 100) }
    }

    /// The span in the largest unit of which it is a multiple, so that it reads back the same; seconds are the least.
    pub fn exact(self) -> String {
        let (unit, length) =
            UNITS.into_iter().find(|(_, length)| self.ms.is_multiple_of(*length)).unwrap_or(('s', 1_000));
        format!("{}{unit}", self.ms / length)
    }
}

impl FromStr for TimeSpan {
    type Err = ParseTimeSpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit = text.chars().next_back().ok_or(ParseTimeSpanError)?;
        let number = text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
        let length = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, length)| *length);
        let ms = number.zip(length).and_then(|(number, length)| number.checked_mul(length));
        match ms {
            Some(ms) if ms > 0 => Ok(Self { ms }),
            _ => Err(ParseTimeSpanError),
        }
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, length) = UNITS.into_iter().find(|(_, length)| self.ms >= *length).unwrap_or(('s', 1_000));
        write!(f, "{}{unit}", self.ms / length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_that_has_just_begun_is_shown_as_it_was_given() {
        let second =
            |text: &str| TimeSpan::from_ms(text.parse::<TimeSpan>().unwrap().ms() - 1_000).nearly().to_string();
        for (given, shown) in [("7d", "1w"), ("90d", "12w"), ("2d", "2d"), ("24h", "1d"), ("1h", "1h"), ("30m", "30m")]
        {
            assert_eq!(second(given), shown);
        }
        for (span, shown) in [("156h", "6d"), ("13d", "1w"), ("1s", "1s"), ("90s", "1m")] {
            assert_eq!(span.parse::<TimeSpan>().unwrap().nearly().to_string(), shown, "the control: {span}");
        }
    }

    #[test]
    fn a_span_is_a_number_and_a_unit_and_nothing_else() {
        for (text, ms) in [("1s", 1_000), ("30m", 1_800_000), ("12h", 43_200_000), ("90d", 7_776_000_000)] {
            assert_eq!(text.parse(), Ok(TimeSpan::from_ms(ms)));
        }
        for bad in
            ["", "d", "90", "0d", "-1d", "1.5h", "1 d", "1y", "99999999999999999999d", "18446744073709551615w", "1é"]
        {
            assert_eq!(bad.parse::<TimeSpan>(), Err(ParseTimeSpanError), "{bad}");
        }
    }

    #[test]
    fn a_span_reads_as_its_largest_unit() {
        for (ms, text) in [(999, "0s"), (59_999, "59s"), (3 * 86_400_000, "3d"), (1_209_600_000, "2w")] {
            assert_eq!(TimeSpan::from_ms(ms).to_string(), text);
        }
    }

    #[test]
    fn an_exact_span_reads_back_the_same() {
        for text in ["1s", "90s", "8s", "90m", "36h", "13d", "2w"] {
            assert_eq!(text.parse::<TimeSpan>().unwrap().exact(), text);
        }
    }
}
