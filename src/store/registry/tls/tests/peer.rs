//! A server in this process, for a few connections: what TLS and proxies are tried against.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::authority::Authority;

/// No test needs longer; then the server ends by itself.
const LONGEST: Duration = Duration::from_secs(20);

/// A server that listens on 127.0.0.1 until it is dropped.
pub(in crate::store::registry) struct Peer {
    pub(in crate::store::registry) port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// Gives every connection to a function, one after the other.
    pub(in crate::store::registry) fn start(mut serve: impl FnMut(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = spawn(move || {
            let end = Instant::now() + LONGEST;
            while !stopped.load(Ordering::Relaxed) && Instant::now() < end {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
                        serve(stream);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(Duration::from_millis(5)),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Self { port, stop, thread: Some(thread) }
    }

    /// Answers HTTPS requests.
    pub(in crate::store::registry) fn https(config: ServerConfig) -> Self {
        let config = Arc::new(config);
        Self::start(move |stream| {
            let mut stream = tls(&config, stream);
            // a client that turned away has its reasons, and the test asks for them
            if !request(&mut stream).is_empty() {
                answer(&mut stream, "hello");
            }
            // what lies unread when a socket closes would cut off the alert that says why
            stream.conn.send_close_notify();
            let _ = stream.flush();
            let _ = stream.sock.shutdown(std::net::Shutdown::Write);
            let _ = stream.sock.read(&mut [0; 1024]);
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().unwrap();
        assert!(thread.join().is_ok() || std::thread::panicking(), "the server failed");
    }
}

/// Returns the server's configuration with a certificate of an authority; clients need one of the authority if so wished.
pub(in crate::store::registry) fn certified(authority: &Authority, name: &str, clients: bool) -> ServerConfig {
    let verifier = if clients { verifier(authority).build().unwrap() } else { WebPkiClientVerifier::no_client_auth() };
    of_verifier(authority, name, verifier)
}

/// The same, where clients are asked for a certificate and need none.
pub(in crate::store::registry) fn curious(authority: &Authority, name: &str) -> ServerConfig {
    of_verifier(authority, name, verifier(authority).allow_unauthenticated().build().unwrap())
}

fn verifier(authority: &Authority) -> ClientCertVerifierBuilder {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.path("ca.crt")).unwrap()).unwrap();
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
}

fn of_verifier(authority: &Authority, name: &str, verifier: Arc<dyn ClientCertVerifier>) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(authority.path(&format!("{name}.crt"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.path(&format!("{name}.key"))).unwrap();
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap()
}

/// Speaks TLS on a stream, which may be one itself.
pub(in crate::store::registry) fn tls<S: Read + Write>(
    config: &Arc<ServerConfig>,
    stream: S,
) -> StreamOwned<ServerConnection, S> {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream)
}

/// Reads a request up to its empty line; what came when the connection failed before.
pub(in crate::store::registry) fn request(stream: &mut impl Read) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") && read.len() < 64 * 1024 {
        match stream.read(&mut byte) {
            Ok(1) => read.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// Answers a request, and says that nothing follows.
pub(in crate::store::registry) fn answer(stream: &mut impl Write, body: &str) {
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.flush();
}
