//! How much a space and a user may hold.

use afield_core::limits::START_OP_LEAP_MAX;

/// How much a space and a user may hold; the defaults are those of the protocol's table of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Most bytes of chunks in one space, as they were accepted.
    pub space_bytes_max: u64,
    /// Most chunks in one space.
    pub space_chunks_max: u64,
    /// Most spaces that one user owns.
    pub spaces_per_user_max: u64,
    /// Most operation numbers that the changes of an entity may leave out together.
    pub start_op_leap_max: u64,
}

impl Quotas {
    /// The default for [`Self::space_bytes_max`]: 1 GiB, some ten million keystrokes.
    pub const SPACE_BYTES_MAX: u64 = 1 << 30;
    /// The default for [`Self::space_chunks_max`]: a million.
    pub const SPACE_CHUNKS_MAX: u64 = 1_000_000;
    /// The default for [`Self::spaces_per_user_max`]: ten times what one session opens.
    pub const SPACES_PER_USER_MAX: u64 = 10_240;

    /// The defaults.
    pub const DEFAULT: Self = Self {
        space_bytes_max: Self::SPACE_BYTES_MAX,
        space_chunks_max: Self::SPACE_CHUNKS_MAX,
        spaces_per_user_max: Self::SPACES_PER_USER_MAX,
        start_op_leap_max: START_OP_LEAP_MAX,
    };
}

impl Default for Quotas {
    fn default() -> Self {
        Self::DEFAULT
    }
}
