//! A token that takes the place of the one that sync was switched on with.

use super::{Link, Synchronization};
use crate::driver::{Driver, DriverError};
use crate::sign_in::SignInReason;
use afield_core::Now;
use afield_core::policy::Trigger;
use afield_core::wire::Class;

impl Driver {
    /// Takes a fresher token: it is given to the relay in the session that stands, and every later one begins with it. A driver that
    /// waits for somebody to sign in asks to connect at once. Answers whether sync is on: while it is off, no token is kept.
    ///
    /// Whoever makes connections with a token in their header makes those to come with this one.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Class, Driver, Entropy, Now, Output, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// assert!(!driver.refresh_token("afield_fresher", now)?); // sync is off
    ///
    /// driver.enable_sync(now);
    /// assert_eq!(driver.poll_output(), Some(Output::Connect));
    /// driver.handle_connect_failed("the token has expired".into(), Class::SignIn, None, now);
    /// assert_eq!(driver.poll_output(), None); // trying again does not help
    ///
    /// assert!(driver.refresh_token("afield_fresher", now)?);
    /// assert_eq!(driver.poll_output(), Some(Output::Connect));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read. The token is kept all the same.
    pub fn refresh_token(&self, token: &str, now: Now) -> Result<bool, DriverError> {
        let mut sync = self.turn();
        if let Link::Off = sync.link {
            return Ok(false);
        }
        sync.fresher_token = Some(token.to_owned());
        let result = match &mut sync.link {
            Link::Up { session, .. } => {
                session.authenticate(token.to_owned());
                sync.is_token_untried = true;
                self.pump(&mut sync, now)
            }
            Link::Connecting => {
                sync.is_token_untried = true;
                Ok(())
            }
            Link::Stopped { class: Class::SignIn } => self.sign_in_again(&mut sync, now),
            Link::Off | Link::Resting | Link::Waiting { .. } | Link::Stopped { .. } => Ok(()),
        };
        self.finish(&mut sync, result, now)?;
        Ok(true)
    }

    /// Goes on as when sync is switched on, for what was wanted when it stopped.
    fn sign_in_again(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        sync.link = Link::Resting;
        self.ask_policy(sync, None, &Trigger::StartUp, now).map(|_| ())
    }
}

impl Synchronization {
    /// Why somebody has to sign in, where nothing else helps.
    pub(super) fn sign_in(&self) -> Option<SignInReason> {
        self.refusal.filter(|_| matches!(self.link, Link::Stopped { class: Class::SignIn }))
    }
}
