//! TLS for those who connect: the certificate that is shown to them, and what is said to those who speak without.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::sign::SingleCertAndKey;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::Class;
use crate::ops::Error;
use crate::store::registry::tls::server_identity;
use crate::text::escaped;

/// The first byte of TLS: a record of the handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// What is answered to HTTP without TLS, in the form that docker shows.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 105\r\n\
    Connection: close\r\n\r\n\
    {\"errors\":[{\"code\":\"UNSUPPORTED\",\"message\":\"this port speaks TLS: ask for https:// instead of http://\"}]}";

/// Reads the certificate chain and the key.
///
/// # Errors
/// When they cannot be read, or do not belong together.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let identity = server_identity(certificate, key, "--tls-key").map_err(|unusable| Error::Setup {
        class: unusable.class,
        message: format!("cannot use {} for TLS", escaped(&unusable.path.to_string_lossy())),
        cause: Some(unusable.reason),
        hint: unusable.hint,
    })?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Setup {
            class: Class::Machine,
            message: "cannot set up TLS".to_owned(),
            cause: Some(error.to_string()),
            hint: None,
        })?;
    let identity = Arc::new(SingleCertAndKey::from(identity));
    let mut config = config.with_no_client_auth().with_cert_resolver(identity);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Sets up TLS with who connected; `None` when they speak HTTP without it, and were told.
pub(super) async fn accept(acceptor: &TlsAcceptor, mut stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first[0] == HANDSHAKE {
        return acceptor.accept(stream).await.map(Some);
    }
    if first[0].is_ascii_uppercase() {
        stream.write_all(PLAIN).await?;
        stream.shutdown().await?;
        // until the other side has closed, or the time for this is over: else it may lose the answer
        let mut space = [0; 1024];
        for _ in 0..64 {
            stream.readable().await?;
            match stream.try_read(&mut space) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}
