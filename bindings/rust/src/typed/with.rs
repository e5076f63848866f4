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
    ///
    /// ```
    /// use afield::typed::as_string;
    /// use std::net::Ipv4Addr;
    ///
    /// assert_eq!(as_string::write(&Ipv4Addr::LOCALHOST), "127.0.0.1");
    /// ```
    pub fn write<T: ToString>(value: &T) -> String {
        value.to_string()
    }

    /// Parses the text.
    ///
    /// ```
    /// use afield::typed::as_string;
    /// use std::net::Ipv4Addr;
    ///
    /// assert_eq!(as_string::read::<Ipv4Addr>("127.0.0.1".into()), Ok(Ipv4Addr::LOCALHOST));
    /// assert!(as_string::read::<Ipv4Addr>("at home".into()).is_err());
    /// ```
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
    ///
    /// ```
    /// use afield::typed::{Bytes, as_bytes};
    ///
    /// assert_eq!(as_bytes::write(&[1_u8, 2, 3]), Bytes::from(vec![1, 2, 3]));
    /// ```
    pub fn write<T: AsRef<[u8]>>(value: &T) -> Bytes {
        Bytes::from(value.as_ref())
    }

    /// Takes the bytes.
    ///
    /// ```
    /// use afield::typed::{Bytes, as_bytes};
    ///
    /// assert_eq!(as_bytes::read::<[u8; 3]>(Bytes::from(vec![1, 2, 3])), Ok([1, 2, 3]));
    /// assert!(as_bytes::read::<[u8; 32]>(Bytes::from(vec![1, 2, 3])).is_err());
    /// ```
    ///
    /// # Errors
    /// When their number does not fit the type.
    pub fn read<T: TryFrom<Vec<u8>>>(bytes: Bytes) -> Result<T, T::Error> {
        Vec::from(bytes).try_into()
    }
}
