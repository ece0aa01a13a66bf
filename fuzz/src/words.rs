//! Words: what stands on a command line, in a document, in a key.

use std::str::FromStr as _;

use barge::digest::Digest;
use barge::json::Object;
use barge::platform::{Platform, PlatformFilter};
use barge::reference::{ImageName, Selector, parse_destination, parse_host, parse_remote, parse_word};
use barge::signing::{Password, PrivateKey, PublicKey, Signature};

use crate::shown;

/// A word of the command line, as each slot reads it.
pub fn reference(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Err(error) = parse_word(text) {
        shown(&error);
    }
    for parsed in [ImageName::from_str(text), parse_remote(text)] {
        match parsed {
            Ok(name) => {
                let printed = name.to_string();
                let again = ImageName::from_str(&printed).expect("what is printed is a name");
                assert_eq!(again.to_string(), printed);
                assert!(!name.registry().contains(['/', '@', '\r', '\n', '?', '#']), "{name}");
                assert!(!name.repository().split('/').any(|part| part.is_empty() || part == ".."), "{name}");
            }
            Err(error) => shown(&error),
        }
    }
    if let Err(error) = Selector::parse(text) {
        shown(&error);
    }
    if let Err(error) = parse_destination(text) {
        shown(&error);
    }
    if let Err(error) = parse_host(text) {
        shown(&error);
    }
    if let Ok(digest) = Digest::from_str(text) {
        assert_eq!(digest.to_string(), text);
        assert!(digest.blob_path().split('/').count() == 3, "{text}");
    }
}

/// A platform, and a list of them.
pub fn platform(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Platform::from_str(text) {
        Ok(platform) => {
            let printed = platform.to_string();
            let again = Platform::from_str(&printed).expect("what is printed is a platform");
            assert_eq!(again.normalized().key(), platform.normalized().key(), "{printed}");
            assert_eq!(platform.normalized(), platform.normalized().normalized());
            assert!(platform.matches(&platform), "{printed}");
        }
        Err(error) => shown(&error),
    }
    match PlatformFilter::parse([text]) {
        Ok(filter) => drop(filter.wants(&Platform::local())),
        Err(error) => shown(&error),
    }
}

/// A document of JSON: what is taken is encoded to what is taken again, and is the same then.
pub fn json(input: &[u8]) {
    match barge::json::parse(input) {
        Ok(value) => {
            let lax: serde_json::Value = serde_json::from_slice(input).expect("what is strict is JSON");
            assert_eq!(lax, value);
            let encoded = barge::json::encode(&value);
            assert_eq!(barge::json::parse(&encoded).expect("what was encoded is JSON"), value);
            let object = Object::parse(input).map(|object| object.to_raw());
            if let Ok(raw) = object {
                assert_eq!(barge::json::parse(raw.get().as_bytes()).expect("what was kept is JSON"), value);
            }
        }
        Err(error) => shown(&error),
    }
}

/// Keys, their passwords, and signatures.
pub fn keys(input: &[u8]) {
    if let Err(error) = PublicKey::from_pem(input) {
        shown(&error);
    }
    for password in [None, Some(Password::new("secret"))] {
        if let Err(error) = PrivateKey::from_pem(input, password.as_ref()) {
            shown(&error);
        }
    }
    match Signature::parse(input) {
        Ok(signature) => {
            let again = Signature::parse(signature.to_text().as_bytes()).expect("what is printed is a signature");
            assert_eq!(again.as_bytes(), signature.as_bytes());
        }
        Err(error) => shown(&error),
    }
}
