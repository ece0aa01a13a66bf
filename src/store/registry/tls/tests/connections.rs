//! Real connections: who is trusted, who is not, and what the user is told.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use rustls::ServerConfig;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, TcpConnector};

use super::super::{TlsConnector, TlsOptions, TlsSetup, Verify, explain, for_others, for_registry, is_plain_http};
use super::authority::{Authority, CLIENT, FUTURE, LOCALHOST, NOW, PAST};
use super::peer::{Peer, certified};

/// Asks a server on this machine for a page, and returns it.
pub(super) fn get(setup: TlsSetup, url: &str) -> Result<String, ureq::Error> {
    let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(10))).build();
    let connector = ().chain(TcpConnector::default()).chain(TlsConnector::new(Some(setup), false));
    let agent = ureq::Agent::with_parts(config, connector, DefaultResolver::default());
    agent.get(url).call()?.body_mut().read_to_string()
}

/// Asks a server of that configuration, which stands as `localhost:PORT`.
pub(super) fn try_with(server: ServerConfig, options: &TlsOptions) -> Result<String, ureq::Error> {
    let peer = Peer::https(server);
    let host = format!("localhost:{}", peer.port);
    get(for_registry(&host, options).unwrap(), &format!("https://{host}/v2/"))
}

pub(super) fn reason_and_hint(result: Result<String, ureq::Error>) -> (String, String) {
    let error = result.unwrap_err();
    explain(&error).unwrap_or_else(|| panic!("no word about {error:?}"))
}

fn trusting(authority: &Authority) -> TlsOptions {
    TlsOptions { ca_files: vec![authority.path("ca.crt")], ..TlsOptions::default() }
}

#[test]
fn an_authority_that_the_user_names_is_trusted() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("server", LOCALHOST, NOW);
    assert_eq!(try_with(certified(&authority, "server", false), &trusting(&authority)).unwrap(), "hello");

    let peer = Peer::https(certified(&authority, "server", false));
    let url = format!("https://127.0.0.1:{}/", peer.port);
    assert_eq!(get(for_others(&trusting(&authority)).unwrap(), &url).unwrap(), "hello");
}

#[test]
fn an_authority_nobody_named_is_not_trusted() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("server", LOCALHOST, NOW);
    let result = try_with(certified(&authority, "server", false), &TlsOptions::default());
    let (reason, hint) = reason_and_hint(result);
    assert!(reason.starts_with("the certificate is signed by an authority this machine does not know"), "{reason}");
    assert!(hint.contains("--ca-file FILE"), "{hint}");

    let anything = TlsOptions { verify: Verify::Skip, ..TlsOptions::default() };
    assert_eq!(try_with(certified(&authority, "server", false), &anything).unwrap(), "hello");
}

#[test]
fn the_directory_of_a_registry_is_for_that_registry_alone() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("server", LOCALHOST, NOW);
    let peer = Peer::https(certified(&authority, "server", false));
    let host = format!("localhost:{}", peer.port);
    let url = format!("https://{host}/");
    let options = TlsOptions {
        certificate_directories: vec![authority.path("none"), authority.path("first"), authority.path("second")],
        ..TlsOptions::default()
    };
    authority.write(&format!("second/{host}/ca.crt"), &authority.read("ca.crt"));
    assert_eq!(get(for_registry(&host, &options).unwrap(), &url).unwrap(), "hello");
    for other in [for_registry("localhost", &options), for_registry("localhost:1", &options), for_others(&options)] {
        let (reason, _) = reason_and_hint(get(other.unwrap(), &url));
        assert!(reason.contains("does not know"), "{reason}");
    }

    // the first directory that has one for this host counts, even when nothing is in it
    fs::create_dir_all(authority.path(&format!("first/{host}"))).unwrap();
    let (reason, _) = reason_and_hint(get(for_registry(&host, &options).unwrap(), &url));
    assert!(reason.contains("does not know"), "{reason}");
}

