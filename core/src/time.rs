//! Time and randomness as arguments.

/// The caller's clocks at one moment.
///
/// The wall clock labels changes and is shown to people; it never decides merging, ordering or loss (invariant S4).
/// The monotonic clock drives time-outs and back-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Now {
    /// Milliseconds since the Unix epoch; may jump in either direction.
    pub wall_ms: i64,
    /// Milliseconds since an arbitrary start; never goes back.
    pub monotonic_ms: u64,
}

/// A source of random bytes, given by the caller.
///
/// The operating system's generator implements it in the binaries and a seeded generator in the simulator.
pub trait Entropy: Send {
    /// Fills `bytes` with random bytes.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<E: Entropy + ?Sized> Entropy for Box<E> {
    fn fill(&mut self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

/// Draws an array of `N` random bytes.
///
/// ```
/// use afield_core::Entropy;
/// use afield_core::time::random_bytes;
///
/// struct Sevens; // for a test; an app asks the operating system
/// impl Entropy for Sevens {
///     fn fill(&mut self, bytes: &mut [u8]) {
///         bytes.fill(7);
///     }
/// }
/// let bytes: [u8; 4] = random_bytes(&mut Sevens);
/// assert_eq!(bytes, [7; 4]);
/// ```
pub fn random_bytes<const N: usize>(entropy: &mut (impl Entropy + ?Sized)) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}
