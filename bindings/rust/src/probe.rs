//! Looking at a relay without syncing: is it there, and does it let this token in?

use crate::clock::{SystemClock, SystemEntropy};
use crate::error::ConnectError;
use crate::relay::Relay;
use crate::sign_in::SignInReason;
use afield_core::id::Incarnation;
use afield_core::session::{DeviceEvent, DeviceSession, Greeting, SessionError};
use afield_core::wire::{Class, GoodbyeCode, Welcome};
use afield_core::{DeviceId, SpaceId};
use afield_transport::{CloseCode, Link, LinkError, connect};
use std::time::{Duration, Instant};

/// What a relay said to one who only looks.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use afield_relay::{hub, server};
/// # let folder = tempfile::tempdir()?;
/// # let options = server::RelayOptions {
/// #     access: hub::Access::Open,
/// #     listen: "127.0.0.1:0".parse()?,
/// #     ..server::RelayOptions::new(folder.path().join("relay"))
/// # };
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # let relay = runtime.block_on(server::Relay::start(options))?;
/// # runtime.block_on(async {
/// let probed = afield::Relay::new(relay.url()).probe().await?;
/// assert!(probed.protocol_version >= 1 && probed.may_create); // this relay lets everybody in
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probed {
    /// The version of the protocol that both sides speak.
    pub protocol_version: u16,
    /// How long it took until the relay had let this token in.
    pub elapsed: Duration,
    /// The spaces that the token may use, as far as the relay names them.
    pub spaces: Vec<SpaceId>,
    /// Whether the token may create spaces: one that the relay does not name is then made at the first sync.
    pub may_create: bool,
}

/// A relay could not be looked at.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use afield::{ProbeError, Relay};
///
/// let error = Relay::new("ws://127.0.0.1:9").probe().await.unwrap_err(); // nobody listens there
/// assert!(matches!(error, ProbeError::Connect(_)));
/// assert_eq!(error.class(), afield::Class::Retry);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The address or the token cannot be one.
    #[error(transparent)]
    Relay(#[from] ConnectError),
    /// The connection was not made.
    #[error(transparent)]
    Connect(#[from] afield_transport::ConnectError),
    /// The connection broke.
    #[error("the connection broke before the relay had answered")]
    Link(#[from] LinkError),
    /// The relay said no, or something that it must not say.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The relay closed the connection.
    #[error("the relay closed the connection without an answer")]
    Closed,
    /// The relay did not answer in time.
    #[error("the relay did not answer in time")]
    TimedOut,
}

impl ProbeError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use afield::{Class, Relay};
    ///
    /// let nobody = Relay::new("ws://127.0.0.1:9").probe().await.unwrap_err();
    /// assert_eq!(nobody.class(), Class::Retry);
    /// let mistyped = Relay::new("relay.example.org").probe().await.unwrap_err();
    /// assert_eq!(mistyped.class(), Class::Permanent, "an address begins with wss://");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Relay(error) => error.class(),
            Self::Connect(error) => error.class(),
            Self::Session(error) => error.code().class(),
            Self::Link(_) | Self::Closed | Self::TimedOut => Class::Retry,
        }
    }

    /// Why somebody has to sign in, where that is it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let nobody = afield::Relay::new("ws://127.0.0.1:9").probe().await.unwrap_err();
    /// assert_eq!(nobody.sign_in(), None); // nobody listens there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub fn sign_in(&self) -> Option<SignInReason> {
        match self {
            Self::Session(error) => SignInReason::of(error.code()),
            other => (other.class() == Class::SignIn).then_some(SignInReason::TokenRefused),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use afield::Relay;
    ///
    /// let nobody = Relay::new("ws://127.0.0.1:9").probe().await.unwrap_err();
    /// assert_eq!(nobody.code(), "probe.connect");
    /// let mistyped = Relay::new("relay.example.org").probe().await.unwrap_err();
    /// assert_eq!(mistyped.code(), "connect.address");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Relay(error) => error.code(),
            Self::Connect(_) => "probe.connect",
            Self::Link(_) => "probe.link",
            Self::Session(_) => "probe.session",
            Self::Closed => "probe.closed",
            Self::TimedOut => "probe.timed_out",
        }
    }
}

impl Relay {
    /// Looks whether the relay is there and lets this token in, for those who look after a device.
    ///
    /// It opens no space and sends no change. It comes as a device that nobody knows, so that the session of the device that
    /// it runs on goes on, and the relay lists it as one; [`Relay::probe_for`] leaves nothing there. Needs a tokio runtime with I/O and
    /// time.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// use afield::Relay;
    /// # runtime.block_on(async {
    ///
    /// let probed = Relay::new(relay.url()).token("afield_0123456789abcdef").probe().await?;
    /// println!("version {} after {:?}", probed.protocol_version, probed.elapsed);
    /// assert!(probed.spaces.is_empty() && probed.may_create);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The relay was not reached, or does not let this token in.
    pub async fn probe(self) -> Result<Probed, ProbeError> {
        self.probe_as(None).await
    }

    /// Looks at the relay as [`Relay::probe`] does, in the name of a device: the relay judges the token as that one's and lists no other,
    /// and the session of that device goes on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::Relay;
    /// # runtime.block_on(async {
    ///
    /// let probed = Relay::new(relay.url()).probe_for(replica.device()).await?;
    /// assert!(probed.may_create);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Relay::probe`].
    pub async fn probe_for(self, device: DeviceId) -> Result<Probed, ProbeError> {
        self.probe_as(Some(device)).await
    }

    async fn probe_as(self, guest_of: Option<DeviceId>) -> Result<Probed, ProbeError> {
        let since = Instant::now();
        let (address, options) = self.into_parts()?;
        let time_max = Duration::from_millis(options.handshake_timeout_ms);
        let mut link = connect(&address, options).await?;
        let welcome =
            tokio::time::timeout(time_max, greet(&mut link, guest_of)).await.map_err(|_| ProbeError::TimedOut)??;
        let elapsed = since.elapsed();
        // Whatever becomes of these, the answer is there.
        let _ = link.send(DeviceSession::close(GoodbyeCode::Done).into()).await;
        let _ = link.close(CloseCode::Done).await;
        let Welcome { version, spaces, may_create, .. } = welcome;
        Ok(Probed { protocol_version: version, elapsed, spaces, may_create })
    }
}

async fn greet(link: &mut Link, guest_of: Option<DeviceId>) -> Result<Welcome, ProbeError> {
    let (clock, mut entropy) = (SystemClock::new(), SystemEntropy);
    let greeting = Greeting {
        device: DeviceId::new(clock.now(), &mut entropy),
        incarnation: Incarnation::new(&mut entropy),
        predecessors: Vec::new(),
        guest_of,
        token: None,
    };
    let mut session = DeviceSession::new(greeting, [], clock.now());
    loop {
        while let Some(message) = session.poll_transmit() {
            link.send(message.into()).await?;
        }
        let Some(message) = link.receive().await? else { return Err(ProbeError::Closed) };
        session.handle_message(&message, clock.now())?;
        while let Some(event) = session.poll_event() {
            if let DeviceEvent::Welcome(welcome) = event {
                return Ok(*welcome);
            }
        }
    }
}
