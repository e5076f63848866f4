//! The relay as a process: sockets, TLS, HTTP, one thread that owns the hub.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `folder` | the data folder and its lock |
//! | `engine` | the thread that owns the hub, and the events it takes |
//! | `admin` | the administration over HTTP |
//! | `endpoint` | what devices, and those who ask how it is, are answered |
//! | `gate` | who may connect, asked as a connection is accepted |
//! | `listen` | accepting connections and speaking HTTP on them |
//! | `metrics` | figures for Prometheus |
//! | `origin` | which address and which page a request is from |
//! | `places` | how many connections there is room for |
//! | `requests` | the id of each HTTP request |
//! | `session` | one upgraded connection: bytes in, bytes out, both bounded |
//! | `throttle` | how much addresses, devices and accounts may do in some time |
//! | `tls` | the certificate |
//! | `worker` | the thread that packs what is old |

mod admin;
mod clock;
mod endpoint;
mod engine;
pub(crate) mod folder;
mod gate;
mod listen;
mod metrics;
mod origin;
mod places;
mod requests;
mod session;
mod throttle;
mod tls;
mod worker;

pub use admin::{ADMIN_PORT, openapi};
pub use clock::{SystemClock, SystemEntropy};
pub use folder::{DataFolder, FolderError};
pub use metrics::METRICS_PORT;
pub use origin::Origins;
pub use throttle::{Rate, Rates};
pub use tls::{TlsError, TlsFiles};

use crate::hub::{Access, Hub, SignalRate};
use crate::log::accounts::Accounts;
use crate::log::{LogError, OpenLogError, Quotas, SqliteLog};
use crate::signed::{KeyFileError, SignedOptions, SignedTokens};
use admin::{Samples, Watched};
use afield_core::Limits;
use endpoint::Doorkeeping;
use engine::{Engine, Watch};
use folder::FolderLock;
use gate::Gate;
use ipnet::IpNet;
use listen::Listener;
use metrics::CommitTimes;
use places::PerAddress;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use throttle::Throttle;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// The port a relay listens on unless told otherwise; nothing registered with IANA uses it.
pub const DEFAULT_PORT: u16 = 8453;
/// How many connections a relay takes at once unless told otherwise: some 40 KiB each.
pub const CONNECTIONS_MAX: usize = 5_000;
/// How many devices of one user may be here at once unless told otherwise: the protocol's table of limits.
pub const SESSIONS_PER_USER_MAX: usize = 50;
/// How many connections that were not welcomed yet a relay takes at once unless told otherwise: it welcomes some thousand a second.
pub const HANDSHAKES_MAX: usize = 512;
/// How many of those may be of one address unless told otherwise: a quarter, so that no address keeps all others out.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = HANDSHAKES_MAX / 4;
/// How much of the disk has to be free unless told otherwise, in percent: the protocol's table of limits.
pub const DISK_FREE_MIN_PERCENT: u8 = 5;
/// How long a stopping relay waits for what it still has to say, in milliseconds, unless told otherwise: below the 10 s
/// after which container runtimes kill.
pub const SHUTDOWN_DEADLINE_MS: u64 = 8_000;

/// How many connections the administration takes at once.
const ADMIN_CONNECTIONS_MAX: usize = 64;
/// How many of those may be of one address: a quarter, so that no address keeps all others out.
const ADMIN_CONNECTIONS_PER_ADDRESS_MAX: usize = ADMIN_CONNECTIONS_MAX / 4;
/// How many scrapers are answered at once.
const METRICS_CONNECTIONS_MAX: usize = 16;

