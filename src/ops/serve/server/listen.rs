//! The way in: takes connections, as many as there is room for, until it is asked to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::auth::Auth;
use super::connection::{Connection, Phase};
use super::either::either;
use super::exchange::Server;
use super::limits::Limits;
use super::metrics::Metrics;
use super::tls;
use super::verified::Verified;
use crate::blob::Cancel;
use crate::error::Class;
use crate::ops::Error;
use crate::ops::serve::ServeOptions;
use crate::ops::serve::answer::Respond;
use crate::ops::serve::event::{Event, Listening, Observer, Offered};

/// How many threads may wait for the disk.
const BLOCKING_THREADS: usize = 64;

/// How many connections the system holds until they are accepted.
const BACKLOG: u32 = 1024;

/// How often it is looked whether to stop.
const STEP: Duration = Duration::from_millis(50);

/// How long what a thread is doing with the disk may hold up the end.
const LAST_READS: Duration = Duration::from_secs(2);

/// How long the same trouble is not told again.
const QUIET: Duration = Duration::from_secs(60);

/// Serves until it is asked to stop; then answers that are under way may end, as long as the options say.
///
/// # Errors
/// When the files for TLS or the passwords cannot be used, or the address not be taken.
pub(in crate::ops::serve) fn run(
    options: &ServeOptions,
    respond: Arc<dyn Respond>,
    observer: Arc<dyn Observer>,
    offered: Offered,
    cancel: &Cancel,
) -> Result<(), Error> {
    run_within(&Limits::default(), options, respond, observer, offered, cancel)
}

/// Serves within some limits.
pub(super) fn run_within(
    limits: &Limits,
    options: &ServeOptions,
    respond: Arc<dyn Respond>,
    observer: Arc<dyn Observer>,
    offered: Offered,
    cancel: &Cancel,
) -> Result<(), Error> {
    let cores = available_parallelism().map_or(1, usize::from);
    let acceptor = match &options.tls {
        Some((certificate, key)) => Some(tls::acceptor(certificate, key)?),
        None => None,
    };
    let auth = match &options.htpasswd {
        Some(path) => Some(Arc::new(Auth::open(path, cores, &observer)?)),
        None => None,
    };
    let metrics = Arc::new(Metrics::default());
    let working = cancel.child();
    let server = Arc::new(Server {
        verified: Arc::new(Verified::new(cores, &working, &observer, &metrics)),
        respond,
        observer,
        metrics,
        auth,
        pool: Arc::default(),
    });
    let runtime = runtime(cores)?;
    let served = runtime.block_on(async {
        let listener = bind(options.listen)?;
        let address = listener.local_addr().map_err(|error| cannot_listen(options.listen, &error))?;
        let connections = room_for(options.connections, server.observer.as_ref());
        server.observer.hear(Event::Listening(&Listening { address, tls: acceptor.is_some(), offered }));
        let room = Arc::new(Semaphore::new(connections));
        let (phase, _) = watch::channel(Phase::Serving);
        let taking = Taking { listener, room: Arc::clone(&room), server, limits: Arc::new(limits.clone()), acceptor };
        either(taking.take(&phase), asked_to_stop(cancel)).await;
        // the listener is closed with it: who comes now is refused
        drop(taking);
        phase.send_replace(Phase::Ending);
        let all = u32::try_from(connections).unwrap_or(u32::MAX);
        if timeout(options.grace, room.acquire_many(all)).await.is_err() {
            phase.send_replace(Phase::Cut);
            let _ = timeout(STEP, room.acquire_many(all)).await;
        }
        Ok(())
    });
    working.cancel();
    runtime.shutdown_timeout(LAST_READS);
    served
}

/// What connections are made of.
struct Taking {
    listener: TcpListener,
    room: Arc<Semaphore>,
    server: Arc<Server>,
    limits: Arc<Limits>,
    acceptor: Option<TlsAcceptor>,
}

impl Taking {
    /// Takes connections for ever.
    async fn take(&self, phase: &watch::Sender<Phase>) -> std::convert::Infallible {
        let mut told: Option<Instant> = None;
        loop {
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { std::future::pending().await };
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let connection = Connection {
                        stream,
                        peer,
                        server: Arc::clone(&self.server),
                        limits: Arc::clone(&self.limits),
                        tls: self.acceptor.clone(),
                        phase: phase.subscribe(),
                    };
                    tokio::spawn(async move {
                        connection.run().await;
                        drop(room);
                    });
                }
                // it was given up by the other side before it was taken
                Err(error) if is_of_the_other_side(&error) => {}
                Err(error) => {
                    if told.is_none_or(|told| told.elapsed() > QUIET) {
                        told = Some(Instant::now());
                        self.server.observer.hear(Event::Warning(&format!("cannot take a connection: {error}")));
                    }
                    sleep(self.limits.pause).await;
                }
            }
        }
    }
}

fn is_of_the_other_side(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn asked_to_stop(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        sleep(STEP).await;
    }
}

fn runtime(cores: usize) -> Result<Runtime, Error> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(cores).max_blocking_threads(BLOCKING_THREADS + cores).enable_all().thread_name("serve");
    builder.build().map_err(|error| Error::Setup {
        class: Class::Machine,
        message: "cannot serve: no threads can be started".to_owned(),
        cause: Some(error.to_string()),
        hint: None,
    })
}

fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // as every server does: else the address is taken for a minute after the one before has ended
        socket.set_reuseaddr(true)?;
        // connections have it from their listener
        socket.set_keepalive(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|error| cannot_listen(address, &error))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there: choose another port with --listen",
        io::ErrorKind::PermissionDenied => "ports below 1024 are root's: choose a higher one with --listen",
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address: give one of its own with --listen, or 0.0.0.0 for all of them"
        }
        _ => "choose another address with --listen",
    };
    Error::Setup {
        class: Class::Machine,
        message: format!("cannot listen on {address}"),
        cause: Some(error.to_string()),
        hint: Some(hint.to_owned()),
    }
}

/// Returns how many connections there is room for: each needs an open file for itself, and one for what it is sent. What
/// this process may open is raised for it as far as is allowed.
fn room_for(wanted: usize, observer: &dyn Observer) -> usize {
    const OTHERS: u64 = 128;
    let wanted = wanted.clamp(1, Semaphore::MAX_PERMITS.min(1 << 20));
    let needed = wanted as u64 * 2 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(mut files) = current else { return wanted };
    if files < needed {
        let raised = maximum.map_or(needed, |maximum| maximum.min(needed));
        if raised > files && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok() {
            files = raised;
        }
    }
    let room = files.saturating_sub(OTHERS) / 2;
    let room = usize::try_from(room).unwrap_or(usize::MAX).clamp(1, wanted);
    if room < wanted {
        let warning = format!("only {room} connections are held at once: {files} files may be open (ulimit -n)");
        observer.hear(Event::Warning(&warning));
    }
    room
}
