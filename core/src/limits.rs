//! Every limit of the protocol, named, with its unit and its reason.

use minicbor::{Decode, Encode};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The largest frame, in bytes: the WebSocket layer refuses a larger message before buffering it.
pub const FRAME_BYTES_MAX: usize = MIB;
/// The largest change, in bytes, enforced when it is made: half a frame, so that one always fits.
pub const CHANGE_BYTES_MAX: usize = 512 * KIB;
/// The largest inflated size of anything, in bytes, whatever its compressed size.
pub const INFLATED_BYTES_MAX: usize = 16 * MIB;
/// How many times its compressed size anything may inflate to.
pub const INFLATED_RATIO_MAX: usize = 100;
/// The most operations one change may hold; a run of 100 bytes could otherwise expand into millions.
pub const CHANGE_OPERATIONS_MAX: u64 = 100_000;
/// The most dependencies one change may name.
pub const CHANGE_DEPENDENCIES_MAX: usize = 256;
/// The most other actors one change may name: those that fill half of its bytes, at 16 bytes and a length each, so that
/// the other half is left for operations. An actor is made per opening of a store, so deleting a long-lived text touches
/// the operations of thousands.
pub const CHANGE_ACTORS_MAX: usize = CHANGE_BYTES_MAX / 2 / 17;
/// The most bytes that the texts of a change's operations may take once its runs are expanded.
///
/// Only keys and the names of marks stand in runs; the texts that people write are values, which do not repeat. One
/// run of a few bytes could otherwise make the engine own [`CHANGE_OPERATIONS_MAX`] copies of a key of half a megabyte.
/// Four times the bytes of a change leaves 20 bytes of key for each of as many operations as are allowed.
pub const CHANGE_TEXT_BYTES_MAX: u64 = 4 * CHANGE_BYTES_MAX as u64;
/// The longest actor id, in bytes: Automerge's are 16, isolated and derived ones a little more.
pub const ACTOR_BYTES_MAX: usize = 64;
/// How many operation numbers a change and all that it follows may leave out together. Honest changes leave out none;
/// bounding the sum, and not each step, keeps some thousands of hostile ones from using up the 32 bits of numbers.
pub const START_OP_LEAP_MAX: u64 = 1_000_000;
/// The most chunks of one entity that wait for dependencies.
pub const WAITING_CHUNKS_MAX: usize = 1_000;
/// The most bytes of one entity's chunks that wait for dependencies.
pub const WAITING_BYTES_MAX: usize = 8 * MIB;
/// The most chunks a device has pushed without a receipt.
pub const IN_FLIGHT_CHUNKS_MAX: usize = 8_192;
/// The most bytes a device has pushed without a receipt.
pub const IN_FLIGHT_BYTES_MAX: usize = 4 * MIB;
/// The most bytes a relay queues for one session before it stops reading the log for it.
pub const SEND_QUEUE_BYTES_MAX: usize = MIB;
/// The most chunks in one batch: each is work however small it is, so its bytes alone would not bound what one message
/// makes its receiver do.
pub const BATCH_CHUNKS_MAX: usize = 8_192;
/// The most raw bytes of chunks in one batch, so that encoded it fits a frame and inflated it fits the cap.
pub const BATCH_BYTES_MAX: usize = 768 * KIB;
/// How many changes one push names by their places in the log: a relay looks each of them up, some ten microseconds, while
/// others wait.
pub const LOG_NAMES_MAX: usize = 256;
/// How far behind what a session was told a place may be that a push names: what is older may be kept in forms that take
/// long to read. A device has to keep well below it, since it may not have received all that it is being told.
pub const LOG_NAMES_BEHIND_MAX: u64 = 65_536;
/// The most spaces one session opens.
pub const SPACES_PER_SESSION_MAX: usize = 1_024;
/// The longest bearer token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 4 * KIB;
/// The longest code of an invitation, in bytes: some twice of what a relay draws.
pub const INVITATION_BYTES_MAX: usize = 256;
/// The most bytes accepted before a session is authenticated.
pub const UNAUTHENTICATED_BYTES_MAX: usize = 64 * KIB;
/// The most bytes of `Open`s that a device sends before it is welcome; the rest of what may be sent by then is left to a
/// token and the first pushes. An `Open` may hold 256 KiB of ids, and a link that sent more would be cut at every attempt.
pub const EARLY_OPENS_BYTES_MAX: usize = 40 * KIB;
/// The most collections that one list of a filter names, of one space.
pub const FILTER_COLLECTIONS_MAX: usize = 256;
/// The most entities that the filter of one space names one by one: 256 KiB of ids. Who wants more names their collection.
pub const FILTER_ENTITIES_MAX: usize = 16_384;
/// The most entities that all filters of a session name one by one: some 2 MiB of a relay's memory.
pub const SESSION_FILTER_ENTITIES_MAX: usize = 65_536;
/// The most entities that one `Fetch` names, so that one answer can say of each whether it is known.
pub const FETCH_ENTITIES_MAX: usize = 1_024;
/// The most ids of entities that one frame announces: 1 MiB of ids.
pub const ANNOUNCED_IDS_MAX: usize = 65_536;
/// The most `Fetch`es of a session without an answer.
pub const FETCHES_MAX: usize = 4;
/// How many sequences of which a reader wants nothing a relay passes without telling it: more make the next session read
/// them again.
pub const SILENT_SEQUENCES_MAX: u64 = 4_096;
/// How often a device says at most how far it has stored a log, in milliseconds: someone may be waiting for it.
pub const PROGRESS_INTERVAL_MS: u64 = 200;
/// After how many chunks a device says so whatever the interval.
pub const PROGRESS_CHUNKS_MAX: u64 = 4_096;
/// The most bytes that a signal shows: a name, a colour and some cursors. It goes to everybody who is here, again and again.
pub const SIGNAL_BYTES_MAX: usize = KIB;
/// How often a device shows at most what it shows in one place, in milliseconds: a cursor that moves some 13 times a second
/// looks as if it flowed.
pub const SIGNAL_INTERVAL_MS: u64 = 75;
/// How often a device says again what it shows, in milliseconds, so that a signal that was dropped costs no more than that.
pub const SIGNAL_REPEAT_MS: u64 = 10_000;
/// How long what was shown counts, in milliseconds, when nothing more is heard: that two repetitions may be lost.
pub const SIGNAL_EXPIRY_MS: u64 = 30_000;
/// Over how long the answers to a newcomer are spread, in milliseconds, so that not all come at once.
pub const SIGNAL_ANSWER_SPREAD_MS: u64 = 300;
/// How long a connection may take from the first byte to `Welcome`, in milliseconds.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 10_000;
/// How often a peer is pinged, in milliseconds: below the 30 s at which proxies and NATs drop idle connections.
pub const PING_INTERVAL_MS: u64 = 25_000;
/// How long a peer may stay silent before the connection counts as dead, in milliseconds.
pub const SILENT_PEER_TIMEOUT_MS: u64 = 60_000;
/// How long a reader may leave a full send queue untouched, in milliseconds.
pub const SLOW_READER_TIMEOUT_MS: u64 = 30_000;
/// How many times a session may close at one cursor of a space before that space is blocked.
pub const CLOSES_AT_ONE_CURSOR_MAX: u32 = 3;
/// The most incarnations a device names as its predecessors.
pub const PREDECESSORS_MAX: usize = 8;

