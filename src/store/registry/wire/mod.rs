//! Connections whose waits hear a request to stop, and the addresses that they lead to.
//!
//! A peer may be silent for a minute before it is given up. Whoever presses Ctrl-C does not wait for that: every wait is cut
//! into steps, and between two of them the request to stop is looked at. Where the system offers no such steps, as for the
//! look-up of a name, a thread waits instead, and is left to itself.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::Duration as Allowed;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

use super::address::Inside;
use crate::blob::Cancel;

/// How long a wait is deaf.
const STEP: Duration = Duration::from_millis(250);
/// How long an address is good for. The HTTP library asks for it before every request.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many bytes have to come in the time that a peer may be silent. One that gives a byte now and then is as good as silent.
const LEAST: usize = 4 * 1024;
/// How many addresses of a host are tried.
const MOST_ADDRESSES: usize = 8;

/// The error of a wait that was told to stop.
fn stopped() -> Error {
    Error::Io(io::Error::other("it was interrupted"))
}

/// Returns how long something may take; `None` is for ever.
fn allowed(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    match timeout.after {
        Allowed::NotHappening => Ok(None),
        Allowed::Exact(time) if time.is_zero() => Err(Error::Timeout(timeout.reason)),
        Allowed::Exact(time) => Ok(Some(time)),
    }
}

/// Waits for work that cannot be interrupted, in a thread of its own. `None` when there is no time left.
fn in_time<T: Send + 'static>(
    time: Option<Duration>,
    cancel: &Cancel,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, Error> {
    let (done, result) = sync_channel(1);
    let began = Instant::now();
    // who waits may be gone by then
    thread::Builder::new().spawn(move || drop(done.send(work())))?;
    loop {
        if cancel.is_cancelled() {
            return Err(stopped());
        }
        let left = time.map_or(STEP, |time| time.saturating_sub(began.elapsed()).min(STEP));
        match result.recv_timeout(left) {
            Ok(result) => return Ok(Some(result)),
            Err(RecvTimeoutError::Timeout) if time.is_none_or(|time| began.elapsed() < time) => {}
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => return Err(Error::ConnectionFailed),
        }
    }
}

/// The addresses of hosts, each asked for once in a while.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    cancel: Cancel,
    known: Arc<Mutex<HashMap<String, Known>>>,
    /// The host and port of the registry that names the hosts that are looked for; none where that is itself.
    named_by: Option<(String, u16)>,
}

/// The error of a host that is inside of something where the registry that names it is not.
#[derive(Debug)]
pub(super) struct LedInside(pub(super) IpAddr);

impl fmt::Display for LedInside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is at {}, an address inside of a machine or a network in which the registry is not", self.0)
    }
}

impl std::error::Error for LedInside {}

#[derive(Clone, Debug)]
struct Known {
    since: Instant,
    addresses: Vec<SocketAddr>,
}

impl Addresses {
    pub(super) fn new(cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), known: Arc::default(), named_by: None }
    }

    /// Looks for hosts that a registry names. It may be anybody's: what is inside of this machine, or of a network where the
    /// registry itself is not, is not asked for it.
    pub(super) fn named_by(self, host: &str, port: u16) -> Self {
        Self { named_by: Some((host.to_owned(), port)), ..self }
    }

    /// Leaves of some addresses those that may be connected to.
    fn open(&self, mut found: Vec<SocketAddr>, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
        let Some((host, port)) = &self.named_by else { return Ok(found) };
        let inside = |address: &SocketAddr| Inside::of(address.ip());
        let Some(first) = found.iter().copied().find(|address| inside(address).is_some()) else { return Ok(found) };
        // where it cannot be told where the registry is, it counts as outside
        let own: Vec<Inside> = self.find(host, *port, timeout).iter().flatten().filter_map(inside).collect();
        found.retain(|address| inside(address).is_none_or(|inside| inside.is_open_from(&own)));
        if found.is_empty() { Err(Error::Io(io::Error::other(LedInside(first.ip())))) } else { Ok(found) }
    }

    fn find(&self, host: &str, port: u16, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let key = format!("{host}:{port}");
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known.filter(|known| known.since.elapsed() < REMEMBERED) {
            return Ok(known.addresses);
        }
        let asked = key.clone();
        let found = in_time(allowed(timeout)?, &self.cancel, move || asked.to_socket_addrs())?;
        let found = found.ok_or(Error::Timeout(timeout.reason))??;
        let addresses: Vec<_> = found.take(MOST_ADDRESSES).collect();
        let known = Known { since: Instant::now(), addresses: addresses.clone() };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, known);
        Ok(addresses)
    }

    /// Takes note that nobody was found at what is known: the next try asks again.
    fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut addresses = self.empty();
        for address in self.open(self.find(host, port, timeout)?, timeout)? {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// Opens TCP connections.
#[derive(Debug)]
pub(super) struct WireConnector {
    addresses: Addresses,
}

impl WireConnector {
    pub(super) const fn new(addresses: Addresses) -> Self {
        Self { addresses }
    }

    fn open(&self, addresses: &[SocketAddr], time: Option<Duration>) -> Result<TcpStream, Error> {
        let began = Instant::now();
        let mut last = Error::ConnectionFailed;
        for (at, address) in addresses.iter().copied().enumerate() {
            let left = time.map(|time| time.saturating_sub(began.elapsed()));
            // one that does not answer leaves something for those behind it
            let share = if at + 1 < addresses.len() { left.map(|left| left / 2) } else { left };
            let connect = move || match share {
                Some(share) => TcpStream::connect_timeout(&address, share.max(Duration::from_millis(1))),
                None => TcpStream::connect(address),
            };
            // the thread has its own end; what is waited for besides is that it says so
            match in_time(share.map(|share| share + STEP), &self.addresses.cancel, connect)? {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) if !matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                    last = Error::Io(error);
                }
                _ => last = Error::Timeout(Timeout::Connect),
            }
        }
        Err(last)
    }
}

