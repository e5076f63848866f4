//! Time and randomness as arguments.

/// The caller's clocks at one moment.
///
/// The wall clock labels changes and is shown to people; it never decides merging, ordering or loss (invariant S4).
/// The monotonic clock drives time-outs and back-off.
///
/// ```
/// use afield_core::{EntityId, Entropy, Now};
///
/// # struct Sevens;
/// # impl Entropy for Sevens { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(7) } }
/// let earlier = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
/// let later = Now { wall_ms: earlier.wall_ms + 1_000, monotonic_ms: 1_000 };
/// assert!(EntityId::new(earlier, &mut Sevens) < EntityId::new(later, &mut Sevens)); // identities are in the order of their making
/// ```
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
///
/// ```
/// use afield_core::{Entropy, SessionId};
///
/// struct Counting(u8); // a test wants the same identities in each run; an app asks the operating system
/// impl Entropy for Counting {
///     fn fill(&mut self, bytes: &mut [u8]) {
///         bytes.iter_mut().for_each(|byte| {
///             self.0 = self.0.wrapping_add(1);
///             *byte = self.0;
///         });
///     }
/// }
/// assert_eq!(SessionId::new(&mut Counting(0)).as_bytes()[..3], [1, 2, 3]);
/// ```
pub trait Entropy: Send {
    /// Fills `bytes` with random bytes.
    ///
    /// ```
    /// # use afield_core::Entropy;
    /// # struct Sevens;
    /// # impl Entropy for Sevens { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(7) } }
    /// let mut bytes = [0; 4];
    /// Sevens.fill(&mut bytes);
    /// assert_eq!(bytes, [7; 4]);
    /// ```
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
