//! How long a certificate is good, and whether it is one of an authority: as much of X.509 as that takes.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;

/// The tags of DER that lead to the end of a certificate (RFC 5280, section 4.1).
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Those that lead to whether it is one of an authority (sections 4.1 and 4.2.1.9).
const EXTENSIONS: u8 = 0xa3;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];

/// What is wrong with the certificate of an authority.
pub(crate) const OF_AUTHORITY: &str =
    "it is one of an authority (CA:TRUE): devices refuse it as a relay's (CaUsedAsEndEntity)";

/// The moment after which the first certificate of a PEM file is not good any more, in milliseconds since the Unix epoch; `None` where the
/// file has none that can be read.
pub(super) fn not_after_ms(path: &Path) -> Option<i64> {
    not_after(&CertificateDer::from_pem_file(path).ok()?)
}

/// Whether the first certificate of a PEM file is one of an authority, which devices refuse as that of a relay.
pub(crate) fn is_of_authority(path: &Path) -> bool {
    CertificateDer::from_pem_file(path).is_ok_and(|certificate| has_authority(&certificate).unwrap_or(false))
}

fn has_authority(certificate: &[u8]) -> Option<bool> {
    let (_, mut rest) = validity(certificate)?;
    let extensions = loop {
        let (tag, content, after) = element(rest)?;
        if tag == EXTENSIONS {
            break content;
        }
        rest = after;
    };
    let (mut extensions, _) = inside(extensions, SEQUENCE)?;
    while !extensions.is_empty() {
        let extension;
        (extension, extensions) = inside(extensions, SEQUENCE)?;
        let (_, name, value) = element(extension)?;
        if name == BASIC_CONSTRAINTS {
            // Whether the extension is critical may stand before what it says.
            let value = element(value).filter(|(tag, ..)| *tag == BOOLEAN).map_or(value, |(.., after)| after);
            let (constraints, _) = inside(inside(value, OCTETS)?.0, SEQUENCE)?;
            return Some(matches!(element(constraints), Some((BOOLEAN, [flag], _)) if *flag != 0));
        }
    }
    Some(false)
}

fn not_after(certificate: &[u8]) -> Option<i64> {
    let (_, _, not_after) = element(validity(certificate)?.0)?;
    let (tag, text, _) = element(not_after)?;
    moment(tag, std::str::from_utf8(text).ok()?)
}

/// From when until when a certificate is good, and what follows in it.
fn validity(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut certificate, _) = inside(certificate, SEQUENCE)?;
    let mut to_be_signed;
    (to_be_signed, certificate) = inside(certificate, SEQUENCE)?;
    let _ = certificate;
    if to_be_signed.first() == Some(&VERSION) {
        to_be_signed = element(to_be_signed)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        to_be_signed = element(to_be_signed)?.2;
    }
    inside(to_be_signed, SEQUENCE)
}

/// What is in an element with a tag, and what follows it.
fn inside(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    (tag == wanted).then_some((content, rest))
}

/// The tag of the first element, what is in it, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // More than four bytes of length would be a certificate of gigabytes.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// A moment as certificates have it: `YYMMDDHHMMSSZ`, of the years 1950 to 2049, or with four digits of the year.
fn moment(tag: u8, text: &str) -> Option<i64> {
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let digits = rest.strip_suffix('Z').filter(|digits| digits.len() == 10 && digits.is_ascii())?;
    let part = |at: usize| digits.get(at..at + 2)?.parse::<i64>().ok();
    let seconds = (part(4)? * 60 + part(6)?) * 60 + part(8)?;
    Some((days_before(year, part(0)?, part(2)?) * 86_400 + seconds) * 1_000)
}

/// How many days lie between the Unix epoch and a day of the Gregorian calendar: years begin in March here, so that the day that some of
/// them have more is their last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_and_nothing_else_is_taken_for_one() {
        for (year, expected) in [(2031, 1_927_929_600_000), (2061, 2_874_700_800_000)] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut parameters = rcgen::CertificateParams::new(["relay.example".to_owned()]).unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, 2, 4);
            assert_eq!(not_after(parameters.self_signed(&key).unwrap().der()), Some(expected), "{year}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certificate.pem");
        std::fs::write(&path, "none").unwrap();
        assert_eq!(not_after_ms(&path), None);
        for cut in [&[][..], &[0x30], &[0x30, 0x84, 1, 2], &[0x30, 0x85, 0, 0, 0, 0, 0], &[0x30, 3, 0x30, 1, 0]] {
            assert_eq!((not_after(cut), has_authority(cut)), (None, None));
        }
    }

    #[test]
    fn a_certificate_of_an_authority_is_told_from_that_of_a_server() {
        use rcgen::{BasicConstraints, IsCa};
        let key = rcgen::KeyPair::generate().unwrap();
        for (is_ca, expected) in [
            (IsCa::NoCa, false),
            (IsCa::ExplicitNoCa, false),
            (IsCa::Ca(BasicConstraints::Unconstrained), true),
            (IsCa::Ca(BasicConstraints::Constrained(0)), true),
        ] {
            let mut parameters = rcgen::CertificateParams::new(["relay.example".to_owned()]).unwrap();
            parameters.is_ca = is_ca;
            let made = parameters.self_signed(&key).unwrap();
            assert_eq!(has_authority(made.der()), Some(expected), "{:?}", parameters.is_ca);
        }
    }
}
