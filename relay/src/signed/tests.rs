use super::*;
use crate::log::SignedClaims;
use crate::log::accounts::Role;
use crate::server::SystemEntropy;
use afield_core::{Entropy, SpaceId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::path::PathBuf;

const SPACE: &str = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
/// The moment at which tokens are shown here.
const NOW: Now = Now { wall_ms: 1_700_000_100_000, monotonic_ms: 0 };
const SECRET: &[u8] = b"thirty-two bytes that are secret";

fn part(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Good claims, but for the changes: what is null is left out.
fn claims(changes: &Value) -> String {
    let mut claims = json!({
        "iss": "https://app.example", "aud": "relay", "sub": "ada", "iat": 1_700_000_000, "exp": 1_700_003_600,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims.to_string()
}

fn hmac_token(header: &Value, claims: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", part(header.to_string().as_bytes()), part(claims.as_bytes()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", part(tag.as_ref()))
}

/// A file of keys, and what takes the tokens signed with them.
struct Setting {
    folder: tempfile::TempDir,
}

impl Setting {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, text: &[u8]) -> PathBuf {
        let path = self.folder.path().join("keys");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn of(keys: KeySource) -> Result<SignedTokens, KeyFileError> {
        SignedTokens::open(SignedOptions { keys, issuer: "https://app.example".into(), audience: "relay".into() })
    }

    fn one(&self, text: &[u8], algorithm: Algorithm) -> Result<SignedTokens, KeyFileError> {
        Self::of(KeySource { path: self.file(text), algorithm: Some(algorithm) })
    }

    fn set(&self, keys: &Value, algorithm: Option<Algorithm>) -> Result<SignedTokens, KeyFileError> {
        Self::of(KeySource { path: self.file(json!({ "keys": keys }).to_string().as_bytes()), algorithm })
    }
}

/// A key pair of Ed25519: a public key as PEM and as JWK, and a way to sign.
struct Ed(Ed25519KeyPair);

impl Ed {
    fn new() -> Self {
        let mut seed = [0; 32];
        SystemEntropy.fill(&mut seed);
        Self(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
    }

    fn pem(&self) -> String {
        // What stands before the 32 bytes of a key says that it is one of Ed25519 (RFC 8410).
        let begin = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let der = [&begin[..], self.0.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    fn jwk(&self, id: Option<&str>) -> Value {
        let x = part(self.0.public_key().as_ref());
        let mut jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA", "use": "sig" });
        if let Some(id) = id {
            jwk["kid"] = id.into();
        }
        jwk
    }

    fn token(&self, header: &Value, claims: &str) -> String {
        let message = format!("{}.{}", part(header.to_string().as_bytes()), part(claims.as_bytes()));
        let signature = part(self.0.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }

    fn good(&self) -> String {
        self.token(&json!({ "alg": "EdDSA" }), &claims(&json!({})))
    }
}

fn refused(tokens: &mut SignedTokens, token: &str) -> SignedError {
    tokens.verify(token, NOW).expect_err("it is refused")
}

#[test]
fn a_good_token_says_whose_it_is_and_what_it_is_for() {
    let (setting, ed) = (Setting::new(), Ed::new());
    let mut tokens = setting.one(ed.pem().as_bytes(), Algorithm::EdDSA).unwrap();
    let verified = tokens.verify(&ed.good(), NOW).unwrap();
    let expected = SignedClaims {
        issuer: "https://app.example".into(),
        subject: "ada".into(),
        spaces: None,
        may_create: false,
        issued_wall_ms: 1_700_000_000_000,
        expires_wall_ms: 1_700_003_600_000,
    };
    assert_eq!(verified, Verified { claims: expected, device: None });

    let device = DeviceId::from_bytes([7; 16]);
    let more = json!({
        "aud": ["other", "relay"], "exp": 1_700_003_600.5, "create": true, "device": device.to_string(),
        "spaces": { SPACE: "writer" }, "unknown": [1],
    });
    let verified = tokens.verify(&ed.token(&json!({ "alg": "EdDSA" }), &claims(&more)), NOW).unwrap();
    let space: SpaceId = SPACE.parse().unwrap();
    assert_eq!(verified.claims.spaces, Some(vec![(space, Role::Writer)]));
    assert_eq!((verified.claims.may_create, verified.device), (true, Some(device)));
    assert_eq!(verified.claims.expires_wall_ms, 1_700_003_600_500);
}

#[test]
fn every_family_of_algorithms_is_checked() {
    let setting = Setting::new();
    let header = json!({ "alg": "HS256" });
    let mut tokens = setting.one(SECRET, Algorithm::HS256).unwrap();
    tokens.verify(&hmac_token(&header, &claims(&json!({})), SECRET), NOW).unwrap();
    let other = hmac_token(&header, &claims(&json!({})), b"thirty-two bytes that are public");
    assert!(matches!(refused(&mut tokens, &other), SignedError::Signature));

    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref();
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": part(&point[1..33]), "y": part(&point[33..]), "alg": "ES256" });
    let message = format!("{}.{}", part(br#"{"alg":"ES256"}"#), part(claims(&json!({})).as_bytes()));
    let signature = pair.sign(&random, message.as_bytes()).unwrap();
    let mut tokens = setting.set(&json!([jwk]), None).unwrap();
    tokens.verify(&format!("{message}.{}", part(signature.as_ref())), NOW).unwrap();

    let public = include_bytes!("tests/rsa.pem");
    let by_rsa = [include_str!("tests/rs256.jwt").trim(), include_str!("tests/ps256.jwt").trim()];
    for (algorithm, good) in [Algorithm::RS256, Algorithm::PS256].into_iter().zip(by_rsa) {
        let mut tokens = setting.one(public, algorithm).unwrap();
        tokens.verify(good, NOW).unwrap();
        for other in by_rsa.iter().filter(|other| **other != good) {
            assert!(matches!(refused(&mut tokens, other), SignedError::Algorithm));
        }
    }
}

#[test]
fn the_algorithm_is_the_keys_and_never_the_tokens() {
    let (setting, ed) = (Setting::new(), Ed::new());
    let pem = ed.pem();
    let mut tokens = setting.one(pem.as_bytes(), Algorithm::EdDSA).unwrap();
    for none in ["none", "None", "nOnE", ""] {
        let message =
            format!("{}.{}", part(json!({ "alg": none }).to_string().as_bytes()), part(claims(&json!({})).as_bytes()));
        assert!(matches!(refused(&mut tokens, &format!("{message}.")), SignedError::Malformed));
    }
    let unsigned = ed.good().rsplit_once('.').unwrap().0.to_owned();
    assert!(matches!(refused(&mut tokens, &format!("{unsigned}.")), SignedError::Signature));

    // Whoever takes the algorithm out of the token takes the public key, which everybody has, for a secret.
    for secret in [pem.as_bytes(), pem.trim_end().as_bytes(), ed.0.public_key().as_ref()] {
        let token = hmac_token(&json!({ "alg": "HS256" }), &claims(&json!({})), secret);
        assert!(matches!(refused(&mut tokens, &token), SignedError::Algorithm));
    }
    assert!(matches!(setting.one(pem.as_bytes(), Algorithm::HS256), Err(KeyFileError::Secret { .. })));
}

#[test]
fn keys_that_a_token_brings_along_are_nothing_to_go_by() {
    let (setting, ed, attacker) = (Setting::new(), Ed::new(), Ed::new());
    let mut tokens = setting.one(ed.pem().as_bytes(), Algorithm::EdDSA).unwrap();
    let header = json!({
        "alg": "EdDSA", "jwk": attacker.jwk(None), "jku": "https://evil.example/keys", "x5u": "https://evil.example",
        "x5c": ["AAAA"], "kid": "../../dev/null",
    });
    assert!(matches!(refused(&mut tokens, &attacker.token(&header, &claims(&json!({})))), SignedError::Signature));
    tokens
        .verify(&ed.token(&header, &claims(&json!({}))), NOW)
        .expect("the control: they are ignored, and not refused");
    let critical = ed.token(&json!({ "alg": "EdDSA", "crit": ["b64"], "b64": false }), &claims(&json!({})));
    assert!(matches!(refused(&mut tokens, &critical), SignedError::Critical));
}

#[test]
fn claims_that_have_to_be_there_have_to_be_right() {
    let (setting, ed) = (Setting::new(), Ed::new());
    let mut tokens = setting.one(ed.pem().as_bytes(), Algorithm::EdDSA).unwrap();
    let mut told = |changes: Value| {
        let token = ed.token(&json!({ "alg": "EdDSA" }), &claims(&changes));
        refused(&mut tokens, &token).to_string()
    };
    for missing in ["iss", "aud", "exp", "iat", "sub"] {
        assert_eq!(told(json!({ missing: null })), format!("the token lacks the claim {missing}"));
    }
    assert_eq!(told(json!({ "iss": "https://evil.example" })), SignedError::Issuer.to_string());
    assert_eq!(told(json!({ "aud": 7 })), SignedError::Missing("aud").to_string());
    for audience in [json!("other"), json!([]), json!(["other"])] {
        assert_eq!(told(json!({ "aud": audience })), SignedError::Audience.to_string());
    }
    for (claim, value) in [
        ("exp", json!("1700003600")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("sub", json!("x".repeat(257))),
        ("device", json!("phone")),
        ("create", json!("yes")),
        ("spaces", json!([SPACE])),
        ("spaces", json!({ "home": "reader" })),
        ("spaces", json!({ SPACE: "admin" })),
    ] {
        assert_eq!(told(json!({ claim: value })), SignedError::Claims.to_string(), "{claim}");
    }
}

#[test]
fn what_stands_there_twice_is_refused() {
    let (setting, ed) = (Setting::new(), Ed::new());
    let mut tokens = setting.one(ed.pem().as_bytes(), Algorithm::EdDSA).unwrap();
    let good = claims(&json!({ "spaces": { SPACE: "reader" } }));
    let header = json!({ "alg": "EdDSA" });
    tokens.verify(&ed.token(&header, &good), NOW).expect("the control");
    let entry = format!("\"{SPACE}\":\"reader\"");
    let capitals = SPACE.to_uppercase();
    for (from, to) in [
        (entry.as_str(), format!("{entry},\"{SPACE}\":\"owner\"")),
        (&entry, format!("{entry},\"{capitals}\":\"owner\"")),
        (&entry, format!("{entry},\"{}\":\"owner\"", SPACE.replace('-', ""))),
        ("\"sub\":\"ada\"", "\"sub\":\"ada\",\"sub\":\"root\"".to_owned()),
    ] {
        let twice = good.replace(from, &to);
        assert_ne!(twice, good);
        assert!(matches!(refused(&mut tokens, &ed.token(&header, &twice)), SignedError::Claims), "{twice}");
    }
    let message = format!("{}.{}", part(br#"{"alg":"EdDSA","alg":"none"}"#), part(good.as_bytes()));
    assert!(matches!(refused(&mut tokens, &format!("{message}.AAAA")), SignedError::Malformed));
}

#[test]
fn a_token_is_good_for_a_day_at_most_and_not_a_moment_after_its_end() {
    let (setting, ed) = (Setting::new(), Ed::new());
    let mut tokens = setting.one(ed.pem().as_bytes(), Algorithm::EdDSA).unwrap();
    let mut outcome = |changes: Value| {
        let verified = tokens.verify(&ed.token(&json!({ "alg": "EdDSA" }), &claims(&changes)), NOW);
        verified.map(drop).map_err(|error| error.to_string())
    };
    // It is the second 1,700,000,100.
    let (expired, early, long) =
        (SignedError::Expired.to_string(), SignedError::NotYet.to_string(), SignedError::TooLong.to_string());
    assert_eq!(outcome(json!({ "exp": 1_700_000_100 })), Err(expired));
    assert_eq!(outcome(json!({ "exp": 1_700_000_101 })), Ok(()));
    assert_eq!(outcome(json!({ "exp": 1_700_086_400 })), Ok(()));
    assert_eq!(outcome(json!({ "exp": 1_700_086_401 })), Err(long.clone()));
    assert_eq!(outcome(json!({ "iat": 1_600_000_000 })), Err(long), "an old one does not become good in its last day");
    assert_eq!(outcome(json!({ "iat": 1_700_000_160 })), Ok(()), "a clock that is a little ahead");
    assert_eq!(outcome(json!({ "iat": 1_700_000_161 })), Err(early.clone()));
    assert_eq!(outcome(json!({ "nbf": 1_700_000_161 })), Err(early.clone()));
    assert_eq!(
        outcome(json!({ "iat": 1_700_000_161, "nbf": 1_700_000_050 })),
        Err(early),
        "one does not stand for the other"
    );
    assert_eq!(outcome(json!({ "nbf": 1_700_000_050 })), Ok(()));
}

#[test]
fn a_token_names_its_key_in_a_set_of_several() {
    let (setting, old, new) = (Setting::new(), Ed::new(), Ed::new());
    let of = |ed: &Ed, id: &str| ed.token(&json!({ "alg": "EdDSA", "kid": id }), &claims(&json!({})));
    let mut tokens = setting.set(&json!([old.jwk(Some("old")), new.jwk(Some("new"))]), None).unwrap();
    tokens.verify(&of(&old, "old"), NOW).unwrap();
    tokens.verify(&of(&new, "new"), NOW).unwrap();
    assert!(matches!(refused(&mut tokens, &of(&old, "new")), SignedError::Signature));
    assert!(matches!(refused(&mut tokens, &of(&old, "other")), SignedError::UnknownKey));
    assert!(matches!(refused(&mut tokens, &old.good()), SignedError::UnknownKey), "it names none of two");
    let mut only = setting.set(&json!([old.jwk(Some("old"))]), None).unwrap();
    only.verify(&old.good(), NOW).expect("where there is but one it need not be named");
    assert!(matches!(refused(&mut only, &of(&old, "new")), SignedError::UnknownKey), "but not as another");
}

#[test]
fn keys_are_those_that_the_file_has_now() {
    let (setting, old, new) = (Setting::new(), Ed::new(), Ed::new());
    let mut tokens = setting.set(&json!([old.jwk(None)]), None).unwrap();
    tokens.verify(&old.good(), NOW).unwrap();
    setting.file(json!({ "keys": [new.jwk(None)] }).to_string().as_bytes());
    assert!(matches!(refused(&mut tokens, &old.good()), SignedError::Signature), "it was taken out");
    tokens.verify(&new.good(), NOW).unwrap();

    setting.file(b"{");
    for _ in 0..2 {
        let nobody = refused(&mut tokens, &new.good());
        assert!(matches!(nobody, SignedError::Keys(KeyFileError::Set { .. })), "nobody is let in on a guess");
    }
    std::fs::remove_file(setting.folder.path().join("keys")).unwrap();
    assert!(matches!(refused(&mut tokens, &new.good()), SignedError::Keys(KeyFileError::Read { .. })));
    setting.file(json!({ "keys": [new.jwk(None)] }).to_string().as_bytes());
    tokens.verify(&new.good(), NOW).expect("and it goes on once the file is right");
}

#[test]
fn a_file_without_a_key_of_use_is_refused_at_once() {
    let (setting, ed) = (Setting::new(), Ed::new());
    let with = |ed: &Ed, name: &str, value: Value| {
        let mut jwk = ed.jwk(Some("a"));
        jwk[name] = value;
        json!([jwk])
    };
    for keys in [
        json!([]),
        with(&ed, "use", json!("enc")),
        with(&ed, "key_ops", json!(["sign"])),
        with(&ed, "alg", json!("ES256")),
        with(&ed, "alg", json!("RSA-OAEP")),
        with(&ed, "alg", json!("none")),
        with(&ed, "kty", json!("other")),
        json!([{ "kty": "oct", "k": part(b"short"), "alg": "HS256" }]),
        json!([{ "kty": "OKP", "crv": "Ed25519", "x": part(&[1; 31]), "alg": "EdDSA" }]),
    ] {
        let opened = setting.set(&keys, None);
        assert!(matches!(opened, Err(KeyFileError::Empty { .. })), "{keys}: {opened:?}");
    }
    let twice = json!([ed.jwk(Some("a")), Ed::new().jwk(Some("a"))]);
    assert!(matches!(setting.set(&twice, None), Err(KeyFileError::Twice { .. })));
    let mut unnamed = ed.jwk(None);
    unnamed.as_object_mut().unwrap().remove("alg");
    assert!(matches!(setting.set(&json!([unnamed]), None), Err(KeyFileError::Empty { .. })));
    setting.set(&json!([unnamed]), Some(Algorithm::EdDSA)).expect("the control: the operator names the algorithm");

    assert!(matches!(setting.one(b"short\n", Algorithm::HS256), Err(KeyFileError::Secret { .. })));
    assert!(matches!(setting.one(ed.pem().as_bytes(), Algorithm::RS256), Err(KeyFileError::Key { .. })));
    assert!(matches!(setting.one(b"no key", Algorithm::EdDSA), Err(KeyFileError::Key { .. })));
    let private = ed.pem().replace("PUBLIC", "PRIVATE");
    assert!(matches!(setting.one(private.as_bytes(), Algorithm::EdDSA), Err(KeyFileError::Private { .. })));
}

#[test]
fn nothing_that_is_printed_has_a_key_in_it() {
    let setting = Setting::new();
    let printed = format!("{:?}", setting.one(SECRET, Algorithm::HS256).unwrap());
    assert!(!printed.contains("thirty") && !printed.contains("116, 104"), "{printed}");
}

proptest! {
    #[test]
    fn fuzz_no_changed_token_is_good(at in 0_usize..1_000, to in any::<u8>()) {
        let (setting, ed) = (Setting::new(), Ed::new());
        let mut tokens = setting.one(ed.pem().as_bytes(), Algorithm::EdDSA).unwrap();
        let good = ed.good();
        let mut changed = good.clone().into_bytes();
        let at = at % changed.len();
        changed[at] = to;
        let verified = String::from_utf8(changed).ok().map(|text| (text == good, tokens.verify(&text, NOW).is_ok()));
        prop_assert!(verified.is_none_or(|(is_same, is_good)| is_same == is_good));
    }

    #[test]
    fn fuzz_signed_claims_of_any_form_end_no_relay(claims in ".{0,200}", header in ".{0,60}") {
        let (setting, ed) = (Setting::new(), Ed::new());
        let mut tokens = setting.one(ed.pem().as_bytes(), Algorithm::EdDSA).unwrap();
        let signed = ed.token(&json!({ "alg": "EdDSA" }), &claims);
        for token in [signed, format!("{header}.{claims}.{claims}"), claims] {
            let verified = tokens.verify(&token, NOW);
            prop_assert!(verified.is_err());
        }
    }
}

#[test]
fn one_key_has_to_be_given_its_algorithm() {
    let (setting, ed) = (Setting::new(), Ed::new());
    let path = setting.file(ed.pem().as_bytes());
    let refused = Setting::of(KeySource { path: path.clone(), algorithm: None });
    assert!(matches!(refused, Err(KeyFileError::NoAlgorithm { .. })));
    Setting::of(KeySource { path, algorithm: Some(Algorithm::EdDSA) }).expect("the control");
}