/// The limits in force in a session: the relay's configuration, told to the device in `Welcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Limits {
    /// Largest frame, bytes.
    #[n(0)]
    pub frame_bytes_max: usize,
    /// Largest change, bytes.
    #[n(1)]
    pub change_bytes_max: usize,
    /// Most operations of a change.
    #[n(2)]
    pub change_operations_max: u64,
    /// Most dependencies of a change.
    #[n(3)]
    pub change_dependencies_max: usize,
    /// Most operation numbers left out.
    #[n(4)]
    pub start_op_leap_max: u64,
    /// Most chunks pushed without a receipt.
    #[n(5)]
    pub in_flight_chunks_max: usize,
    /// Most bytes pushed without a receipt.
    #[n(6)]
    pub in_flight_bytes_max: usize,
}

impl Limits {
    /// The defaults of the protocol.
    pub const DEFAULT: Self = Self {
        frame_bytes_max: FRAME_BYTES_MAX,
        change_bytes_max: CHANGE_BYTES_MAX,
        change_operations_max: CHANGE_OPERATIONS_MAX,
        change_dependencies_max: CHANGE_DEPENDENCIES_MAX,
        start_op_leap_max: START_OP_LEAP_MAX,
        in_flight_chunks_max: IN_FLIGHT_CHUNKS_MAX,
        in_flight_bytes_max: IN_FLIGHT_BYTES_MAX,
    };

    /// Whether a session can go on under these limits: something may be in flight, and a frame holds the longest run of a
    /// log, which the protocol gives. A relay with a smaller frame would cut its own devices off.
    ///
    /// ```
    /// use afield_core::Limits;
    ///
    /// assert!(Limits::DEFAULT.are_workable());
    /// assert!(!Limits { in_flight_chunks_max: 0, ..Limits::DEFAULT }.are_workable()); // nothing could be sent
    /// ```
    pub fn are_workable(&self) -> bool {
        self.frame_bytes_max >= FRAME_BYTES_MAX && self.in_flight_chunks_max > 0 && self.in_flight_bytes_max > 0
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The most bytes that something of `compressed` bytes may inflate to.
///
/// ```
/// use afield_core::limits::{INFLATED_BYTES_MAX, inflated_bytes_max};
///
/// assert_eq!(inflated_bytes_max(1_000), 100_000);
/// assert_eq!(inflated_bytes_max(usize::MAX), INFLATED_BYTES_MAX);
/// ```
pub const fn inflated_bytes_max(compressed: usize) -> usize {
    let by_ratio = compressed.saturating_mul(INFLATED_RATIO_MAX);
    if by_ratio < INFLATED_BYTES_MAX { by_ratio } else { INFLATED_BYTES_MAX }
}