/// How a relay runs.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// Where its files are.
    pub data: PathBuf,
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Who may use it.
    pub access: Access,
    /// Its certificate; absent for plain text.
    pub tls: Option<TlsFiles>,
    /// Which tokens of an app's backend it takes; absent for none.
    pub signed: Option<SignedOptions>,
    /// Where its administration listens; absent for none.
    pub admin: Option<SocketAddr>,
    /// Where Prometheus finds its figures; absent for none. They go in plain text and name nobody.
    pub metrics: Option<SocketAddr>,
    /// Whether a proxy in front of it speaks TLS, so that it may speak plain text on any address.
    pub behind_proxy: bool,
    /// How much spaces and users may hold.
    pub quotas: Quotas,
    /// What a session may do.
    pub limits: Limits,
    /// How many signals it takes of one session.
    pub signals: SignalRate,
    /// Most connections at once; fewer where the system gives no more file descriptors. Some more are answered about the
    /// relay's health.
    pub connections_max: usize,
    /// Most devices of one user at once.
    pub sessions_per_user_max: usize,
    /// Most connections at once that were not welcomed yet; the others are asked to come a little later.
    pub handshakes_max: usize,
    /// Most of those of one address.
    pub handshakes_per_address_max: usize,
    /// How much addresses, devices and accounts may do.
    pub rates: Rates,
    /// The proxies of which is believed for whom they ask.
    pub trusted_proxies: Vec<IpNet>,
    /// The pages whose browsers may connect.
    pub origins: Origins,
    /// How much of the disk has to be free for anything to be appended, in percent.
    pub disk_free_min_percent: u8,
    /// How long [`RunningRelay::shutdown`] waits for sessions to take what they are still to be told, in milliseconds.
    pub shutdown_deadline_ms: u64,
}

impl RelayOptions {
    /// The defaults for a relay in this data folder: tokens, loopback, the default port.
    pub fn new(data: PathBuf) -> Self {
        Self {
            data,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
            access: Access::Tokens,
            tls: None,
            signed: None,
            admin: None,
            metrics: None,
            behind_proxy: false,
            quotas: Quotas::DEFAULT,
            limits: Limits::DEFAULT,
            signals: SignalRate::DEFAULT,
            connections_max: CONNECTIONS_MAX,
            sessions_per_user_max: SESSIONS_PER_USER_MAX,
            handshakes_max: HANDSHAKES_MAX,
            handshakes_per_address_max: HANDSHAKES_PER_ADDRESS_MAX,
            rates: Rates::DEFAULT,
            trusted_proxies: Vec::new(),
            origins: Origins::default(),
            disk_free_min_percent: DISK_FREE_MIN_PERCENT,
            shutdown_deadline_ms: SHUTDOWN_DEADLINE_MS,
        }
    }

    /// Checks what a relay refuses before it touches anything: combinations that are unsafe or cannot work.
    ///
    /// # Errors
    ///
    /// As [`Relay::start`] refuses them.
    pub fn check(&self) -> Result<(), StartError> {
        let is_public = !self.listen.ip().is_loopback();
        if self.access == Access::Open && (is_public || self.behind_proxy) {
            return Err(StartError::OpenAccess(self.listen));
        }
        if !self.limits.are_workable() {
            return Err(StartError::Limits);
        }
        let public = [Some(self.listen), self.admin].into_iter().flatten().find(|address| !address.ip().is_loopback());
        match public.filter(|_| self.tls.is_none() && !self.behind_proxy) {
            Some(address) => Err(StartError::PlainText(address)),
            None => Ok(()),
        }
    }

    /// Checks that the files that are named are there and of use.
    pub(crate) fn check_files(&self) -> Result<(), StartError> {
        self.tls.as_ref().map(tls::acceptor).transpose()?;
        self.signed.clone().map(SignedTokens::open).transpose()?;
        Ok(())
    }
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Anyone on the way could read what it sends.
    #[error(
        "refusing to speak plain text on {0}: give --tls-certificate and --tls-key, or --behind-proxy where a proxy speaks TLS, or listen on 127.0.0.1"
    )]
    PlainText(SocketAddr),
    /// Anyone who reaches it could read and write everything.
    #[error("refusing open access on {0}: --insecure-open is for trials on 127.0.0.1 only, without a proxy")]
    OpenAccess(SocketAddr),
    /// Every device would end its session at once.
    #[error(
        "refusing limits under which no device can send a change: a frame may not be smaller than the protocol's, and something has to be in flight"
    )]
    Limits,
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenLogError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] LogError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The keys of signed tokens cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives no more threads.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// The relay.
#[derive(Debug)]
pub struct Relay;

