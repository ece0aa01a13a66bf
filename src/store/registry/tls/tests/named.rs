//! A registry whose certificate signed itself, as `openssl req -x509` makes them: an authority's that is the server's too.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::super::{TlsOptions, Verify, for_others, for_registry};
use super::authority::{Authority, FUTURE, LOCALHOST, NOW, PAST};
use super::connections::{get, reason_and_hint, try_with};
use super::peer::{Peer, certified};

const BOTH: &str = "basicConstraints=critical,CA:TRUE";

fn naming(authority: &Authority, name: &str) -> TlsOptions {
    TlsOptions { ca_files: vec![authority.path(&format!("{name}.crt"))], ..TlsOptions::default() }
}

/// What the user is told when a server with one certificate is asked and another is trusted.
fn refused(authority: &Authority, shown: &str, options: &TlsOptions) -> (String, String) {
    reason_and_hint(try_with(certified(authority, shown, false), options))
}

#[test]
fn a_certificate_that_signed_itself_is_trusted_when_the_user_names_it() {
    let Some(authority) = Authority::new() else { return };
    authority.self_signed("alone", &format!("{LOCALHOST} -addext basicConstraints=critical,CA:FALSE"));
    authority.self_signed("both", &format!("{LOCALHOST} -addext {BOTH}"));
    // the line that everybody copies, with the machine's own configuration
    authority.openssl(&format!(
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout usual.key -out usual.crt -addext {LOCALHOST}"
    ));
    for name in ["alone", "both", "usual"] {
        let served = || certified(&authority, name, false);
        assert_eq!(try_with(served(), &naming(&authority, name)).unwrap(), "hello", "{name}");

        let peer = Peer::https(served());
        let host = format!("localhost:{}", peer.port);
        let url = format!("https://{host}/");
        assert_eq!(get(for_others(&naming(&authority, name)).unwrap(), &url).unwrap(), "hello", "{name}");
        authority.write(&format!("certs.d/{host}/ca.crt"), &authority.read(&format!("{name}.crt")));
        let options = TlsOptions { certificate_directories: vec![authority.path("certs.d")], ..TlsOptions::default() };
        assert_eq!(get(for_registry(&host, &options).unwrap(), &url).unwrap(), "hello", "{name}");
        // and for that registry alone
        reason_and_hint(get(for_others(&options).unwrap(), &url));
    }
}

#[test]
fn a_certificate_that_signed_itself_is_refused_when_nobody_names_it() {
    let Some(authority) = Authority::new() else { return };
    authority.self_signed("both", &format!("{LOCALHOST} -addext {BOTH}"));
    for options in [TlsOptions::default(), naming(&authority, "ca")] {
        let (reason, hint) = refused(&authority, "both", &options);
        assert!(reason.contains("CA:TRUE") && reason.contains("nobody named it"), "{reason}");
        assert!(hint.contains("--ca-file FILE"), "{hint}");
    }
    let anything = TlsOptions { verify: Verify::Skip, ..TlsOptions::default() };
    assert_eq!(try_with(certified(&authority, "both", false), &anything).unwrap(), "hello");
}

#[test]
fn a_named_certificate_is_refused_for_another_host_and_out_of_its_time() {
    let Some(authority) = Authority::new() else { return };
    for (name, subject, times, expected) in [
        ("right", LOCALHOST, NOW, None),
        (
            "elsewhere",
            "subjectAltName=DNS:registry.example",
            NOW,
            Some("the certificate is not for \"localhost\", but for"),
        ),
        ("nameless", "keyUsage=digitalSignature", NOW, Some("and names no host at all")),
        ("past", LOCALHOST, PAST, Some("the certificate expired on Fri, 01 Jan 2021")),
        ("future", LOCALHOST, FUTURE, Some("the certificate is not valid before Sun, 01 Jan 2090")),
    ] {
        authority.self_signed_for(name, &format!("{BOTH}\n{subject}"), times);
        let options = naming(&authority, name);
        match expected {
            None => assert_eq!(try_with(certified(&authority, name, false), &options).unwrap(), "hello"),
            Some(expected) => {
                let (reason, _) = refused(&authority, name, &options);
                assert!(reason.contains(expected), "{name}: {reason}");
            }
        }
    }
}

#[test]
fn another_certificate_of_the_same_name_is_not_the_one_that_was_named() {
    let Some(authority) = Authority::new() else { return };
    for name in ["named", "impostor"] {
        authority.self_signed_for(name, &format!("{BOTH}\n{LOCALHOST}"), NOW);
    }
    let (reason, _) = refused(&authority, "impostor", &naming(&authority, "named"));
    assert!(reason.contains("nobody named it"), "{reason}");

    // nor is one below it, when it says that it is an authority
    authority.sign("below", &format!("{BOTH}\n{LOCALHOST}"), NOW);
    let (reason, _) = refused(&authority, "below", &naming(&authority, "ca"));
    assert!(reason.contains("nobody named it"), "{reason}");
}

#[test]
fn a_named_certificate_is_worth_nothing_without_its_key() {
    let Some(authority) = Authority::new() else { return };
    for name in ["named", "thief"] {
        authority.self_signed_for(name, &format!("{BOTH}\n{LOCALHOST}"), NOW);
    }
    let certificate = CertificateDer::from_pem_file(authority.path("named.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.path("thief.key")).unwrap();
    let key = ring::sign::any_supported_type(&key).unwrap();
    let pair = Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key)));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&pair) as _);
        let (reason, _) = reason_and_hint(try_with(server, &naming(&authority, "named")));
        assert!(reason.contains("signed") || reason.contains("Signature"), "{reason}");
    }
}
