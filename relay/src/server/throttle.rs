//! How much an address, a device and an account may do in some time, and what is told to whoever does more.
//!
//! Who writes too fast is read more slowly, so that nothing is lost and no session ends; who connects or fails to sign in too often
//! is told when to come back. The counting is [`governor`]'s (the generic cell rate algorithm).

use super::clock::SystemEntropy;
use afield_core::DeviceId;
use afield_core::time::random_bytes;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After how many connections what has come to rest is forgotten.
const FORGET_EVERY: u32 = 1_024;
/// How far the moments are spread at which those who were sent away come back, in seconds, so that they do not all come at once.
const SPREAD_S: u64 = 10;

/// So much in some time, and more at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How much over time, in each period; 0 for as much as there is.
    pub per_period: u32,
    /// How much at once.
    pub burst: u32,
    /// The period.
    pub period: Duration,
}

impl Rate {
    /// So much a second.
    pub const fn per_second(count: u32, burst: u32) -> Self {
        Self { per_period: count, burst, period: Duration::from_secs(1) }
    }

    /// So much a minute.
    pub const fn per_minute(count: u32, burst: u32) -> Self {
        Self { per_period: count, burst, period: Duration::from_secs(60) }
    }

    /// The quota; none where everything is allowed.
    fn quota(self) -> Option<Quota> {
        let per_period = NonZeroU32::new(self.per_period)?;
        let burst = NonZeroU32::new(self.burst.max(1))?;
        Some(Quota::with_period(self.period / per_period.get())?.allow_burst(burst))
    }
}

/// How much addresses, devices and accounts may do; the defaults are those of the protocol's table of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// New connections of one address.
    pub connections: Rate,
    /// Failed attempts of one address to sign in.
    pub failures: Rate,
    /// Pushes of one device.
    pub device_pushes: Rate,
    /// Bytes of messages of one device, in KiB.
    pub device_kib: Rate,
    /// Pushes of all devices of one user.
    pub user_pushes: Rate,
    /// Bytes of messages of all devices of one user, in KiB.
    pub user_kib: Rate,
}

impl Rates {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        connections: Rate::per_minute(600, 200),
        failures: Rate::per_minute(20, 20),
        device_pushes: Rate::per_second(50, 500),
        device_kib: Rate::per_second(8 * 1_024, 64 * 1_024),
        user_pushes: Rate::per_second(500, 5_000),
        user_kib: Rate::per_second(32 * 1_024, 256 * 1_024),
    };
}

/// Who writes: a user, and one of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Writer {
    pub(super) user: i64,
    pub(super) device: DeviceId,
}

/// What the rates allow now.
#[derive(Debug)]
pub(super) struct Throttle {
    connections: Option<Limit<IpAddr>>,
    failures: Option<Limit<IpAddr>>,
    /// Addresses that have failed to sign in too often, and until when they are sent away.
    shut_out: Mutex<HashMap<IpAddr, Instant>>,
    device_pushes: Option<Limit<Writer>>,
    device_kib: Option<Limit<Writer>>,
    user_pushes: Option<Limit<i64>>,
    user_kib: Option<Limit<i64>>,
    until_forgotten: AtomicU32,
    refused: Arc<[AtomicU64; Refused::ALL.len()]>,
}

/// Why a connection or a request was sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its address connects too often.
    Rate,
    /// Its address failed to sign in too often.
    ShutOut,
    /// Too many are connected.
    Places,
    /// Too many are not welcome yet.
    Handshakes,
    /// Its page is not listed.
    Origin,
}

impl Refused {
    const ALL: [Self; 5] = [Self::Rate, Self::ShutOut, Self::Places, Self::Handshakes, Self::Origin];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::ShutOut => "shut_out",
            Self::Places => "places",
            Self::Handshakes => "handshakes",
            Self::Origin => "origin",
        }
    }
}

/// Who is sent away, and when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany {
    pub(super) retry_after_s: u64,
}

