//! The keys: each is declared once, in the list at the end, and everything else follows from that.

use super::collector::{CollectorUrl, SecretHeaders};
use super::file::Found;
use super::setting::{Bytes, Count, List, LogFilter, LogFormat, Networks, Setting, Shown, SignatureAlgorithm, Text};
use super::span::TimeSpan;
use crate::hub::SIGNALS_PER_SECOND;
use crate::log::Quotas;
use crate::server::{
    CONNECTIONS_MAX, DEFAULT_PORT, DISK_FREE_MIN_PERCENT, DataFolder, HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX,
    Rates, SESSIONS_PER_USER_MAX, SHUTDOWN_DEADLINE_MS,
};
use afield_core::limits::{
    CHANGE_BYTES_MAX, CHANGE_DEPENDENCIES_MAX, CHANGE_OPERATIONS_MAX, FRAME_BYTES_MAX, IN_FLIGHT_BYTES_MAX,
    IN_FLIGHT_CHUNKS_MAX, INFLATED_BYTES_MAX, START_OP_LEAP_MAX,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::LazyLock;

/// What the names of all variables begin with.
pub(super) const VARIABLES_BEGIN: &str = "AFIELD_";

/// One key: what it is called in each place where it can be given, and how it comes into a [`Config`] and out of it.
#[derive(Debug)]
pub(crate) struct Key {
    /// What a file calls it, such as `tls.certificate`.
    pub(super) name: &'static str,
    /// The variable of the environment, such as `AFIELD_TLS_CERTIFICATE`.
    pub(super) variable: String,
    /// The flag without its dashes, such as `tls-certificate`; none for a secret, since a list of processes shows flags.
    pub(super) flag: Option<String>,
    /// What it is for, in a sentence.
    pub(super) about: String,
    /// What stands for its value in help, such as `PATH`.
    pub(super) value: &'static str,
    /// A value that may be given, for an example.
    pub(super) sample: &'static str,
    /// What may be given, in words.
    pub(super) wanted: String,
    /// Whether its value is never shown.
    pub(super) is_secret: bool,
    /// The default in words, where it depends on the machine.
    pub(super) default: Option<&'static str>,
    /// Which values of a file are understood.
    pub(super) takes: fn(&Found) -> bool,
    /// Takes a value, unless it cannot be understood.
    pub(super) set: fn(&mut Config, &str) -> Option<()>,
    /// The value; none where nothing is set.
    pub(super) show: fn(&Config) -> Option<Shown>,
}

/// A key that there was once.
#[derive(Debug)]
pub(super) struct Removed {
    /// What it was called.
    pub(super) name: &'static str,
    /// What its flag was called, without dashes.
    pub(super) flag: &'static str,
    /// What to do instead.
    pub(super) instead: &'static str,
}

/// Keys that there are no more; each tells whoever still uses it what to do.
pub(super) const REMOVED: &[Removed] = &[];

/// All keys, in the order in which they are shown: those without a section first.
pub(super) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(declared);

impl Key {
    pub(super) fn new<T: Setting>(
        name: &'static str,
        about: &[&str],
        default: Option<&'static str>,
        set: fn(&mut Config, &str) -> Option<()>,
        show: fn(&Config) -> Option<Shown>,
    ) -> Self {
        Self {
            name,
            variable: variable_of(name),
            flag: (!T::IS_SECRET).then(|| name.replace(['.', '_'], "-")),
            about: about.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "),
            value: T::VALUE,
            sample: T::SAMPLE,
            wanted: T::wanted(),
            is_secret: T::IS_SECRET,
            default,
            takes: T::takes,
            set,
            show,
        }
    }

    /// The section that it stands in, and what it is called there.
    pub(super) fn section(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }
}

/// The variable of a key: one rule without exceptions, so that whoever knows the one can guess the other.
pub(super) fn variable_of(name: &str) -> String {
    format!("{VARIABLES_BEGIN}{}", name.replace('.', "_").to_uppercase())
}

/// Makes of the list below the struct [`Config`], its defaults and the table of keys.
macro_rules! keys {
    (
        $config:ident {
            $($(#[doc = $about:literal])+ $field:ident: $type:ty = $default:expr $(, told $told:literal)?;)+
        }
        $($section:ident: $struct:ident, $section_about:literal {
            $($(#[doc = $about_in:literal])+ $field_in:ident: $type_in:ty = $default_in:expr;)+
        })*
    ) => {
        /// How a relay runs, as far as its operator says.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $config {
            $($(#[doc = $about])+ pub $field: $type,)+
            $(#[doc = $section_about] pub $section: $struct,)*
        }

        impl Default for $config {
            fn default() -> Self {
                Self { $($field: $default,)+ $($section: $struct::default(),)* }
            }
        }

        $(
            #[doc = $section_about]
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $struct {
                $($(#[doc = $about_in])+ pub $field_in: $type_in,)+
            }

            impl Default for $struct {
                fn default() -> Self {
                    Self { $($field_in: $default_in,)+ }
                }
            }
        )*

        fn declared() -> Vec<Key> {
            vec![
                $(Key::new::<$type>(
                    stringify!($field),
                    &[$($about),+],
                    None$(.or(Some($told)))?,
                    |config, text| {
                        config.$field = <$type as Setting>::parse(text)?;
                        Some(())
                    },
                    |config| config.$field.show(),
                ),)+
                $($(Key::new::<$type_in>(
                    concat!(stringify!($section), ".", stringify!($field_in)),
                    &[$($about_in),+],
                    None,
                    |config, text| {
                        config.$section.$field_in = <$type_in as Setting>::parse(text)?;
                        Some(())
                    },
                    |config| config.$section.$field_in.show(),
                ),)+)*
            ]
        }
    };
}

keys! {
    Config {
        /// The folder with the relay's files.
        data: PathBuf = DataFolder::default_path(), told "the platform's place for application data";
        /// The address and port to listen on; port 0 takes a free one.
        listen: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT);
        /// Whether a proxy in front of the relay speaks TLS, so that it may speak plain text on any address.
        behind_proxy: bool = false;
        /// Most connections at once.
        connections_max: Count<1, 1_000_000> = Count::new(CONNECTIONS_MAX as u64);
        /// Most connections at once that were not welcomed yet; the others are asked to come a little later.
        handshakes_max: Count<1, 1_000_000> = Count::new(HANDSHAKES_MAX as u64);
        /// Most of those of one address; a connection counts from the moment at which it is accepted.
        handshakes_per_address_max: Count<1, 1_000_000> = Count::new(HANDSHAKES_PER_ADDRESS_MAX as u64);
        /// Most devices of one user at once.
        sessions_per_user_max: Count<1> = Count::new(SESSIONS_PER_USER_MAX as u64);
        /// The proxies of which is believed for whom they ask (X-Forwarded-For): addresses or networks, with commas.
        trusted_proxies: Networks = Networks::default();
        /// The pages whose browsers may connect, such as `https://app.example`, with commas; all of them where there is none.
        origins: List = List::default();
        /// How much of the disk has to be free for anything to be appended, in percent; reads go on below it.
        disk_free_min_percent: Count<0, 99> = Count::new(DISK_FREE_MIN_PERCENT as u64);
        /// Most spaces that one user owns.
        spaces_per_user_max: Count = Count::new(Quotas::SPACES_PER_USER_MAX);
        /// Most signals of presence that one session sends a second, and three times as many at once; what is above is dropped.
        signals_per_second: Count<0, 0xffff_ffff> = Count::new(SIGNALS_PER_SECOND as u64);
        /// How long a relay that stops waits for its sessions; container runtimes kill after 10 seconds.
        shutdown_deadline: TimeSpan = TimeSpan::from_ms(SHUTDOWN_DEADLINE_MS);
        /// Which lines the log has, such as info or afield_relay=debug.
        log: LogFilter = LogFilter::default();
        /// How log lines look: text for people, json for programs.
        log_format: LogFormat = LogFormat::Text;
    }
    tls: TlsSection, "A certificate of the relay's own; without one it speaks plain text, on loopback or behind a proxy." {
        /// The certificate and the ones that lead to its root, as PEM; it needs its key.
        certificate: Option<PathBuf> = None;
        /// The private key of the certificate, as PEM.
        key: Option<PathBuf> = None;
    }
    admin: AdminSection, "The administration over HTTP, on a listener of its own; there is none unless it is given an address." {
        /// The address and port to listen on, such as 127.0.0.1:8454.
        listen: Option<SocketAddr> = None;
    }
    metrics: MetricsSection, "Figures for Prometheus, on a listener of their own; there are none unless it is given an address." {
        /// The address and port to listen on, such as 127.0.0.1:8455.
        listen: Option<SocketAddr> = None;
    }
    otlp: OtlpSection, "Log lines and traces for a collector of OpenTelemetry; nothing is sent unless it is given an address." {
        /// Where the collector takes OTLP over HTTP.
        endpoint: Option<CollectorUrl> = None;
        /// Headers that are sent along, such as a token that the collector wants.
        headers: Option<SecretHeaders> = None;
        /// How many of a hundred traces are sent; of a request that belongs to somebody else's trace, what was decided there.
        sample_percent: Count<0, 100> = Count::new(100);
    }
    jwt: JwtSection, "Tokens that an app's own backend signs (JWT); none are taken unless there are keys." {
        /// The file with the key: a public one as PEM, or the secret of an HMAC; or with several, as a JWK set.
        keys: Option<PathBuf> = None;
        /// The algorithm of the one key, and of those keys of a set that name none.
        algorithm: Option<SignatureAlgorithm> = None;
        /// Who has to have made a token: the claim iss.
        issuer: Option<Text> = None;
        /// For whom a token has to be made: in the claim aud.
        audience: Option<Text> = None;
    }
    space: SpaceSection, "What one space may hold." {
        /// Most bytes of chunks in one space.
        bytes_max: Bytes = Bytes::new(Quotas::SPACE_BYTES_MAX);
        /// Most chunks in one space.
        chunks_max: Count = Count::new(Quotas::SPACE_CHUNKS_MAX);
    }
    rates: RatesSection, "How much addresses, devices and users may do in some time; 0 for as much as they like. Who writes too fast waits." {
        /// New connections of one address a minute.
        connections_per_minute: Count<0, 0xffff_ffff> = Count::new(Rates::DEFAULT.connections.per_period as u64);
        /// New connections of one address at once.
        connections_burst: Count<1, 0xffff_ffff> = Count::new(Rates::DEFAULT.connections.burst as u64);
        /// Failed attempts of one address to sign in a minute; above it the address is sent away for a while.
        failures_per_minute: Count<0, 0xffff_ffff> = Count::new(Rates::DEFAULT.failures.per_period as u64);
        /// Pushes of one device a second.
        pushes_per_second: Count<0, 0xffff_ffff> = Count::new(Rates::DEFAULT.device_pushes.per_period as u64);
        /// Pushes of one device at once.
        pushes_burst: Count<1, 0xffff_ffff> = Count::new(Rates::DEFAULT.device_pushes.burst as u64);
        /// Bytes of messages of one device a second.
        bytes_per_second: Bytes = Bytes::new(Rates::DEFAULT.device_kib.per_period as u64 * 1_024);
        /// Bytes of messages of one device at once.
        bytes_burst: Bytes<{ FRAME_BYTES_MAX as u64 }> = Bytes::new(Rates::DEFAULT.device_kib.burst as u64 * 1_024);
        /// Pushes of all devices of one user a second.
        user_pushes_per_second: Count<0, 0xffff_ffff> = Count::new(Rates::DEFAULT.user_pushes.per_period as u64);
        /// Pushes of all devices of one user at once.
        user_pushes_burst: Count<1, 0xffff_ffff> = Count::new(Rates::DEFAULT.user_pushes.burst as u64);
        /// Bytes of messages of all devices of one user a second.
        user_bytes_per_second: Bytes = Bytes::new(Rates::DEFAULT.user_kib.per_period as u64 * 1_024);
        /// Bytes of messages of all devices of one user at once.
        user_bytes_burst: Bytes<{ FRAME_BYTES_MAX as u64 }> = Bytes::new(Rates::DEFAULT.user_kib.burst as u64 * 1_024);
    }
    limits: LimitsSection, "What a session may do; devices are told as they sign in. The defaults are those of the protocol." {
        /// The largest frame.
        frame_bytes_max: Bytes<{ FRAME_BYTES_MAX as u64 }, { INFLATED_BYTES_MAX as u64 }> =
            Bytes::new(FRAME_BYTES_MAX as u64);
        /// The largest change.
        change_bytes_max: Bytes<1, { CHANGE_BYTES_MAX as u64 }> = Bytes::new(CHANGE_BYTES_MAX as u64);
        /// Most operations of a change.
        change_operations_max: Count<1, CHANGE_OPERATIONS_MAX> = Count::new(CHANGE_OPERATIONS_MAX);
        /// Most other changes that a change names as those it follows.
        change_dependencies_max: Count<1, { CHANGE_DEPENDENCIES_MAX as u64 }> =
            Count::new(CHANGE_DEPENDENCIES_MAX as u64);
        /// Most operation numbers that the changes of an entity leave out together.
        start_op_leap_max: Count<0, START_OP_LEAP_MAX> = Count::new(START_OP_LEAP_MAX);
        /// Most chunks that a session has pushed without a receipt.
        in_flight_chunks_max: Count<1, { 16 * IN_FLIGHT_CHUNKS_MAX as u64 }> =
            Count::new(IN_FLIGHT_CHUNKS_MAX as u64);
        /// Most bytes that a session has pushed without a receipt.
        in_flight_bytes_max: Bytes<{ CHANGE_BYTES_MAX as u64 }, { 16 * IN_FLIGHT_BYTES_MAX as u64 }> =
            Bytes::new(IN_FLIGHT_BYTES_MAX as u64);
    }
}