impl<In: Transport> Connector<In> for WireConnector {
    type Out = Either<In, Wire>;

    fn connect(&self, details: &ConnectionDetails<'_>, before: Option<In>) -> Result<Option<Self::Out>, Error> {
        // the tunnel of a proxy is a way already
        if let Some(before) = before {
            return Ok(Some(Either::A(before)));
        }
        let stream = self.open(&details.addrs, allowed(details.timeout)?).inspect_err(|_| self.addresses.forget())?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Wire::new(stream, buffers, self.addresses.cancel.clone())?)))
    }
}

/// A TCP connection.
pub(super) struct Wire {
    stream: TcpStream,
    buffers: LazyBuffers,
    cancel: Cancel,
    trickle: Option<Trickle>,
}

/// What has come since something was sent, or since enough had come; none as long as nothing has.
#[derive(Clone, Copy, Debug, Default)]
struct Trickle {
    bytes: usize,
    /// For how long it was waited for.
    waited: Duration,
}

impl Wire {
    fn new(stream: TcpStream, buffers: LazyBuffers, cancel: Cancel) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STEP))?;
        stream.set_write_timeout(Some(STEP))?;
        Ok(Self { stream, buffers, cancel, trickle: None })
    }
}

/// Decides after a read or a write that came to nothing whether to wait on.
fn wait_on(
    error: io::Error,
    since: Instant,
    time: Option<Duration>,
    reason: Timeout,
    cancel: &Cancel,
) -> Result<(), Error> {
    if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) {
        return Err(Error::Io(error));
    }
    if cancel.is_cancelled() {
        return Err(stopped());
    }
    if time.is_some_and(|time| since.elapsed() >= time) {
        return Err(Error::Timeout(reason));
    }
    Ok(())
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        let time = allowed(timeout)?;
        // for the answer to this it is waited anew
        self.trickle = None;
        let mut rest = &self.buffers.output()[..amount];
        let mut since = Instant::now();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(count) => {
                    rest = &rest[count..];
                    since = Instant::now();
                }
                Err(error) => wait_on(error, since, time, timeout.reason, &self.cancel)?,
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        let time = allowed(timeout)?;
        let since = Instant::now();
        // how long an answer may be thought about is one thing, how slowly it may come is another
        let time = time.map(|time| time.saturating_sub(self.trickle.unwrap_or_default().waited));
        if time == Some(Duration::ZERO) {
            return Err(Error::Timeout(timeout.reason));
        }
        loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(count) => {
                    self.buffers.input_appended(count);
                    self.trickle = Some(match self.trickle {
                        Some(Trickle { bytes, waited }) if bytes + count < LEAST => {
                            Trickle { bytes: bytes + count, waited: waited + since.elapsed() }
                        }
                        Some(_) => Trickle::default(),
                        None => Trickle { bytes: count, waited: Duration::ZERO },
                    });
                    return Ok(count > 0);
                }
                Err(error) => wait_on(error, since, time, timeout.reason, &self.cancel)?,
            }
        }
    }

    /// A connection that is idle has nothing to say: bytes mean that the peer is at odds with us.
    fn is_open(&mut self) -> bool {
        let silent = self.stream.set_nonblocking(true).is_ok()
            && self.stream.peek(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).is_ok() && silent
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("peer", &self.stream.peer_addr().ok()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
