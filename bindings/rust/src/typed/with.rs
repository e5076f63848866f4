//! How types of other crates are stored: modules for `#[model(with = "…")]`.

/// Stores what has a text and can be parsed from it, such as `std::net::IpAddr`, as a string.
///
/// ```
/// use std::net::IpAddr;
///
/// #[afield::model]
/// struct Host {
///     #[model(with = "afield::typed::as_string", required)]
///     address: IpAddr,
/// }
/// ```
pub mod as_string {
    use std::str::FromStr;

    /// The text.
    pub fn write<T: ToString>(value: &T) -> String {
        value.to_string()
    }

    /// Parses the text.
    ///
    /// # Errors
    /// When it is none of the type.
    pub fn read<T: FromStr>(text: String) -> Result<T, T::Err> {
        text.parse()
    }
}

/// Stores arrays and other collections of bytes, such as `[u8; 32]` or `Vec<u8>`, as bytes that are replaced as a
/// whole.
///
/// ```
/// #[afield::model]
/// struct File {
///     #[model(with = "afield::typed::as_bytes")]
///     hash: [u8; 32],
/// }
/// ```
pub mod as_bytes {
    use crate::typed::Bytes;

    /// The bytes.
    pub fn write<T: AsRef<[u8]>>(value: &T) -> Bytes {
        Bytes::from(value.as_ref())
    }

    /// Takes the bytes.
    ///
    /// # Errors
    /// When their number does not fit the type.
    pub fn read<T: TryFrom<Vec<u8>>>(bytes: Bytes) -> Result<T, T::Error> {
        Vec::from(bytes).try_into()
    }
}
