use crate::clock::SystemEntropy;
use crate::driver::{Driver, Output};
use afield_core::Now;
use afield_core::policy::Wait;
use afield_core::policy::backoff::{RECONNECT_MAX_MS, RETRY_AFTER_MAX_MS};
use afield_core::wire::Class;
use afield_store::{OpenOptions, Store};

fn at(monotonic_ms: u64) -> Now {
    Now { wall_ms: 0, monotonic_ms }
}

/// A driver that was sent away at the moment 1,000, and may come back after so many milliseconds.
fn sent_away(retry_after_ms: Option<u64>) -> Driver {
    let store = Store::open_in_memory(&OpenOptions::default()).unwrap();
    let driver = Driver::new(store, Box::new(SystemEntropy), at(0)).unwrap();
    driver.enable_sync(at(1_000));
    assert_eq!(driver.poll_output(), Some(Output::Connect));
    driver.handle_connect_failed("busy".to_owned(), Class::Retry, retry_after_ms.map(Wait::Asked), at(1_000));
    driver
}

#[test]
fn a_wish_to_sync_now_does_not_come_back_before_the_moment_that_the_relay_named() {
    let driver = sent_away(Some(5_000));
    driver.hurry(at(2_000)).unwrap();
    assert_eq!((driver.poll_output(), driver.poll_timeout()), (None, Some(6_000)));
    driver.hurry(at(6_000)).unwrap();
    assert_eq!(driver.poll_output(), Some(Output::Connect), "and then at once, without the jitter");
    let driver = sent_away(None);
    driver.hurry(at(1_000)).unwrap();
    assert_eq!(driver.poll_output(), Some(Output::Connect), "the control: the back-off alone holds nobody up");
}

#[test]
fn no_relay_can_park_a_device_for_longer_than_an_hour() {
    let driver = sent_away(Some(u64::MAX));
    assert!(driver.poll_timeout().unwrap() <= 1_000 + RETRY_AFTER_MAX_MS + RECONNECT_MAX_MS);
    driver.hurry(at(1_000)).unwrap();
    assert_eq!(driver.poll_timeout(), Some(1_000 + RETRY_AFTER_MAX_MS));
}
