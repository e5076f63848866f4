//! What kinds of values there are: how each reads, and what is said of one that cannot be understood.

use super::file::Found;
use super::span::TimeSpan;
use ipnet::IpNet;
use jsonwebtoken::Algorithm;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// A value as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A text, which a file has in quotes.
    Text(String),
    /// A number.
    Number(u64),
    /// Yes or no.
    Truth(bool),
}

impl Shown {
    /// For programs.
    pub(super) fn as_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Number(number) => (*number).into(),
            Self::Truth(truth) => (*truth).into(),
        }
    }
}

/// As a file has it.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Texts of JSON are texts of TOML, but for the one control character that JSON has no escape for.
        f.write_str(&self.as_json().to_string().replace('\u{7f}', "\\u007F"))
    }
}

/// A value of a key. It reads the same in a file, a variable and a flag, but that a file has types.
pub(crate) trait Setting: Sized {
    /// What stands for a value in help.
    const VALUE: &'static str;
    /// A value that may be given, for an example.
    const SAMPLE: &'static str = Self::VALUE;
    /// Whether a value is never shown.
    const IS_SECRET: bool = false;

    /// What may be given, in words that follow "give".
    fn wanted() -> String;

    /// Reads a value, unless it cannot be understood.
    fn parse(text: &str) -> Option<Self>;

    /// Which values of a file are understood.
    fn takes(found: &Found) -> bool {
        matches!(found, Found::Text(_))
    }

    /// The value; none where nothing is set.
    fn show(&self) -> Option<Shown>;
}

impl<T: Setting> Setting for Option<T> {
    const VALUE: &'static str = T::VALUE;
    const SAMPLE: &'static str = T::SAMPLE;
    const IS_SECRET: bool = T::IS_SECRET;

    fn wanted() -> String {
        T::wanted()
    }

    fn parse(text: &str) -> Option<Self> {
        T::parse(text).map(Some)
    }

    fn takes(found: &Found) -> bool {
        T::takes(found)
    }

    fn show(&self) -> Option<Shown> {
        self.as_ref().and_then(T::show)
    }
}

impl Setting for PathBuf {
    const VALUE: &'static str = "PATH";

    fn wanted() -> String {
        "a path".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Text(self.display().to_string()))
    }
}

impl Setting for SocketAddr {
    const VALUE: &'static str = "ADDRESS";
    const SAMPLE: &'static str = "127.0.0.1:8454";

    fn wanted() -> String {
        "an address and port, such as 127.0.0.1:8453".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Text(self.to_string()))
    }
}

impl Setting for bool {
    const VALUE: &'static str = "BOOL";

    fn wanted() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "y" | "t" => Some(true),
            "false" | "no" | "off" | "0" | "n" | "f" => Some(false),
            _ => None,
        }
    }

    fn takes(found: &Found) -> bool {
        matches!(found, Found::Truth(_))
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Truth(*self))
    }
}

/// A number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<const MIN: u64 = 0, const MAX: u64 = { u64::MAX }>(u64);

impl<const MIN: u64, const MAX: u64> Count<MIN, MAX> {
    /// Takes a number that has to be in the range: what is outside becomes the nearest in it.
    pub const fn new(number: u64) -> Self {
        Self(within(number, MIN, MAX))
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Setting for Count<MIN, MAX> {
    const VALUE: &'static str = "COUNT";

    fn wanted() -> String {
        if MAX == u64::MAX { format!("a number from {MIN}") } else { format!("a number from {MIN} to {MAX}") }
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| (MIN..=MAX).contains(number)).map(Self)
    }

    fn takes(found: &Found) -> bool {
        matches!(found, Found::Number(_))
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Number(self.0))
    }
}

/// The units of [`Bytes`], largest first.
const UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// So many bytes, from `MIN` to `MAX`: a number, or one with a unit such as `512 KiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes<const MIN: u64 = 0, const MAX: u64 = { u64::MAX }>(u64);

impl<const MIN: u64, const MAX: u64> Bytes<MIN, MAX> {
    /// Takes a number of bytes that has to be in the range: what is outside becomes the nearest in it.
    pub const fn new(bytes: u64) -> Self {
        Self(within(bytes, MIN, MAX))
    }

    /// How many bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Setting for Bytes<MIN, MAX> {
    const VALUE: &'static str = "BYTES";

    fn wanted() -> String {
        let (least, most) = (in_units(MIN), in_units(MAX));
        if MAX == u64::MAX {
            format!("bytes, such as 1048576, \"512 KiB\" or \"1 GiB\", from {least}")
        } else {
            format!("bytes, such as 1048576 or \"512 KiB\", from {least} to {most}")
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let unit = text.strip_prefix(digits)?.trim_start();
        let size =
            if unit.is_empty() { Some(1) } else { UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size) };
        let bytes = digits.parse::<u64>().ok()?.checked_mul(size?)?;
        (MIN..=MAX).contains(&bytes).then_some(Self(bytes))
    }

    fn takes(found: &Found) -> bool {
        matches!(found, Found::Number(_) | Found::Text(_))
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Text(in_units(self.0)))
    }
}

/// The number with the largest unit of which it is a multiple.
fn in_units(bytes: u64) -> String {
    let fits = |(_, size): &(&str, u64)| bytes != 0 && bytes.is_multiple_of(*size);
    let (unit, size) = UNITS.into_iter().find(fits).unwrap_or(("B", 1));
    format!("{} {unit}", bytes / size)
}

const fn within(number: u64, least: u64, most: u64) -> u64 {
    if number < least {
        least
    } else if number > most {
        most
    } else {
        number
    }
}

impl Setting for TimeSpan {
    const VALUE: &'static str = "TIME";

