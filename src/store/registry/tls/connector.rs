//! TLS over any connection: over that to a host, to a proxy, and over the tunnel that a proxy gives.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::TlsSetup;

/// Speaks TLS where the address says https. The HTTP library's own would check certificates in one way only, and show ours to
/// proxies.
#[derive(Debug)]
pub(in crate::store::registry) struct TlsConnector {
    setup: Option<TlsSetup>,
    proxied: bool,
}

impl TlsConnector {
    /// Speaks it in that way; none where no address on the way is https. `proxied` says whether a proxy is on the way.
    pub(in crate::store::registry) const fn new(setup: Option<TlsSetup>, proxied: bool) -> Self {
        Self { setup, proxied }
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails<'_>, below: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(below) = below else { return Ok(None) };
        let Some(setup) = self.setup.as_ref().filter(|_| details.needs_tls() && !below.is_tls()) else {
            return Ok(Some(Either::A(below)));
        };
        // the connection to a proxy itself is made with a configuration that has none
        let to_proxy = self.proxied && details.config.proxy().is_none();
        let config = Arc::clone(if to_proxy { &setup.proxy } else { &setup.host });
        let host = details.uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(other)?;
        let mut connection = ClientConnection::new(config, name).map_err(other)?;
        let mut below = TransportAdapter::new(below.boxed(), Arc::clone(&details.current_time));
        below.set_timeout(left(details));
        connection.complete_io(&mut below)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(connection, below) })))
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Io(io::Error::other(error))
}

/// Returns what is left of the time for a connection: the way below may have taken some of it.
fn left(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Duration::Exact(after), Instant::Exact(began), Instant::Exact(now)) =
        (timeout.after, details.now, (details.current_time)())
    {
        timeout.after = Duration::Exact(after.saturating_sub(now.saturating_duration_since(began)));
    }
    timeout
}

/// A connection that speaks TLS.
pub(in crate::store::registry) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let count = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").field("below", &self.stream.sock.get_ref()).finish_non_exhaustive()
    }
}