impl TooMany {
    /// To come back after a while, each at a moment of its own.
    pub(super) fn after(wait: Duration) -> Self {
        let spread = u64::from_le_bytes(random_bytes(&mut SystemEntropy)) % SPREAD_S;
        Self { retry_after_s: wait.as_secs().saturating_add(1 + spread) }
    }
}

impl Throttle {
    pub(super) fn new(rates: &Rates) -> Self {
        Self {
            connections: Limit::of(rates.connections),
            failures: Limit::of(rates.failures),
            shut_out: Mutex::default(),
            device_pushes: Limit::of(rates.device_pushes),
            device_kib: Limit::of(rates.device_kib),
            user_pushes: Limit::of(rates.user_pushes),
            user_kib: Limit::of(rates.user_kib),
            until_forgotten: AtomicU32::new(FORGET_EVERY),
            refused: Default::default(),
        }
    }

    /// What is allowed to those who ask for the administration: connections as they like, and failures of their own. Who guesses at one
    /// door is not kept from the other. Who is sent away counts here, too.
    pub(super) fn for_administration(&self, rates: &Rates) -> Self {
        let none = Rate::per_second(0, 0);
        Self { refused: Arc::clone(&self.refused), ..Self::new(&Rates { connections: none, ..*rates }) }
    }

    /// Counts a connection.
    pub(super) fn connect(&self, address: IpAddr) -> Result<(), TooMany> {
        self.forget_now_and_then();
        let taken = self.connections.as_ref().map_or(Ok(()), |limit| limit.take(&counted_as(address), 1));
        taken.map_err(TooMany::after)
    }

    /// Whether an address has failed to sign in too often.
    pub(super) fn check_sign_in(&self, address: IpAddr) -> Result<(), TooMany> {
        self.check_shut_out(counted_as(address))
    }

    /// Counts a failed attempt to sign in.
    pub(super) fn note_failure(&self, address: IpAddr) {
        let address = counted_as(address);
        let Some(Err(wait)) = self.failures.as_ref().map(|limit| limit.take(&address, 1)) else { return };
        tracing::warn!(%address, "too many failed attempts to sign in: this address is sent away for a while");
        self.shut_out().insert(address, Instant::now() + wait);
    }

    /// Counts a connection or request that is sent away.
    pub(super) fn count(&self, why: Refused) {
        if let Some((_, count)) = Refused::ALL.iter().zip(&*self.refused).find(|(other, _)| **other == why) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many connections and requests were sent away, by why.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refused::ALL.iter().zip(&*self.refused).map(|(why, count)| (why.as_str(), count.load(Ordering::Relaxed)))
    }

    /// Waits until a writer may send one more message of so many bytes.
    pub(super) async fn wait_for(&self, writer: Writer, is_push: bool, bytes: usize) {
        let kib = u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX);
        if is_push {
            wait(self.device_pushes.as_ref(), &writer, 1).await;
            wait(self.user_pushes.as_ref(), &writer.user, 1).await;
        }
        wait(self.device_kib.as_ref(), &writer, kib).await;
        wait(self.user_kib.as_ref(), &writer.user, kib).await;
    }

    fn check_shut_out(&self, address: IpAddr) -> Result<(), TooMany> {
        let until = self.shut_out().get(&address).copied();
        match until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(wait) if !wait.is_zero() => {
                self.count(Refused::ShutOut);
                Err(TooMany::after(wait))
            }
            _ => Ok(()),
        }
    }

    fn shut_out(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.shut_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets who has come to rest, so that what is remembered is in proportion to what happens.
    fn forget_now_and_then(&self) {
        if self.until_forgotten.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        self.until_forgotten.store(FORGET_EVERY, Ordering::Relaxed);
        let now = Instant::now();
        self.shut_out().retain(|_, until| *until > now);
        for limit in [&self.connections, &self.failures].into_iter().flatten() {
            limit.forget();
        }
        for limit in [&self.device_pushes, &self.device_kib].into_iter().flatten() {
            limit.forget();
        }
        for limit in [&self.user_pushes, &self.user_kib].into_iter().flatten() {
            limit.forget();
        }
    }
}