    fn wanted() -> String {
        "a number and a unit of w, d, h, m or s, such as 30s".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Text(self.exact()))
    }
}

/// Which lines a log has, in the words of [`EnvFilter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl Setting for LogFilter {
    const VALUE: &'static str = "FILTER";

    fn wanted() -> String {
        "a level, or modules with levels: off, error, warn, info, debug, trace, afield_relay=debug".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        // A word that is no level reads as the name of a module, which would quietly log less than was meant.
        let is_level = |text: &str| !text.is_empty() && text.parse::<tracing::metadata::LevelFilter>().is_ok();
        let is_directive = |text: &str| is_level(text) || text.contains(['=', ':', '_', '[']);
        let is_understood = text.split(',').all(is_directive) && EnvFilter::builder().parse(text).is_ok();
        is_understood.then(|| Self(text.to_owned()))
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Text(self.0.clone()))
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

impl Setting for LogFormat {
    const VALUE: &'static str = "FORMAT";

    fn wanted() -> String {
        "text or json".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn show(&self) -> Option<Shown> {
        let name = match self {
            Self::Text => "text",
            Self::Json => "json",
        };
        Some(Shown::Text(name.to_owned()))
    }
}

/// A text that is taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Text {
    const VALUE: &'static str = "TEXT";

    fn wanted() -> String {
        "a text".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Text(self.0.clone()))
    }
}

/// An algorithm of signatures, in the words of RFC 7518.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureAlgorithm(Algorithm);

impl SignatureAlgorithm {
    /// The algorithm.
    pub const fn get(self) -> Algorithm {
        self.0
    }
}

impl Setting for SignatureAlgorithm {
    const VALUE: &'static str = "ALGORITHM";
    const SAMPLE: &'static str = "EdDSA";

    fn wanted() -> String {
        "an algorithm of RFC 7518 or 8037, such as EdDSA, ES256, RS256 or HS256".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Text(format!("{:?}", self.0)))
    }
}

/// Words with commas between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List(Vec<String>);

impl List {
    /// The words.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl Setting for List {
    const VALUE: &'static str = "LIST";
    const SAMPLE: &'static str = "https://app.example";

    fn wanted() -> String {
        "words with commas between them, or in a file a list of texts".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        words(text).map(|word| Some(word.to_owned())).collect::<Option<_>>().map(Self)
    }

    fn takes(found: &Found) -> bool {
        matches!(found, Found::Text(_) | Found::List(_))
    }

    fn show(&self) -> Option<Shown> {
        (!self.0.is_empty()).then(|| Shown::Text(self.0.join(", ")))
    }
}

/// Networks of addresses with commas between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// The networks.
    pub fn as_slice(&self) -> &[IpNet] {
        &self.0
    }
}

impl Setting for Networks {
    const VALUE: &'static str = "NETWORKS";
    const SAMPLE: &'static str = "10.0.0.0/8";

    fn wanted() -> String {
        "addresses or networks with commas between them, such as 127.0.0.1, 10.0.0.0/8, or in a file a list of texts"
            .to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let network = |word: &str| word.parse().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from));
        words(text).map(network).collect::<Option<_>>().map(Self)
    }

    fn takes(found: &Found) -> bool {
        matches!(found, Found::Text(_) | Found::List(_))
    }

    fn show(&self) -> Option<Shown> {
        let texts: Vec<String> = self.0.iter().map(IpNet::to_string).collect();
        (!texts.is_empty()).then(|| Shown::Text(texts.join(", ")))
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_a_number_with_or_without_a_unit() {
        for (text, bytes) in [("0", 0), ("1048576", 1 << 20), ("512 KiB", 512 << 10), ("1GiB", 1 << 30), ("7 B", 7)] {
            assert_eq!(Bytes::<0, { u64::MAX }>::parse(text), Some(Bytes(bytes)), "{text}");
        }
        for bad in ["", "KiB", "-1", "1.5 GiB", "1 GB", "1 gib", "99999999999 TiB", "1 GiB ", "é"] {
            assert_eq!(Bytes::<0, { u64::MAX }>::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn bytes_are_shown_so_that_they_read_back_the_same() {
        for bytes in [0, 1, 1_023, 1_024, 1_025, 512 << 10, (1 << 30) + 1, 3 << 40, u64::MAX] {
            assert_eq!(Bytes::<0, { u64::MAX }>::parse(&in_units(bytes)), Some(Bytes(bytes)));
        }
        assert_eq!((in_units(3 << 30), in_units(1_000)), ("3 GiB".to_owned(), "1000 B".to_owned()));
    }

    #[test]
    fn what_is_outside_of_a_range_is_refused() {
        for (text, is_inside) in [("0", false), ("1", true), ("9", true), ("10", false)] {
            assert_eq!(Count::<1, 9>::parse(text).is_some(), is_inside, "{text}");
            assert_eq!(Bytes::<1, 9>::parse(text).is_some(), is_inside, "{text}");
        }
    }

    #[test]
    fn a_level_with_a_slip_is_no_filter() {
        for good in ["info", "off", "DEBUG", "afield_relay=debug", "warn,afield_relay::hub=trace", "info,hyper=off"] {
            assert!(LogFilter::parse(good).is_some(), "{good}");
        }
        for bad in ["inof", "", "warn,verbose", "afield_relay=verbose"] {
            assert_eq!(LogFilter::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_text_is_shown_as_a_file_has_it() {
        let text = "C:\\a \"b\"\n\u{7f}\u{1}é";
        let line = format!("data = {}", Shown::Text(text.to_owned()));
        let table = toml::de::DeTable::parse(&line).unwrap();
        assert_eq!(table.get_ref().get("data").unwrap().get_ref().as_str(), Some(text));
    }
}
