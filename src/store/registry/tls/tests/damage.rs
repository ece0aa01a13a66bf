//! Files that are not what they should be: each is refused by name, with what was expected.

use std::path::PathBuf;

use super::super::{TlsOptions, for_others, for_registry};
use super::authority::{Authority, CLIENT, NOW};
use crate::error::Class;
use crate::store::{StoreError, causes};

/// The whole of a complaint, as the user sees it.
fn words(error: &StoreError) -> String {
    format!("{error}: {}; hint: {}", causes(error).join(": "), error.hint().unwrap_or_default())
}

fn named(ca: PathBuf) -> TlsOptions {
    TlsOptions { ca_files: vec![ca], ..TlsOptions::default() }
}

fn pair(certificate: PathBuf, key: PathBuf) -> TlsOptions {
    TlsOptions { client_cert: Some(certificate), client_key: Some(key), ..TlsOptions::default() }
}

#[test]
fn an_authority_s_file_that_is_none_is_refused() {
    let Some(authority) = Authority::new() else { return };
    authority.openssl("x509 -in ca.crt -outform DER -out ca.der");
    authority.openssl("pkcs12 -export -in ca.crt -inkey ca.key -passout pass:x -out ca.p12");
    let whole = authority.read("ca.crt");
    let (cut, garbled) = (&whole[..whole.len() / 2], String::from_utf8(whole.clone()).unwrap().replace("MII", "!!!"));
    let nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    authority.write("cut.crt", cut);
    authority.write("garbled.crt", garbled.as_bytes());
    authority.write("nonsense.crt", nonsense);
    authority.write("empty.crt", b"");
    authority.write("large.crt", &vec![b'\n'; 1024 * 1024 + 1]);
    authority.write("\u{1b}[2J.crt", b"text");
    for (name, expected) in [
        ("ca.der", "it is DER, and PEM is expected; hint: convert it: openssl x509 -inform DER -in "),
        ("ca.p12", "it is PKCS#12, and PEM is expected; hint: convert it: openssl pkcs12 "),
        ("ca.key", "it holds no certificate in PEM; hint: expected is a text with lines such as -----BEGIN CERT"),
        ("cut.crt", "its PEM is cut short"),
        ("garbled.crt", "its PEM is damaged"),
        ("nonsense.crt", "what stands between its PEM lines is no certificate"),
        ("empty.crt", "it is empty"),
        ("large.crt", "it is larger than 1 MiB"),
        (".", "it is no regular file"),
    ] {
        let options = named(authority.path(name));
        let error = for_registry("localhost:5000", &options).unwrap_err();
        let (said, path) = (words(&error), authority.path(name));
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.starts_with(&format!("cannot use {} for docker://localhost:5000", path.display())), "{said}");
        assert_eq!(error.class(), Class::Content);

        let said = words(&for_others(&options).unwrap_err());
        assert!(said.starts_with(&format!("cannot use {}: ", path.display())), "{said}");
    }
    let escaped = for_registry("localhost", &named(authority.path("\u{1b}[2J.crt"))).unwrap_err();
    assert!(!words(&escaped).contains('\u{1b}'));
    let absent = for_registry("localhost", &named(authority.path("absent"))).unwrap_err();
    assert_eq!(absent.class(), Class::Absent);
}

#[test]
fn one_odd_certificate_does_not_spoil_a_bundle() {
    let Some(authority) = Authority::new() else { return };
    let odd = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bundle = authority.write("bundle.crt", &[&odd[..], b"some text\r\n", &authority.read("ca.crt")].concat());
    assert!(for_registry("localhost", &named(bundle)).is_ok());
}

#[test]
fn a_pipe_does_not_hang() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("ca.crt");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let said = words(&for_registry("localhost", &named(pipe)).unwrap_err());
    assert!(said.contains("it is no regular file"), "{said}");
}

#[test]
fn keys_of_every_common_kind_are_taken() {
    let Some(authority) = Authority::new() else { return };
    authority.openssl("ecparam -name prime256v1 -genkey -out sec1.key"); // with parameters before the key
    authority.openssl("genrsa -traditional -out pkcs1.key 2048");
    authority.openssl("genpkey -algorithm RSA -out pkcs8.key");
    authority.openssl("genpkey -algorithm ED25519 -out edwards.key");
    for (name, label) in [
        ("sec1", "-----BEGIN EC PRIVATE KEY-----"),
        ("pkcs1", "-----BEGIN RSA PRIVATE KEY-----"),
        ("pkcs8", "-----BEGIN PRIVATE KEY-----"),
        ("edwards", "-----BEGIN PRIVATE KEY-----"),
    ] {
        let key = format!("{name}.key");
        assert!(String::from_utf8(authority.read(&key)).unwrap().contains(label), "{name}");
        authority.openssl(&format!("req -x509 -config ca.cnf -key {key} -subj /CN=x -addext {CLIENT} -out {name}.crt"));
        let config = for_registry("localhost", &pair(authority.path(&format!("{name}.crt")), authority.path(&key)));
        assert!(config.unwrap().host.client_auth_cert_resolver.has_certs(), "{name}");
    }
}

