//! How an operator says what a relay does: a file, variables of the environment, flags.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `keys` | the list of all keys, each declared once, and [`Config`], which is made of it |
//! | `setting`, `collector` | the kinds of values |
//! | `file` | a TOML file with the lines of its values |
//! | `flags` | a flag for each key |
//! | `load` | the layers, and where each value is from |
//! | `problem` | what can be wrong |
//! | `show` | the table of keys and the values in force |
//!
//! A new key is a line in the list in `keys`: its name in a file, its variable, its flag and its documentation follow, and
//! whoever uses it reads a field of [`Config`]. A key that is taken away goes to the list of removed ones.

mod collector;
mod file;
mod flags;
mod keys;
mod load;
mod problem;
mod setting;
mod show;
mod span;

pub use collector::{CollectorUrl, SecretHeaders};
pub use flags::Flags;
pub use keys::{
    AdminSection, Config, JwtSection, LimitsSection, MetricsSection, OtlpSection, RatesSection, SpaceSection,
    TlsSection,
};
pub use load::{DEFAULT_FILE, FILE_VARIABLE, Loaded, Origin, Sources};
pub use problem::ConfigError;
pub use setting::{Bytes, Count, List, LogFilter, LogFormat, Networks, SignatureAlgorithm, Text};
pub use span::{ParseTimeSpanError, TimeSpan};

pub(crate) use show::{example, objects, page, table, table_objects};

use crate::hub::{Access, SignalRate};
use crate::log::Quotas;
use crate::server::{Origins, Rate, Rates, RelayOptions, StartError, TlsError, TlsFiles};
use crate::signed::{KeySource, SignedOptions};
use afield_core::Limits;
use problem::Problem;

impl Config {
    /// What a relay is started with.
    pub fn options(&self, access: Access) -> RelayOptions {
        let start_op_leap_max = self.limits.start_op_leap_max.get();
        let per_second = u32::try_from(self.signals_per_second.get()).unwrap_or(u32::MAX);
        let tls = self.tls.certificate.clone().zip(self.tls.key.clone());
        RelayOptions {
            listen: self.listen,
            access,
            tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
            signed: self.jwt.options(),
            admin: self.admin.listen,
            metrics: self.metrics.listen,
            behind_proxy: self.behind_proxy,
            quotas: Quotas {
                space_bytes_max: self.space.bytes_max.get(),
                space_chunks_max: self.space.chunks_max.get(),
                spaces_per_user_max: self.spaces_per_user_max.get(),
                start_op_leap_max,
            },
            limits: self.limits.limits(),
            signals: SignalRate { per_second, burst: per_second.saturating_mul(3) },
            connections_max: size(self.connections_max.get()),
            handshakes_max: size(self.handshakes_max.get()),
            handshakes_per_address_max: size(self.handshakes_per_address_max.get()),
            sessions_per_user_max: size(self.sessions_per_user_max.get()),
            rates: self.rates.rates(),
            trusted_proxies: self.trusted_proxies.as_slice().to_vec(),
            origins: Origins::new(self.origins.as_slice().iter().cloned()),
            disk_free_min_percent: u8::try_from(self.disk_free_min_percent.get()).unwrap_or(u8::MAX),
            shutdown_deadline_ms: self.shutdown_deadline.ms(),
            ..RelayOptions::new(self.data.clone())
        }
    }
}

impl JwtSection {
    /// What signed tokens are checked by, where they are taken.
    pub(crate) fn options(&self) -> Option<SignedOptions> {
        let Self { keys, algorithm, issuer, audience } = self;
        Some(SignedOptions {
            keys: KeySource { path: keys.clone()?, algorithm: algorithm.map(SignatureAlgorithm::get) },
            issuer: issuer.as_ref()?.as_str().to_owned(),
            audience: audience.as_ref()?.as_str().to_owned(),
        })
    }
}

impl RatesSection {
    fn rates(&self) -> Rates {
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        // At least one, where there is any limit.
        let kib = |bytes: u64| count(bytes.div_ceil(1_024));
        let failures = count(self.failures_per_minute.get());
        Rates {
            connections: Rate::per_minute(
                count(self.connections_per_minute.get()),
                count(self.connections_burst.get()),
            ),
            failures: Rate::per_minute(failures, failures),
            device_pushes: Rate::per_second(count(self.pushes_per_second.get()), count(self.pushes_burst.get())),
            device_kib: Rate::per_second(kib(self.bytes_per_second.get()), kib(self.bytes_burst.get())),
            user_pushes: Rate::per_second(
                count(self.user_pushes_per_second.get()),
                count(self.user_pushes_burst.get()),
            ),
            user_kib: Rate::per_second(kib(self.user_bytes_per_second.get()), kib(self.user_bytes_burst.get())),
        }
    }
}

impl LimitsSection {
    fn limits(&self) -> Limits {
        Limits {
            frame_bytes_max: size(self.frame_bytes_max.get()),
            change_bytes_max: size(self.change_bytes_max.get()),
            change_operations_max: self.change_operations_max.get(),
            change_dependencies_max: size(self.change_dependencies_max.get()),
            start_op_leap_max: self.start_op_leap_max.get(),
            in_flight_chunks_max: size(self.in_flight_chunks_max.get()),
            in_flight_bytes_max: size(self.in_flight_bytes_max.get()),
        }
    }
}

impl Loaded {
    /// Checks what a relay would refuse as it starts, short of starting it: combinations, and the files that are named.
    ///
    /// # Errors
    ///
    /// What a relay would say.
    pub fn check(&self) -> Result<(), CheckError> {
        let options = self.config.options(Access::Tokens);
        options.check().and_then(|()| options.check_files()).map_err(|error| self.located(error))?;
        let path = &self.config.data;
        if path.exists() && !path.is_dir() {
            let problem = Problem::NoFolder { at: self.origin("data"), key: "data", path: path.clone() };
            return Err(CheckError::Config(ConfigError(vec![problem])));
        }
        Ok(())
    }

    /// Says where the value stands that a relay does not start with.
    pub(crate) fn located(&self, error: StartError) -> CheckError {
        let key = match &error {
            StartError::PlainText(address) if self.config.admin.listen == Some(*address) => "admin.listen",
            StartError::PlainText(_) | StartError::OpenAccess(_) => "listen",
            StartError::Tls(TlsError::Certificate { .. }) => "tls.certificate",
            StartError::Tls(_) => "tls.key",
            StartError::Keys(_) => "jwt.keys",
            _ => return CheckError::Start(error),
        };
        match self.origin(key) {
            Origin::Default => CheckError::Start(error),
            at => CheckError::Located { at, key, source: error },
        }
    }
}

/// Why a relay would not start with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The configuration itself is wrong.
    #[error(transparent)]
    Config(ConfigError),
    /// The relay would refuse to start.
    #[error(transparent)]
    Start(StartError),
    /// The relay would refuse to start, with a value that somebody set.
    #[error("{at}: {key}")]
    Located {
        /// Where the value is from.
        at: Origin,
        /// Its key.
        key: &'static str,
        /// What the relay says.
        #[source]
        source: StartError,
    },
}

impl CheckError {
    /// Whether other values would let the relay start, and not another state of the machine.
    pub(crate) fn is_wrong_configuration(&self) -> bool {
        let (Self::Start(error) | Self::Located { source: error, .. }) = self else { return true };
        matches!(
            error,
            StartError::PlainText(_)
                | StartError::OpenAccess(_)
                | StartError::Limits
                | StartError::Tls(_)
                | StartError::Keys(_)
        )
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