#[test]
fn a_host_is_no_way_to_another_directory() {
    let Some(authority) = Authority::new() else { return };
    authority.write("outside/ca.crt", b"garbage that would be refused");
    authority.write("certs.d/ca.crt", b"garbage that would be refused");
    let directories = vec![authority.path("certs.d")];
    let options = TlsOptions { certificate_directories: directories, ..TlsOptions::default() };
    let absolute = authority.path("outside");
    for host in ["", ".", "..", "../outside", "x/../../outside", "a\0b", absolute.to_str().unwrap(), &"x".repeat(300)] {
        assert!(for_registry(host, &options).is_ok(), "{host:?}");
    }
    authority.write("certs.d/[::1]:5000/ca.crt", b"garbage that is refused");
    assert!(for_registry("[::1]:5000", &options).is_err());
}

#[test]
fn a_certificate_out_of_its_time_is_refused_with_a_word_about_the_clock() {
    let Some(authority) = Authority::new() else { return };
    for (name, times, expected) in [
        ("past", PAST, "the certificate expired on Fri, 01 Jan 2021 00:00:00 GMT, and it is now "),
        ("future", FUTURE, "the certificate is not valid before Sun, 01 Jan 2090 00:00:00 GMT, and it is now "),
    ] {
        authority.sign(name, LOCALHOST, times);
        let (reason, hint) = reason_and_hint(try_with(certified(&authority, name, false), &trusting(&authority)));
        assert!(reason.starts_with(expected), "{reason}");
        assert!(hint.contains("clock"), "{hint}");
    }
}