#[test]
fn a_key_that_cannot_be_used_is_refused_and_not_shown() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("client", CLIENT, NOW);
    authority.openssl("pkcs8 -topk8 -in client.key -passout pass:x -out modern.key");
    authority.openssl("ec -in client.key -aes128 -passout pass:x -out old.key");
    authority.openssl("pkey -in client.key -outform DER -out der.key");
    authority.openssl("ecparam -name secp521r1 -genkey -noout -out large.key");
    let whole = String::from_utf8(authority.read("client.key")).unwrap();
    authority.write("damaged.key", whole.replace('M', "*").as_bytes());
    authority.write("nonsense.key", b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
    authority.write("glued.key", whole.replace("KEY-----\n", "KEY-----").as_bytes());
    for (name, expected) in [
        ("modern.key", "its private key is encrypted; hint: write it without a password: openssl pkey -in "),
        ("old.key", "its private key is encrypted; hint: write it without a password: openssl pkey -in "),
        ("der.key", "it is DER, and PEM is expected; hint: convert it: openssl pkey -inform DER"),
        ("client.crt", "it holds a certificate, and no private key; hint: the key is in a file of its own"),
        ("ca.key", "the key is not that of the first certificate in "),
        ("large.key", "of a kind that is not supported; hint: use RSA"),
        ("damaged.key", "its PEM is damaged"),
        ("nonsense.key", "its key is damaged"),
        ("glued.key", "its PEM is damaged"),
    ] {
        let error = for_registry("localhost", &pair(authority.path("client.crt"), authority.path(name))).unwrap_err();
        let said = words(&error);
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.contains(&format!("/{name} for docker://localhost")), "{said}");
        for line in whole.lines().filter(|line| !line.starts_with('-')) {
            assert!(!format!("{said}{error:?}").contains(line), "{name} shows the key");
        }
    }
    authority.openssl("req -x509 -config ca.cnf -key client.key -subj /CN=x -out first.crt");
    // a certificate without a key, and a key without a certificate
    for (options, expected) in [
        (TlsOptions { client_cert: Some(authority.path("client.crt")), ..TlsOptions::default() }, "no private key"),
        (TlsOptions { client_key: Some(authority.path("client.key")), ..TlsOptions::default() }, "--client-cert"),
        (pair(authority.path("client.key"), authority.path("client.key")), "it holds no certificate in PEM"),
        (pair(authority.path("first.crt"), authority.path("client.key")), "damaged, or not of X.509 version 3"),
    ] {
        let said = words(&for_registry("localhost", &options).unwrap_err());
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn half_a_pair_in_a_registry_s_directory_says_which_half_is_missing() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("client", CLIENT, NOW);
    let options = TlsOptions { certificate_directories: vec![authority.path("certs.d")], ..TlsOptions::default() };
    for (host, present, missing) in [("one", "a.cert", "/one/a.key"), ("two", "b.key", "/two/b.cert")] {
        authority.write(&format!("certs.d/{host}/{present}"), &authority.read("client.crt"));
        let said = words(&for_registry(host, &options).unwrap_err());
        assert!(said.contains(&format!("{missing} is missing beside it")), "{said}");
        // who names another certificate does not depend on them
        let named = pair(authority.path("client.crt"), authority.path("client.key"));
        let options = TlsOptions { certificate_directories: vec![authority.path("certs.d")], ..named };
        assert!(for_registry(host, &options).unwrap().host.client_auth_cert_resolver.has_certs());
    }
    // of several, the first by name, with its own key
    for (name, from) in
        [("x.cert", "client.crt"), ("x.key", "client.key"), ("x.d.cert", "ca.crt"), ("x.d.key", "ca.key")]
    {
        authority.write(&format!("certs.d/three/{name}"), &authority.read(from));
    }
    let config = for_registry("three", &options).unwrap();
    let schemes = [rustls::SignatureScheme::ECDSA_NISTP256_SHA256];
    let shown = config.host.client_auth_cert_resolver.resolve(&[], &schemes).unwrap().cert[0].to_vec();
    authority.openssl("x509 -in client.crt -outform DER -out client.der");
    assert_eq!(shown, authority.read("client.der"));
    assert!(!format!("{config:?}").contains("PRIVATE"), "{config:?}");
}

#[test]
fn a_directory_that_cannot_be_one_is_said() {
    let Some(authority) = Authority::new() else { return };
    authority.write("certs.d/file", b"");
    let options = TlsOptions { certificate_directories: vec![authority.path("certs.d")], ..TlsOptions::default() };
    let said = words(&for_registry("file", &options).unwrap_err());
    assert!(said.starts_with("cannot read ") && said.contains("certs.d/file"), "{said}");
}