/// A relay that runs; [`Self::shutdown`] stops it in good order, dropping it cuts its sessions.
#[derive(Debug)]
pub struct RunningRelay {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    has_tokens: bool,
    lets_devices_in: bool,
    is_encrypted: bool,
    engine: Engine,
    connections: Arc<Semaphore>,
    connections_max: usize,
    shutdown_deadline: Duration,
    stop: watch::Sender<bool>,
    accepting: Vec<JoinHandle<()>>,
    /// Held as long as what is written down of sessions is of this relay.
    _sessions: Option<FolderLock>,
    /// Held until the last: nobody else may open the folder before everything has ended.
    _lock: FolderLock,
}

impl Relay {
    /// Starts a relay on the current tokio runtime; it accepts connections when this returns.
    ///
    /// # Errors
    ///
    /// The options are unsafe, or the folder, the log, the certificate or the address cannot be used.
    pub async fn start(options: RelayOptions) -> Result<RunningRelay, StartError> {
        let RelayOptions { listen, access, behind_proxy, .. } = options;
        options.check()?;
        let tls = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let signed = options.signed.map(SignedTokens::open).transpose()?;
        let is_encrypted = tls.is_some();
        let folder = DataFolder::create(options.data)?;
        let lock = folder.lock_patiently().await?;
        let mut log = folder
            .open_own_log(&lock)?
            .with_quotas(options.quotas)
            .with_disk_free_min_percent(options.disk_free_min_percent);
        let has_tokens = log.has_tokens()?;
        // What an app's backend signs lets devices in without a token that is made here.
        let lets_devices_in =
            access == Access::Open || signed.is_some() || log.has_good_tokens(SystemClock::start().now())?;
        let sessions = own_sessions(&folder, &lock, &mut log).await;
        let (socket, address) = bind(listen).await?;
        let admin = match options.admin {
            Some(address) => Some((bind(address).await?, folder.open_own_log(&lock)?)),
            None => None,
        };
        let metrics = match options.metrics {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let mut hub = Hub::new(log, access, options.limits, SystemEntropy).with_signal_rate(options.signals);
        if let Some(signed) = signed {
            hub = hub.with_signed_tokens(signed);
        }
        let mut hub = hub.with_sessions_per_user(options.sessions_per_user_max).with_written_sessions();
        if admin.is_some() {
            hub = hub.with_recent_events();
        }
        let rates = rates_seen(&options.rates, behind_proxy, &options.trusted_proxies);
        let throttle = Arc::new(Throttle::new(&rates));
        let commit_times = CommitTimes::new();
        let watch = Watch { throttle: Arc::clone(&throttle), commit_times: commit_times.clone() };
        let engine = Engine::start(hub, watch).map_err(StartError::Thread)?;
        let connections_max = places::within_descriptors(options.connections_max);
        let connections = Arc::new(Semaphore::new(connections_max));
        let (stop, stopped) = watch::channel(false);
        let knows_addresses = !behind_proxy || !options.trusted_proxies.is_empty();
        let gate = Arc::new(Gate {
            throttle: Arc::clone(&throttle),
            proxies: options.trusted_proxies.clone(),
            proxies_count: false,
            unwelcomed: knows_addresses.then(|| PerAddress::new(options.handshakes_per_address_max)),
            proxy_is_told: AtomicBool::new(behind_proxy),
        });
        let admin_gate = Arc::new(Gate {
            throttle: Arc::new(throttle.for_administration(&rates)),
            proxies: options.trusted_proxies,
            proxies_count: true,
            unwelcomed: knows_addresses.then(|| PerAddress::new(ADMIN_CONNECTIONS_PER_ADDRESS_MAX)),
            proxy_is_told: AtomicBool::new(behind_proxy),
        });
        let doorkeeping = Doorkeeping {
            access,
            limits: options.limits,
            gate: Arc::clone(&gate),
            origins: options.origins,
            handshakes_max: options.handshakes_max,
        };
        let router = endpoint::router(doorkeeping, engine.handle());
        let listener = Listener::new(socket, tls.clone(), router, Arc::clone(&connections)).behind(gate);
        let mut accepting = vec![tokio::spawn(listener.run(stopped.clone()))];
        let admin = admin.map(|((socket, address), log)| {
            let watched = Watched {
                connections: Arc::clone(&connections),
                connections_max,
                sessions_per_user_max: options.sessions_per_user_max,
                quotas: options.quotas,
                access,
                disk_free_min_percent: options.disk_free_min_percent,
                files: folder.log_files(),
                samples: Samples::start(),
            };
            let router = admin::router(admin::Desk::new(log, engine.handle(), Arc::clone(&admin_gate), watched));
            let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
            let listener = Listener::new(socket, tls, router, places).behind(admin_gate);
            accepting.push(tokio::spawn(listener.run(stopped.clone())));
            address
        });
        let metrics = metrics.map(|(socket, address)| {
            let router = metrics::router(engine.handle(), throttle, commit_times, folder.log_files());
            let places = Arc::new(Semaphore::new(METRICS_CONNECTIONS_MAX));
            accepting.push(tokio::spawn(Listener::new(socket, None, router, places).run(stopped)));
            address
        });
        Ok(RunningRelay {
            address,
            admin,
            metrics,
            has_tokens,
            lets_devices_in,
            is_encrypted,
            engine,
            connections,
            connections_max,
            shutdown_deadline: Duration::from_millis(options.shutdown_deadline_ms),
            stop,
            accepting,
            _sessions: sessions,
            _lock: lock,
        })
    }
}

/// Forgets what a relay before this one wrote down of its sessions, and vouches for what is written from here on. Where the disk takes nothing
/// the relay starts all the same, and commands beside it do not know who is here.
async fn own_sessions(folder: &DataFolder, lock: &FolderLock, log: &mut SqliteLog) -> Option<FolderLock> {
    if let Err(error) = log.forget_sessions() {
        tracing::warn!(error = &error as &dyn std::error::Error, "sessions of an earlier relay could not be forgotten");
        return None;
    }
    let vouched = folder.vouch_for_sessions(lock).await;
    vouched.inspect_err(|error| tracing::warn!(%error, "commands beside this relay do not see its sessions")).ok()
}

/// The rates as far as addresses are known: behind a proxy that is not trusted all of them would be the proxy's.
fn rates_seen(rates: &Rates, behind_proxy: bool, proxies: &[IpNet]) -> Rates {
    if !behind_proxy || !proxies.is_empty() {
        return *rates;
    }
    tracing::warn!(
        "behind a proxy that is not trusted nobody's address is known, and addresses are not limited: set trusted_proxies"
    );
    let none = Rate::per_second(0, 0);
    Rates { connections: none, failures: none, ..*rates }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = TcpListener::bind(address).await;
    let bound = bound.and_then(|socket| socket.local_addr().map(|bound| (socket, bound)));
    bound.map_err(|source| StartError::Listen { address, source })
}

impl RunningRelay {
    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a device takes it.
    pub fn url(&self) -> String {
        let scheme = if self.is_encrypted { "wss" } else { "ws" };
        format!("{scheme}://{}", self.address)
    }

    /// Where its administration listens, with the port that the system chose.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Where its figures are, with the port that the system chose.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Whether there was any token when it started.
    pub fn has_tokens(&self) -> bool {
        self.has_tokens
    }

    /// Whether any device could sign in when it started: with a token that was good, with one that an app's backend signs, or without.
    pub fn lets_devices_in(&self) -> bool {
        self.lets_devices_in
    }

    /// Waits until the relay has failed, which only a defect brings about. It takes no connection after that.
    pub async fn failed(&mut self) {
        self.engine.ended().await;
    }

    /// Stops in good order: accepts nothing more, commits what was pushed, sends every session away with a moment to
    /// come back at, and waits until they have taken it or the deadline is over.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        self.engine.shut_down();
        let all = u32::try_from(self.connections_max).unwrap_or(u32::MAX);
        if tokio::time::timeout(self.shutdown_deadline, self.connections.acquire_many(all)).await.is_err() {
            tracing::warn!("the deadline for stopping is over; what is left is cut");
        }
        self.accepting.iter().for_each(JoinHandle::abort);
        self.engine.stop();
        self.engine.ended().await;
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.accepting.iter().for_each(JoinHandle::abort);
        self.engine.stop();
    }
}

#[cfg(test)]
mod tests;
