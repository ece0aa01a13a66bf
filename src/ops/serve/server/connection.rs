//! One connection: TLS if it is wanted, then HTTP/1.1, until it ends or is cut.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::either::{Either, either};
use super::exchange::Server;
use super::limits::{BUFFER, Limits, MOST_FIELDS};
use super::record::Pulse;
use super::stall::Watched;
use super::tls;

/// How long a connection without an answer under way has left when serving ends: enough for a request that is just coming.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// How far serving has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It goes on.
    Serving,
    /// Answers that are under way may end.
    Ending,
    /// Everything is cut.
    Cut,
}

/// A connection that was accepted.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) server: Arc<Server>,
    pub(super) limits: Arc<Limits>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) phase: watch::Receiver<Phase>,
}

impl Connection {
    /// Answers the requests that come over it.
    pub(super) async fn run(self) {
        let Self { stream, peer, server, limits, tls, mut phase } = self;
        let metrics = Arc::clone(&server.metrics);
        metrics.connection_begins();
        // it only makes small answers faster
        let _ = stream.set_nodelay(true);
        match tls {
            None => talk(stream, peer, server, &limits, phase).await,
            Some(acceptor) => {
                let ending = async { phase.wait_for(|phase| *phase != Phase::Serving).await.map(drop) };
                let handshake = timeout(limits.handshake, tls::accept(&acceptor, stream));
                if let Either::One(Ok(Ok(Some(stream)))) = either(handshake, ending).await {
                    talk(stream, peer, server, &limits, phase).await;
                }
            }
        }
        metrics.connection_ends();
    }
}

async fn talk<S>(
    stream: S,
    peer: SocketAddr,
    server: Arc<Server>,
    limits: &Arc<Limits>,
    mut phase: watch::Receiver<Phase>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let pulse = Arc::new(Pulse::default());
    let stream = TokioIo::new(Watched::new(stream, limits, &pulse));
    let service = {
        let pulse = Arc::clone(&pulse);
        service_fn(move |request| Arc::clone(&server).exchange(peer, Arc::clone(&pulse), request))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // counts from the end of the answer before: how long a head itself may take is watched below
        .header_read_timeout(limits.idle)
        .max_buf_size(BUFFER)
        .max_headers(MOST_FIELDS)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    // what goes wrong is the other side's doing, and what it asked for is told by its record
    if let Either::One(_) = either(connection.as_mut(), phase.wait_for(|phase| *phase != Phase::Serving)).await {
        return;
    }
    connection.as_mut().graceful_shutdown();
    if !pulse.is_busy() {
        match timeout(LAST_MOMENT, connection.as_mut()).await {
            Err(_) if pulse.is_busy() => {}
            _ => return,
        }
    }
    either(connection, phase.wait_for(|phase| *phase == Phase::Cut)).await;
}
