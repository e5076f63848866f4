//! Which relay to sync with.

use crate::error::ConnectError;
use afield_transport::{ClientOptions, RelayAddress, Token};

/// The relay to sync with: its address, and the token that lets this device in.
///
/// ```
/// let relay = afield::Relay::new("wss://relay.example.org").token("afield_…");
/// ```
#[derive(Debug, Clone)]
pub struct Relay {
    address: String,
    token: Option<SecretText>,
    extra_roots: Vec<Vec<u8>>,
}

#[derive(Clone)]
struct SecretText(String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("withheld")
    }
}

impl Relay {
    /// The relay at an address: `wss://host[:port][/prefix]`, or `ws://` on this machine.
    ///
    /// ```
    /// # fn main() {
    /// let relay = afield::Relay::new("wss://relay.example.org").token("afield_…");
    /// # drop(relay);
    /// # }
    /// ```
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), token: None, extra_roots: Vec::new() }
    }

    /// The token that lets this device in.
    ///
    /// ```
    /// let relay = afield::Relay::new("wss://relay.example.org").token("afield_secret");
    /// assert!(!format!("{relay:?}").contains("secret")); // no log shows it
    /// ```
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(SecretText(token.into()));
        self
    }

    /// A certificate authority to trust beside those of the platform, as DER.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("authority.der");
    /// # std::fs::write(&path, [0x30, 0x00])?;
    /// // A relay at home, whose certificate an authority of your own has signed.
    /// let relay = afield::Relay::new("wss://relay.example.org").trust(std::fs::read(path)?);
    /// # drop(relay);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn trust(mut self, certificate: impl Into<Vec<u8>>) -> Self {
        self.extra_roots.push(certificate.into());
        self
    }

    pub(crate) fn into_parts(self) -> Result<(RelayAddress, ClientOptions), ConnectError> {
        let address = self.address.parse()?;
        let token = self.token.map(|token| token.0.parse::<Token>()).transpose()?;
        let extra_roots = self.extra_roots.into_iter().map(Into::into).collect();
        Ok((address, ClientOptions { token, extra_roots, ..ClientOptions::default() }))
    }
}