#[test]
fn a_certificate_for_another_name_says_for_which() {
    let Some(authority) = Authority::new() else { return };
    for (name, extension, expected) in [
        (
            "wrong",
            "subjectAltName=DNS:registry.example,IP:192.0.2.1",
            r#"the certificate is not for "localhost", but for "registry.example", "192.0.2.1""#,
        ),
        ("nameless", CLIENT.replace("client", "server").as_str(), "and names no host at all"),
        ("many", &format!("subjectAltName={}", ["DNS:a.example"; 7].join(",")), r#", "a.example", 2 more"#),
    ] {
        authority.sign(name, extension, NOW);
        let (reason, _) = reason_and_hint(try_with(certified(&authority, name, false), &trusting(&authority)));
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn a_certificate_for_clients_is_none_for_a_server() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("server", &format!("{LOCALHOST}\n{CLIENT}"), NOW);
    let (reason, _) = reason_and_hint(try_with(certified(&authority, "server", false), &trusting(&authority)));
    assert_eq!(reason, "the certificate is not meant for a server");
}

#[test]
fn a_client_certificate_is_shown_to_the_registry_and_to_nobody_else() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("server", LOCALHOST, NOW);
    authority.sign("client", CLIENT, NOW);
    let server = certified(&authority, "server", true);
    let combined = [authority.read("client.key"), authority.read("client.crt")].concat();
    authority.write("combined.pem", &combined);
    let apart = TlsOptions {
        client_cert: Some(authority.path("client.crt")),
        client_key: Some(authority.path("client.key")),
        ..trusting(&authority)
    };
    let together = TlsOptions { client_cert: Some(authority.path("combined.pem")), ..trusting(&authority) };
    for options in [&apart, &together] {
        assert_eq!(try_with(server.clone(), options).unwrap(), "hello");
    }

    let peer = Peer::https(server);
    let host = format!("localhost:{}", peer.port);
    let url = format!("https://{host}/");
    for (name, from) in [("a.cert", "client.crt"), ("a.key", "client.key"), ("a.crt", "ca.crt")] {
        authority.write(&format!("certs.d/{host}/{name}"), &authority.read(from));
    }
    let options = TlsOptions { certificate_directories: vec![authority.path("certs.d")], ..TlsOptions::default() };
    assert_eq!(get(for_registry(&host, &options).unwrap(), &url).unwrap(), "hello");

    for config in [for_others(&apart), for_registry(&host, &trusting(&authority))] {
        let config = config.unwrap();
        assert!(!config.host.client_auth_cert_resolver.has_certs());
        let (reason, hint) = reason_and_hint(get(config, &url));
        assert_eq!(reason, "the server wants a client certificate");
        assert!(hint.contains("--client-cert FILE and --client-key FILE"), "{hint}");
    }
}

#[test]
fn a_client_certificate_of_another_authority_is_refused_with_a_hint() {
    let (Some(authority), Some(other)) = (Authority::new(), Authority::new()) else { return };
    authority.sign("server", LOCALHOST, NOW);
    other.sign("client", CLIENT, NOW); // by an authority that has the name of the right one
    other.self_signed("stranger", CLIENT);
    for name in ["client", "stranger"] {
        let options = TlsOptions {
            client_cert: Some(other.path(&format!("{name}.crt"))),
            client_key: Some(other.path(&format!("{name}.key"))),
            ..trusting(&authority)
        };
        let (reason, hint) = reason_and_hint(try_with(certified(&authority, "server", true), &options));
        assert!(reason.starts_with("the server does not accept the client certificate"), "{name}: {reason}");
        assert!(hint.contains("--client-cert"), "{hint}");
    }
}

#[test]
fn a_server_without_tls_is_told_apart_from_one_that_fails() {
    let peer = Peer::start(|mut stream| {
        // as Go's server answers a hello it takes for a request
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request");
        let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
    });
    let config = for_others(&TlsOptions::default()).unwrap();
    let error = get(config.clone(), &format!("https://127.0.0.1:{}/", peer.port)).unwrap_err();
    assert!(is_plain_http(&error), "{error:?}");
    let (_, hint) = explain(&error).unwrap();
    assert!(hint.contains("--plain-http"), "{hint}");

    // one that hangs up says nothing about what it speaks
    let peer = Peer::start(drop);
    let error = get(config, &format!("https://127.0.0.1:{}/", peer.port)).unwrap_err();
    assert!(!is_plain_http(&error) && explain(&error).is_none(), "{error:?}");
}

#[test]
fn what_is_no_failure_of_tls_has_no_explanation() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = for_others(&TlsOptions::default()).unwrap();
    for url in [format!("https://127.0.0.1:{closed}/"), "nonsense://x".to_owned()] {
        let error = get(config.clone(), &url).unwrap_err();
        assert!(explain(&error).is_none() && !is_plain_http(&error), "{error:?}");
    }
}

#[test]
fn an_alert_after_the_handshake_is_found_in_the_body_s_error_too() {
    let alert = || rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
    let inner = std::io::Error::other(ureq::Error::Io(std::io::Error::other(alert())));
    for error in [
        ureq::Error::Io(std::io::Error::other(alert())),
        ureq::Error::Io(std::io::Error::other(std::io::Error::other(alert()))),
        ureq::Error::Other(Box::new(inner)),
    ] {
        assert_eq!(explain(&error).unwrap().0, "the server wants a client certificate", "{error:?}");
    }
}

#[test]
fn a_server_of_an_old_version_is_named_as_such() {
    for alert in [rustls::AlertDescription::ProtocolVersion, rustls::AlertDescription::InsufficientSecurity] {
        let error = std::io::Error::other(rustls::Error::AlertReceived(alert));
        let (reason, hint) = explain(&ureq::Error::Io(error)).unwrap();
        assert!(reason.contains("no version or cipher of TLS in common") && hint.contains("TLS 1.2"), "{reason}");
    }
}

#[test]
fn a_host_that_no_certificate_can_name_is_said() {
    let error = rustls::pki_types::ServerName::try_from("no host").unwrap_err();
    let (reason, _) = explain(&ureq::Error::Io(std::io::Error::other(error))).unwrap();
    assert_eq!(reason, "this host name cannot stand in a certificate");
}
