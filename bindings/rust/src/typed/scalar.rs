//! Counters, timestamps and bytes.

use afield_core::document::Value;
use autosurgeon::{
    Hydrate, HydrateError, Reconcile, Reconciler,
    hydrate::Unexpected,
    reconcile::{CounterReconciler, NoKey},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt,
    ops::Deref,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A number to which concurrent increments add up.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{Counter, model};
///
/// #[model]
/// struct Note { opened: Counter }
///
/// let notes = home.collection::<Note>("notes")?;
/// let id = notes.insert(&Note { opened: Counter::default() })?;
/// notes.edit(id, |note| note.opened.increment(1))?; // devices that do so at the same time count two
/// assert_eq!(notes.read(id)?.opened.value(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counter(i64);

impl Counter {
    /// Makes a counter that stands at `value`.
    ///
    /// ```
    /// use afield::Counter;
    ///
    /// assert_eq!(Counter::new(3).value(), 3);
    /// assert_eq!(Counter::new(0), Counter::default());
    /// ```
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// Adds `by`, which may be negative. The sum stays within the bounds of `i64`.
    ///
    /// ```
    /// # use afield::{Counter, Replica, model};
    /// # #[model]
    /// # struct Note { opened: Counter }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { opened: Counter::default() })?;
    /// notes.edit(id, |note| note.opened.increment(1))?; // adds up with those of other devices
    /// notes.edit(id, |note| note.opened.increment(4))?;
    /// assert_eq!(notes.read(id)?.opened.value(), 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn increment(&mut self, by: i64) {
        self.0 = self.0.saturating_add(by);
    }

    /// The sum so far.
    ///
    /// ```
    /// let mut opened = afield::Counter::new(3);
    /// opened.increment(-1);
    /// assert_eq!(opened.value(), 2);
    /// ```
    pub const fn value(self) -> i64 {
        self.0
    }
}

impl From<i64> for Counter {
    fn from(value: i64) -> Self {
        Self(value)
    }
}

impl From<Counter> for Value {
    fn from(counter: Counter) -> Self {
        Self::Counter(counter.0)
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Hydrate for Counter {
    fn hydrate_counter(value: i64) -> Result<Self, HydrateError> {
        Ok(Self(value))
    }

    /// A plain number, which the JSON view may have written.
    fn hydrate_int(value: i64) -> Result<Self, HydrateError> {
        Ok(Self(value))
    }
}

impl Reconcile for Counter {
    type Key<'a> = NoKey;

    fn reconcile<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        reconciler.counter()?.set(self.0)
    }
}

/// A moment, in milliseconds since the Unix epoch.
///
/// Time is what people read; it never decides what wins (invariant S4).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{Timestamp, model};
///
/// #[model]
/// struct Task { due: Option<Timestamp> }
///
/// let tasks = home.collection::<Task>("tasks")?;
/// let id = tasks.insert(&Task { due: Some(Timestamp::from_millis(1_767_225_600_000)) })?;
/// assert_eq!(tasks.query("due < ?", [Timestamp::from(std::time::SystemTime::now())])?.ids()?, [id]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after the Unix epoch, or before it when negative.
    ///
    /// ```
    /// use afield::Timestamp;
    /// use std::time::UNIX_EPOCH;
    ///
    /// assert_eq!(Timestamp::from_millis(0), UNIX_EPOCH.into());
    /// assert!(Timestamp::from_millis(-1) < UNIX_EPOCH.into());
    /// ```
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    ///
    /// ```
    /// use afield::Timestamp;
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// let due = Timestamp::from(UNIX_EPOCH + Duration::from_secs(60));
    /// assert_eq!(due.as_millis(), 60_000);
    /// ```
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl From<Timestamp> for Value {
    fn from(timestamp: Timestamp) -> Self {
        Self::Timestamp(timestamp.0)
    }
}

/// The millisecond in which a moment falls, the earlier one where it falls between two; the first or last one of 64 bits
/// where it is beyond them.
impl From<SystemTime> for Timestamp {
    fn from(moment: SystemTime) -> Self {
        Self(match moment.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_nanos().div_ceil(1_000_000)).map_or(i64::MIN, |before| -before)
            }
        })
    }
}

impl Timestamp {
    /// The moment as the system has it; `None` where it is beyond what the system has.
    ///
    /// ```
    /// use afield::Timestamp;
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// let due = Timestamp::from_millis(1_500).to_system_time();
    /// assert_eq!(due, Some(UNIX_EPOCH + Duration::from_millis(1_500)));
    /// ```
    pub fn to_system_time(self) -> Option<SystemTime> {
        let distance = Duration::from_millis(self.0.unsigned_abs());
        if self.0 < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
    }
}

impl Hydrate for Timestamp {
    fn hydrate_timestamp(millis: i64) -> Result<Self, HydrateError> {
        Ok(Self(millis))
    }

    /// A plain number, which the JSON view may have written.
    fn hydrate_int(millis: i64) -> Result<Self, HydrateError> {
        Ok(Self(millis))
    }
}

impl Reconcile for Timestamp {
    type Key<'a> = NoKey;

    fn reconcile<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        reconciler.timestamp(self.0)
    }
}

/// Bytes that are replaced as a whole.
///
/// In JSON they are a string of lowercase hexadecimal digits, as they are where an entity is read as JSON.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{Bytes, model};
///
/// #[model]
/// struct Photo { thumbnail: Bytes }
///
/// let photos = home.collection::<Photo>("photos")?;
/// let id = photos.insert(&Photo { thumbnail: vec![0, 255].into() })?;
/// assert_eq!(photos.read(id)?.thumbnail, Bytes::from(vec![0, 255]));
/// assert_eq!(photos.json().read(id)?["thumbnail"], "00ff");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes.0)
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.0.len())
    }
}

impl Hydrate for Bytes {
    fn hydrate_bytes(bytes: &[u8]) -> Result<Self, HydrateError> {
        Ok(Self(bytes.to_vec()))
    }

    /// A string of hexadecimal digits, which the JSON view may have written.
    fn hydrate_string(text: &str) -> Result<Self, HydrateError> {
        from_digits(text).ok_or(HydrateError::Unexpected(Unexpected::String))
    }
}

/// The bytes that a string of hexadecimal digits stands for.
fn from_digits(text: &str) -> Option<Bytes> {
    match Value::from_tagged_json(&serde_json::json!({ "$bytes": text })) {
        Ok(Value::Bytes(bytes)) => Some(Bytes(bytes)),
        _ => None,
    }
}

impl Reconcile for Bytes {
    type Key<'a> = NoKey;

    fn reconcile<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        reconciler.bytes(&self.0)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Value::Bytes(self.0.clone()).to_json().serialize(serializer)
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            // The string itself is content, and stays out of the error.
            from_digits(&text).ok_or_else(|| de::Error::custom("expected an even number of hexadecimal digits"))
        } else {
            deserializer.deserialize_byte_buf(BytesVisitor)
        }
    }
}

struct BytesVisitor;

impl de::Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(Bytes(bytes))
    }
}