#[cfg(test)]
impl Throttle {
    /// One that lets everybody do everything.
    pub(super) fn unlimited() -> Arc<Self> {
        Arc::new(Self::new(&tests::UNLIMITED))
    }
}

/// What an address counts as: who has one IPv6 address has all of its network of 64 bits (RFC 6177).
pub(super) fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

async fn wait<K: Hash + Eq + Clone>(limit: Option<&Limit<K>>, key: &K, count: u32) {
    if let Some(limit) = limit {
        limit.wait_for(key, count).await;
    }
}

/// One rate, for each of many.
#[derive(Debug)]
struct Limit<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    burst: u32,
    /// Those who wait, in their order.
    turns: Mutex<HashMap<K, Queue>>,
}

/// Whoever has the lock is next; it is given in the order in which it was asked for.
type Queue = Arc<tokio::sync::Mutex<()>>;

/// A place in a queue, which is forgotten with the last of its places.
struct Turn<'l, K: Hash + Eq + Clone> {
    limit: &'l Limit<K>,
    key: K,
    queue: Queue,
}

impl<K: Hash + Eq + Clone> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        let mut turns = self.limit.turns();
        // The map's, and this one.
        if Arc::strong_count(&self.queue) <= 2 {
            turns.remove(&self.key);
        }
    }
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn of(rate: Rate) -> Option<Self> {
        Some(Self { limiter: RateLimiter::keyed(rate.quota()?), burst: rate.burst.max(1), turns: Mutex::default() })
    }

    /// Takes so much, or says how long until there is enough. Of more than there ever is at once all of that is taken.
    fn take(&self, key: &K, count: u32) -> Result<(), Duration> {
        let Some(count) = NonZeroU32::new(count.min(self.burst)) else { return Ok(()) };
        match self.limiter.check_key_n(key, count) {
            Ok(Err(denied)) => Err(denied.wait_time_from(DefaultClock::default().now())),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Waits until there is so much, behind whoever waits already. Without that a message that needs much at once would wait as long as
    /// others take the little that comes back.
    async fn wait_for(&self, key: &K, count: u32) {
        let turn = match self.begin(key, count) {
            None => return,
            Some(turn) => turn,
        };
        let _mine = turn.queue.lock().await;
        while let Err(wait) = self.take(key, count) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes so much at once where nobody waits and there is enough; otherwise gives the queue to wait in.
    fn begin(&self, key: &K, count: u32) -> Option<Turn<'_, K>> {
        let mut turns = self.turns();
        if !turns.contains_key(key) && self.take(key, count).is_ok() {
            return None;
        }
        let queue = Arc::clone(turns.entry(key.clone()).or_default());
        Some(Turn { limit: self, key: key.clone(), queue })
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<K, Queue>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Rate = Rate::per_second(0, 0);
    pub(super) const UNLIMITED: Rates = Rates {
        connections: NONE,
        failures: NONE,
        device_pushes: NONE,
        device_kib: NONE,
        user_pushes: NONE,
        user_kib: NONE,
    };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_connects_so_often_and_is_told_when_to_come_back() {
        let throttle = Throttle::new(&Rates { connections: Rate::per_minute(6, 3), ..UNLIMITED });
        for _ in 0..3 {
            assert_eq!(throttle.connect(address("192.0.2.1")), Ok(()));
        }
        let TooMany { retry_after_s } = throttle.connect(address("192.0.2.1")).unwrap_err();
        assert!((1..=10 + SPREAD_S).contains(&retry_after_s), "{retry_after_s}");
        assert_eq!(throttle.connect(address("192.0.2.2")), Ok(()), "the others are not concerned");
    }

    #[test]
    fn all_addresses_of_a_network_of_64_bits_are_one() {
        let throttle = Throttle::new(&Rates { connections: Rate::per_minute(6, 1), ..UNLIMITED });
        throttle.connect(address("2001:db8:0:1::1")).unwrap();
        throttle.connect(address("2001:db8:0:1:ffff::2")).unwrap_err();
        throttle.connect(address("2001:db8:0:2::1")).unwrap();
        throttle.connect(address("192.0.2.1")).unwrap();
        throttle.connect(address("::ffff:192.0.2.1")).unwrap_err();
    }

    #[test]
    fn who_fails_to_sign_in_too_often_is_sent_away_and_nobody_else() {
        let throttle = Throttle::new(&Rates { failures: Rate::per_minute(20, 20), ..UNLIMITED });
        let guesser = address("192.0.2.1");
        for _ in 0..20 {
            throttle.note_failure(guesser);
            assert_eq!(throttle.check_sign_in(guesser), Ok(()));
        }
        throttle.note_failure(guesser);
        throttle.check_sign_in(guesser).unwrap_err();
        let other = address("192.0.2.2");
        for _ in 0..20 {
            assert_eq!(throttle.check_sign_in(other), Ok(()));
            throttle.note_failure(other);
        }
        assert_eq!(throttle.check_sign_in(other), Ok(()), "what others failed is not counted for it");
    }

    #[test]
    fn who_is_sent_away_may_come_back_after_as_long_as_one_more_attempt_takes() {
        let throttle = Throttle::new(&Rates { failures: Rate::per_minute(6, 1), ..UNLIMITED });
        let guesser = address("192.0.2.1");
        (0..2).for_each(|_| throttle.note_failure(guesser));
        throttle.check_sign_in(guesser).unwrap_err();
        let until = throttle.shut_out().get(&guesser).copied().unwrap();
        let left = until.saturating_duration_since(Instant::now());
        assert!(left > Duration::ZERO && left <= Duration::from_secs(10), "{left:?}");
        throttle.shut_out().insert(guesser, Instant::now());
        assert_eq!(throttle.check_sign_in(guesser), Ok(()), "by itself, and without anything being forgotten first");
    }

    #[test]
    fn who_guesses_with_many_addresses_of_a_network_of_64_bits_is_one_guesser() {
        let throttle = Throttle::new(&Rates { failures: Rate::per_minute(6, 2), ..UNLIMITED });
        for last in ["1", "2", "ffff:3"] {
            throttle.note_failure(address(&format!("2001:db8:0:1::{last}")));
        }
        throttle.check_sign_in(address("2001:db8:0:1::4")).unwrap_err();
        assert_eq!(throttle.check_sign_in(address("2001:db8:0:2::1")), Ok(()), "the control");
    }

    #[test]
    fn where_there_is_no_limit_everything_is_taken() {
        let throttle = Throttle::new(&UNLIMITED);
        for _ in 0..10_000 {
            throttle.connect(address("192.0.2.1")).unwrap();
            throttle.note_failure(address("192.0.2.1"));
        }
    }

    #[test]
    fn what_has_come_to_rest_is_forgotten() {
        // Whatever it is, a moment later it has come to rest.
        let quick = Rate::per_second(1_000_000, 1);
        let throttle = Throttle::new(&Rates {
            connections: quick,
            failures: quick,
            device_pushes: quick,
            device_kib: quick,
            user_pushes: quick,
            user_kib: quick,
        });
        let (of_devices, of_users) = {
            let Throttle { device_pushes, device_kib, user_pushes, user_kib, .. } = &throttle;
            ([device_pushes, device_kib].map(Option::as_ref), [user_pushes, user_kib].map(Option::as_ref))
        };
        let mut shut_out = 0;
        for number in 0..10 * FORGET_EVERY {
            let address = IpAddr::from(number.to_be_bytes());
            throttle.connect(address).unwrap();
            throttle.note_failure(address);
            throttle.note_failure(address);
            shut_out += usize::from(throttle.shut_out().contains_key(&address));
            let writer = Writer { user: number.into(), device: DeviceId::from_bytes([1; 16]) };
            assert!(of_devices.into_iter().flatten().all(|limit| limit.take(&writer, 1).is_ok()));
            assert!(of_users.into_iter().flatten().all(|limit| limit.take(&writer.user, 1).is_ok()));
        }
        assert!(shut_out > FORGET_EVERY as usize, "the control: {shut_out}");
        let of_addresses = [&throttle.connections, &throttle.failures].map(Option::as_ref);
        let remembered: Vec<usize> = (of_addresses.into_iter().flatten().map(|limit| limit.limiter.len()))
            .chain(of_devices.into_iter().flatten().map(|limit| limit.limiter.len()))
            .chain(of_users.into_iter().flatten().map(|limit| limit.limiter.len()))
            .chain([throttle.shut_out().len()])
            .collect();
        assert_eq!(remembered.len(), 7);
        assert!(remembered.iter().all(|remembered| *remembered <= FORGET_EVERY as usize), "{remembered:?}");
    }

    #[tokio::test]
    async fn a_writer_waits_and_its_user_with_all_devices_too() {
        let writer = |device| Writer { user: 1, device: DeviceId::from_bytes([device; 16]) };
        let rates = Rates {
            device_pushes: Rate::per_second(10, 2),
            device_kib: Rate::per_second(1_000, 2_000),
            user_kib: Rate::per_second(1_000, 3_000),
            ..UNLIMITED
        };
        let throttle = Throttle::new(&rates);
        let waits = async |who, is_push, bytes| {
            let waiting = throttle.wait_for(who, is_push, bytes);
            tokio::time::timeout(Duration::ZERO, waiting).await.is_err()
        };
        assert!(!waits(writer(1), true, 10).await && !waits(writer(1), true, 10).await);
        assert!(waits(writer(1), true, 10).await, "the third push at once");
        assert!(!waits(writer(1), false, 10).await, "what is no push is not counted as one");
        assert!(!waits(writer(2), false, 2_000 << 10).await);
        assert!(waits(writer(2), false, 100 << 10).await, "more bytes than a device may send at once");
        assert!(waits(writer(3), false, 1_900 << 10).await, "and of a new one, than all devices of the user may");
    }

    #[tokio::test]
    async fn what_all_devices_of_a_user_push_is_counted_together_and_no_other_users() {
        let writer = |user, device| Writer { user, device: DeviceId::from_bytes([device; 16]) };
        let throttle = Throttle::new(&Rates { user_pushes: Rate::per_minute(1, 2), ..UNLIMITED });
        let waits = async |who| tokio::time::timeout(Duration::ZERO, throttle.wait_for(who, true, 1)).await.is_err();
        assert!(!waits(writer(1, 1)).await && !waits(writer(1, 2)).await);
        assert!(waits(writer(1, 3)).await, "the third push of the user");
        assert!(!waits(writer(2, 1)).await, "another user, whatever the id of its device");
    }

    #[tokio::test]
    async fn a_message_that_needs_all_there_is_at_once_is_not_kept_waiting_by_small_ones_of_others() {
        let writer = |device| Writer { user: 1, device: DeviceId::from_bytes([device; 16]) };
        let rates = Rates { user_kib: Rate::per_second(1_000, 100), ..UNLIMITED };
        let throttle = Arc::new(Throttle::new(&rates));
        throttle.wait_for(writer(3), false, 100 << 10).await;
        let busy = Arc::clone(&throttle);
        let others = tokio::spawn(async move {
            loop {
                busy.wait_for(writer(1), false, 1_024).await;
                tokio::task::yield_now().await;
            }
        });
        // It is larger than the burst, and takes all of that.
        let waiting = throttle.wait_for(writer(2), false, 150 << 10);
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("its turn comes");
        assert!(!others.is_finished());
        others.abort();
        assert!(others.await.is_err_and(|error| error.is_cancelled()));
        assert!(throttle.user_kib.as_ref().unwrap().turns().is_empty(), "who waits no more is forgotten");
    }
}
