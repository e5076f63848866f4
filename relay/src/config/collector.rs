//! The values of the section `otlp`: where a collector is, and what it wants to be shown.

use super::setting::{Setting, Shown};
use http::{HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::fmt;
use url::Url;

/// Where a collector of OpenTelemetry takes OTLP over HTTP: an address without a user, a question or a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorUrl(Url);

impl CollectorUrl {
    /// The address for one kind of data, such as `v1/logs`, below the collector's own.
    pub fn path(&self, kind: &str) -> String {
        format!("{}/{kind}", self.0.as_str().trim_end_matches('/'))
    }
}

impl Setting for CollectorUrl {
    const VALUE: &'static str = "URL";
    const SAMPLE: &'static str = "http://127.0.0.1:4318";

    fn wanted() -> String {
        "an address such as http://127.0.0.1:4318, with http or https and without a user or a question".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        let is_bare =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        (is_web && is_bare).then_some(Self(url))
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Text(self.0.to_string()))
    }
}

/// Headers of HTTP that are sent along; a token mostly, so that they are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHeaders(BTreeMap<String, String>);

impl SecretHeaders {
    /// Names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for SecretHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHeaders")
    }
}

impl Setting for SecretHeaders {
    const VALUE: &'static str = "HEADERS";
    const SAMPLE: &'static str = "x-api-key=...";
    const IS_SECRET: bool = true;

    fn wanted() -> String {
        "headers as name=value, with commas between them".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let header = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            let value = HeaderValue::from_str(value.trim()).ok()?;
            Some((name.as_str().to_owned(), value.to_str().ok().filter(|value| !value.is_empty())?.to_owned()))
        };
        text.split(',').map(header).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> Option<Shown> {
        Some(Shown::Text("hidden".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_has_an_address_of_the_web_and_nothing_that_is_secret_in_it() {
        let path = |text| CollectorUrl::parse(text).map(|url| url.path("v1/logs"));
        assert_eq!(path("http://127.0.0.1:4318").as_deref(), Some("http://127.0.0.1:4318/v1/logs"));
        assert_eq!(path("https://otlp.example/in/").as_deref(), Some("https://otlp.example/in/v1/logs"));
        for wrong in
            ["127.0.0.1:4318", "ftp://a.example", "http://", "http://a:b@c.example", "http://c.example/?key=1", ""]
        {
            assert_eq!(path(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn headers_are_names_and_values_that_nothing_prints() {
        let headers = SecretHeaders::parse("X-Api-Key=abc=, authorization=Bearer hush").unwrap();
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("authorization", "Bearer hush"), ("x-api-key", "abc=")]);
        assert!(!format!("{headers:?}{:?}", headers.show()).contains("hush"));
        for wrong in ["", "alone", "a=", "two words=a", "a=b,", "a=\n"] {
            assert!(SecretHeaders::parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
