//! What is shown of itself: certificates, and numbers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{Limits, PATIENCE, Running, options, text};
use crate::error::Class;
use crate::ops::serve::answer::Answer;
use crate::ops::serve::server::tls;
use crate::store::registry::tls::tests::authority::{Authority, LOCALHOST, NOW};

fn with_tls(authority: &Authority, limits: Limits) -> Running {
    let mut options = options();
    options.tls = Some((authority.path("server.crt"), authority.path("server.key")));
    Running::start_with(options, limits, |_| Answer::of(StatusCode::OK, "text/plain", vec![b'x'; 3_000_000]))
}

fn trusting(authority: &Authority, running: &Running, protocols: &[&[u8]]) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&authority.read("ca.crt")).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(running.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

#[test]
fn over_tls_an_answer_comes_whole() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("server", LOCALHOST, NOW);
    let running = with_tls(&authority, Limits::default());
    for protocols in [&[] as &[&[u8]], &[b"h2", b"http/1.1"]] {
        let mut stream = trusting(&authority, &running, protocols);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        // an orderly end: a connection that is only dropped is an error here
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(&[b'x'; 3_000_000]));
        assert_eq!(stream.conn.alpn_protocol(), (!protocols.is_empty()).then_some(b"http/1.1" as &[u8]));
    }
    assert!(running.told(2).iter().all(|told| !told.cut && told.bytes == 3_000_000));
}

#[test]
fn who_speaks_no_tls_is_told_and_who_says_nothing_is_cut() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("server", LOCALHOST, NOW);
    let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
    let running = with_tls(&authority, limits);
    let mut silent = running.connect();
    let reply = running.connect().get("/v2/");
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (
            400,
            r#"{"errors":[{"code":"UNSUPPORTED","message":"this port speaks TLS: ask for https:// instead of http://"}]}"#
        )
    );
    let mut garbage = running.connect();
    garbage.send(b"\x16\x03\x01 no handshake at all, only something of the same beginning");
    garbage.rest();
    let began = Instant::now();
    assert!(silent.rest().0.is_empty());
    assert!(began.elapsed() < Duration::from_secs(2));
    trusting(&authority, &running, &[]).write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
}

#[test]
fn files_for_tls_that_cannot_be_used_are_named_with_what_to_do() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("server", LOCALHOST, NOW);
    authority.sign("other", LOCALHOST, NOW);
    authority.openssl("x509 -in server.crt -outform DER -out server.der");
    authority.openssl("pkcs8 -topk8 -in server.key -passout pass:x -out locked.key");
    authority.openssl("ec -in server.key -out sec1.key");
    authority.openssl(&format!("req -x509 -config ca.cnf -newkey rsa:2048 -nodes -subj /CN=rsa -keyout rsa.key -out rsa.crt -addext {LOCALHOST}"));
    authority.openssl("rsa -in rsa.key -traditional -out pkcs1.key");
    for (certificate, key) in [("server.crt", "server.key"), ("server.crt", "sec1.key"), ("rsa.crt", "pkcs1.key")] {
        tls::acceptor(&authority.path(certificate), &authority.path(key)).unwrap();
    }
    for (certificate, key, named, cause, hint) in [
        ("none.crt", "server.key", "none.crt", "No such file", ""),
        ("server.crt", "none.key", "none.key", "No such file", ""),
        ("server.crt", "other.key", "other.key", "the key is not that of the first certificate", ""),
        ("server.der", "server.key", "server.der", "it is DER", "openssl x509 -inform DER"),
        ("server.crt", "locked.key", "locked.key", "its private key is encrypted", "without a password"),
        ("server.crt", "server.crt", "server.crt", "it holds a certificate, and no private key", "--tls-key FILE"),
    ] {
        let error = tls::acceptor(&authority.path(certificate), &authority.path(key)).err().unwrap();
        let absent = cause == "No such file";
        assert_eq!(error.class(), if absent { Class::Absent } else { Class::Content }, "{certificate} {key}");
        let path: PathBuf = authority.path(named);
        assert_eq!(error.to_string(), format!("cannot use {} for TLS", path.display()));
        assert!(error.causes()[0].starts_with(cause), "{:?}", error.causes());
        assert!(error.hint().unwrap_or_default().contains(hint), "{:?}", error.hint());
    }
}

/// A line of metrics: name, labels, value.
fn parsed(line: &str) -> (&str, &str, f64) {
    let (name, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) =
        name.split_once('{').map_or((name, ""), |(name, labels)| (name, labels.strip_suffix('}').unwrap()));
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    assert!(name.bytes().all(letters) && name.starts_with("barge_"), "{line}");
    (name, labels, value.parse().unwrap())
}

#[test]
fn numbers_are_what_prometheus_reads() {
    let running = Running::start(|request| match request.path {
        "/" => text("four"),
        _ => Answer::of(StatusCode::NOT_FOUND, "text/plain", "no"),
    });
    let mut client = running.connect();
    client.get("/");
    client.get("/");
    client.get("/else");
    for method in ["HEAD", "BREW", "SPELL"] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        client.head_of_reply();
        if method != "HEAD" {
            client.reader.read_exact(&mut [0; 4]).unwrap();
        }
    }
    running.told(6);
    let reply = client.get("/metrics");
    assert_eq!(reply.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = reply.text();
    assert!(text.ends_with('\n') && !text.contains("\n\n"));
    let mut kinds = std::collections::BTreeMap::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(kinds.insert(name, kind), None, "{name} stands there twice");
            assert!(text.contains(&format!("# HELP {name} ")));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        } else if !line.starts_with("# ") {
            let (name, ..) = parsed(line);
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(kinds.contains_key(family), "{line} before its type");
        }
    }
    let value = |name: &str, labels: &str| {
        let found = text.lines().filter(|line| !line.starts_with('#')).map(parsed);
        found.clone().find(|found| found.0 == name && found.1 == labels).map(|found| found.2)
    };
    for (name, labels, expected) in [
        ("barge_requests_total", "method=\"GET\",status=\"200\"", 2.0),
        ("barge_requests_total", "method=\"GET\",status=\"404\"", 1.0),
        ("barge_requests_total", "method=\"HEAD\",status=\"200\"", 1.0),
        ("barge_requests_total", "method=\"other\",status=\"200\"", 2.0),
        ("barge_sent_bytes_total", "", 18.0),
        ("barge_connections", "", 1.0),
        ("barge_requests_in_flight", "", 1.0),
        ("barge_request_duration_seconds_bucket", "le=\"+Inf\"", 6.0),
        ("barge_request_duration_seconds_bucket", "le=\"1800\"", 6.0),
        ("barge_request_duration_seconds_count", "", 6.0),
    ] {
        assert_eq!(value(name, labels), Some(expected), "{name} {labels}\n{text}");
    }
}
