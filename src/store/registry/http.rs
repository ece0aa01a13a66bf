//! One HTTP exchange: a request goes out, an answer comes back. No redirects, no credentials, no second try.
//!
//! A body that is streamed is exact or the exchange fails: the HTTP library would wait for ever for bytes that a reader
//! does not have.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::http::header::{self, HeaderName, HeaderValue};
use ureq::http::{Method, Request as HttpRequest};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _};
use ureq::{Agent, SendBody};

use super::address::{Inside, Origin, Url};
use super::answer::Answer;
use super::limit::RateLimit;
use super::proxy::{self, Proxies};
use super::tls::{self, TlsConnector, TlsOptions};
use super::wire::{Addresses, LedInside, WireConnector};
use crate::blob::{CHUNK, Cancel};
use crate::store::StoreError;

const CONNECT: Duration = Duration::from_secs(10);
/// How long a peer may be silent.
const IDLE: Duration = Duration::from_secs(60);
/// How many times as long the head of an answer may take in all: one that consists of headers, or of notes that the answer is
/// to come, comes to its end as well.
const WHOLE_HEAD: u32 = 2;
/// How long it may be silent once it has all of a blob: it may hash and move it first.
const IDLE_AFTER_UPLOAD: Duration = Duration::from_secs(600);
/// How long to wait for a peer to say that it wants a body, before it is sent unasked.
const AWAIT_CONTINUE: Duration = Duration::from_secs(1);
/// From how many bytes on a peer is asked first whether it wants a body. It can then say why not, instead of closing the
/// connection in the middle.
const ASK_FIRST: u64 = 256 * 1024;
/// How large the headers of an answer may be in all, in bytes.
const LARGEST_HEADERS: usize = 256 * 1024;

/// What is sent.
pub(super) enum Body<'a> {
    None,
    Bytes(&'a [u8]),
    Stream { reader: &'a mut dyn Read, length: u64 },
}

/// A request.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body<'a>,
}

/// Why an exchange came to no answer.
#[derive(Debug)]
pub(super) enum ExchangeError {
    /// The body's own reader failed, which knows why.
    Body,
    /// The network or the peer failed: another try may succeed.
    Network {
        reason: String,
        hint: Option<String>,
        /// The peer speaks no TLS.
        plain: bool,
        /// No connection came about at all.
        unconnected: bool,
    },
    /// Another try would end the same way, such as a certificate that is not trusted.
    Lasting { reason: String, hint: Option<String> },
    /// The machine failed, or what the user gave cannot be used.
    Machine(StoreError),
}

/// Opens connections, one agent for each origin.
pub(super) struct Http {
    /// The registry as users write it: what the directories of certificates are called.
    registry: String,
    own: String,
    tls: TlsOptions,
    proxies: Proxies,
    limit: Option<Arc<RateLimit>>,
    cancel: Cancel,
    /// How long a peer may be silent.
    idle: Duration,
    agents: Mutex<HashMap<Origin, Agent>>,
}

impl Http {
    /// Prepares connections for a registry; `own` is the host it is reached at.
    pub(super) fn new(
        registry: &str,
        own: &str,
        tls: &TlsOptions,
        proxies: &Proxies,
        limit: Option<Arc<RateLimit>>,
        cancel: &Cancel,
    ) -> Self {
        let (registry, own, cancel) = (registry.to_owned(), own.to_owned(), cancel.clone());
        let (tls, proxies) = (tls.clone(), proxies.clone());
        Self { registry, own, tls, proxies, limit, cancel, idle: IDLE, agents: Mutex::default() }
    }

    fn agent(&self, origin: &Origin) -> Result<Agent, StoreError> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(origin) {
            return Ok(agent.clone());
        }
        // what identifies us goes to the registry itself and to nobody else
        let is_own = Origin::of_host(&self.own, origin.https).as_ref() == Some(origin);
        let proxy = self.proxies.proxy_for(origin.https, &origin.host, origin.port)?;
        let proxied = proxy.is_some();
        let setup = match (origin.https, is_own) {
            (true, true) => Some(tls::for_registry(&self.registry, &self.tls)?),
            (true, false) => Some(tls::for_others(&self.tls)?),
            // a proxy may be asked with TLS for what needs none
            (false, _) if proxied => Some(tls::for_others(&self.tls)?),
            (false, _) => None,
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_resolve(Some(CONNECT))
            .timeout_per_read(Some(IDLE))
            .timeout_per_write(Some(IDLE))
            .timeout_await_100(Some(AWAIT_CONTINUE))
            .max_response_header_size(LARGEST_HEADERS)
            .input_buffer_size(CHUNK)
            .output_buffer_size(CHUNK)
            .max_idle_connections(32)
            .max_idle_connections_per_host(16)
            .accept_encoding("identity") // the bytes are hashed as they come
            .user_agent(concat!("barge/", env!("CARGO_PKG_VERSION")))
            .proxy(proxy)
            .build();
        let mut addresses = Addresses::new(&self.cancel);
        let own = Origin::of_host(&self.own, origin.https);
        if let Some(own) = own.filter(|_| !is_own) {
            addresses = addresses.named_by(&own.host, own.port);
        }
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(WireConnector::new(addresses.clone()))
                .chain(TlsConnector::new(setup, proxied));
        let agent = Agent::with_parts(config, connector, addresses);
        agents.insert(origin.clone(), agent.clone());
        Ok(agent)
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) fn exchange(&self, request: Request<'_>) -> Result<Answer, ExchangeError> {
        let Request { method, url, headers, body } = request;
        self.refuse_link(&url.origin())?;
        let agent = self.agent(&url.origin()).map_err(ExchangeError::Machine)?;
        let mut builder = HttpRequest::builder().method(method.clone()).uri(url.uri().clone());
        let mut authorization = None;
        for (name, value) in headers {
            if name == header::AUTHORIZATION {
                authorization = Some(value.clone());
            }
            builder = builder.header(name, value);
        }
        let length = match &body {
            Body::None if matches!(method, Method::POST | Method::PUT | Method::PATCH) => Some(0),
            Body::None => None,
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Stream { length, .. } => Some(*length),
        };
        if let Some(length) = length {
            builder = builder.header("content-length", length);
        }
        let streamed = matches!(body, Body::Stream { .. });
        if streamed && length.is_some_and(|length| length >= ASK_FIRST) {
            builder = builder.header("expect", "100-continue");
        }
        let mut empty = io::empty();
        let mut slice: &[u8];
        let (source, size): (&mut dyn Read, u64) = match body {
            Body::None => (&mut empty, 0),
            Body::Bytes(bytes) => {
                slice = bytes;
                (&mut slice, bytes.len() as u64)
            }
            Body::Stream { reader, length } => (reader, length),
        };
        let mut exact = Exact { inner: source, left: size, failed: false, limit: self.limit.as_deref() };
        let idle = if streamed { IDLE_AFTER_UPLOAD } else { self.idle };
        let result = match length {
            None => send(&agent, builder.body(()), idle),
            Some(0) => send(&agent, builder.body(SendBody::none()), idle),
            Some(_) => send(&agent, builder.body(SendBody::from_reader(&mut exact)), idle),
        };
        match result {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let method = known_method(&method);
                let (status, headers) = (parts.status, parts.headers);
                Ok(Answer { method, url, authorization, status, headers, body: body.into_reader() })
            }
            Err(_) if exact.failed => Err(ExchangeError::Body),
            // whatever breaks then breaks because of that
            Err(_) if self.cancel.is_cancelled() => Err(ExchangeError::Machine(StoreError::Cancelled)),
            Err(error) => Err(explain(&url.origin(), agent.config().proxy(), &error, idle)),
        }
    }

    /// Refuses an address that is for a machine alone, unless the registry itself is named so. Others are looked at when they are
    /// connected to; behind a proxy it is the proxy that connects, and to it such an address is its own.
    fn refuse_link(&self, origin: &Origin) -> Result<(), ExchangeError> {
        let is_link = |address: &IpAddr| Inside::of(*address) == Some(Inside::Link);
        let Some(address) = origin.address().filter(is_link) else { return Ok(()) };
        if Origin::of_host(&self.own, origin.https).and_then(|own| own.address()).is_some_and(|own| is_link(&own)) {
            return Ok(());
        }
        let reason = format!("{origin}: {}", LedInside(address));
        Err(ExchangeError::Lasting { reason, hint: Some(LED_INSIDE.to_owned()) })
    }

    /// Slows the reading of a body down to what the user allows.
    pub(super) fn limit(&self) -> Option<&RateLimit> {
        self.limit.as_deref()
    }
}

fn send<B: ureq::AsSendBody>(
    agent: &Agent,
    request: Result<HttpRequest<B>, ureq::http::Error>,
    idle: Duration,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let request = agent.configure_request(request.map_err(ureq::Error::Http)?);
    agent.run(request.timeout_per_read(Some(idle)).timeout_recv_response(Some(idle * WHOLE_HEAD)).build())
}

const fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "GET",
    }
}

/// A body of exactly so many bytes. What goes wrong with it is remembered, because the HTTP library reports it as its own.
struct Exact<'a> {
    inner: &'a mut dyn Read,
    left: u64,
    failed: bool,
    limit: Option<&'a RateLimit>,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at_once = self.limit.map_or(usize::MAX, RateLimit::at_once);
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)).min(at_once);
        if room == 0 {
            return Ok(0);
        }
        let count = loop {
            match self.inner.read(&mut buffer[..room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
                Ok(0) => {
                    self.failed = true;
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(count) => break count,
            }
        };
        self.left -= count as u64;
        if let Some(limit) = self.limit {
            limit.pay(count as u64);
        }
        Ok(count)
    }
}

/// Says what an error of the HTTP library means to a person, and whether another try could help.
fn explain(origin: &Origin, proxy: Option<&ureq::Proxy>, error: &ureq::Error, idle: Duration) -> ExchangeError {
    let plain = tls::is_plain_http(error);
    if let Some((reason, hint)) = proxy::explain(error) {
        let reason = format!("{origin}: {reason}");
        return ExchangeError::Network { reason, hint: Some(hint), plain: false, unconnected: true };
    }
    if let Some((reason, hint)) = tls::explain(error) {
        let reason = format!("{origin}: {reason}");
        if plain {
            return ExchangeError::Network { reason, hint: Some(hint), plain, unconnected: false };
        }
        return ExchangeError::Lasting { reason, hint: Some(hint) };
    }
    let unconnected = |error: &ureq::Error| match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::ConnectProxyFailed(_) => true,
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused || is_unresolved(error),
        _ => false,
    };
    if let Some(proxy) = proxy.filter(|_| unconnected(error)) {
        let reason = format!("{origin}: its proxy {}:{} cannot be reached: {error}", proxy.host(), proxy.port());
        let hint = "check HTTPS_PROXY and HTTP_PROXY; if the registry needs no proxy, name its host in NO_PROXY";
        return ExchangeError::Network { reason, hint: Some(hint.to_owned()), plain: false, unconnected: true };
    }
    let (reason, hint) = match error {
        ureq::Error::HostNotFound => (NO_HOST.to_owned(), Some(CHECK_NAME)),
        ureq::Error::Io(error) if is_unresolved(error) => (format!("{NO_HOST} ({error})"), Some(CHECK_NAME)),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            let hint = "check the name and the port, and that a proxy is set (HTTPS_PROXY) where one is needed";
            (format!("no connection within {} seconds", CONNECT.as_secs()), Some(hint))
        }
        ureq::Error::Timeout(ureq::Timeout::PerWrite) => {
            (format!("nothing was taken for {} seconds", IDLE.as_secs()), None)
        }
        ureq::Error::Timeout(ureq::Timeout::RecvResponse) => {
            (format!("no answer was complete within {} seconds", (idle * WHOLE_HEAD).as_secs()), None)
        }
        ureq::Error::Timeout(_) => (format!("nothing came for {} seconds", idle.as_secs()), None),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            ("the connection was refused".to_owned(), Some("check the host and the port, and that the registry runs"))
        }
        ureq::Error::Io(error) if is_led_inside(error) => (error.to_string(), Some(LED_INSIDE)),
        ureq::Error::Io(error) if is_cut(error) => ("the connection was cut".to_owned(), None),
        ureq::Error::Io(error) => (error.to_string(), None),
        ureq::Error::LargeResponseHeader(..) => ("its headers are too large".to_owned(), None),
        other => (crate::text::escaped(&other.to_string()), None),
    };
    let (reason, hint) = (format!("{origin}: {reason}"), hint.map(str::to_owned));
    match error {
        ureq::Error::Io(error) if is_led_inside(error) => ExchangeError::Lasting { reason, hint },
        ureq::Error::LargeResponseHeader(..) | ureq::Error::Protocol(_) | ureq::Error::Http(_) => {
            ExchangeError::Lasting { reason, hint }
        }
        _ => ExchangeError::Network { reason, hint, plain, unconnected: unconnected(error) },
    }
}

const LED_INSIDE: &str = "the registry sends us there: this is for those to mend who run it";
const NO_HOST: &str = "no host of that name is found";
const CHECK_NAME: &str = "check the name, and the network; a proxy (HTTPS_PROXY) may be needed";

/// Returns whether a name has no address. The standard library has no kind for it, but these words (library/std,
/// sys/net/connection/socket/unix.rs, `cvt_gai`).
fn is_unresolved(error: &io::Error) -> bool {
    error.to_string().starts_with("failed to lookup address information")
}

/// Returns whether a host was not asked because of where it is.
fn is_led_inside(error: &io::Error) -> bool {
    error.get_ref().and_then(|error| error.downcast_ref::<LedInside>()).is_some()
}

/// Returns whether the peer ended a connection in the middle.
fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn an_answer_that_is_always_to_come_comes_to_an_end() {
        for piece in ["HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 102 Processing\r\nX: y\r\n\r\n"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let host = listener.local_addr().unwrap().to_string();
            let peer = thread::spawn(move || {
                let mut stream = listener.accept().unwrap().0;
                while stream.write_all(piece.as_bytes()).is_ok() {
                    thread::sleep(Duration::from_millis(5));
                }
            });
            let http = Http::new(&host, &host, &TlsOptions::default(), &Proxies::default(), None, &Cancel::default());
            let http = Http { idle: Duration::from_millis(500), ..http };
            let url = Origin::of_host(&host, false).unwrap().url("/v2/").unwrap();
            let request = Request { method: Method::GET, url, headers: Vec::new(), body: Body::None };
            let error = http.exchange(request).unwrap_err();
            let ExchangeError::Network { reason, .. } = error else { panic!("{error:?}") };
            // a machine with a lot else to do may let the peer be silent
            assert!(reason.contains("no answer was complete") || reason.contains("nothing came"), "{reason}");
            peer.join().unwrap();
        }
    }

    #[test]
    fn what_a_registry_names_is_not_looked_for_inside() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        for (own, asked, refused) in [
            // an address that nobody has (RFC 5737): there is nothing to look up
            ("192.0.2.1:443", format!("127.0.0.1:{}", here.port()), true),
            ("192.0.2.1:443", format!("localhost:{}", here.port()), true),
            ("192.0.2.1:443", format!("2130706433:{}", here.port()), true),
            ("192.0.2.1:443", "169.254.169.254".to_owned(), true),
            ("127.0.0.1:5000", "169.254.169.254".to_owned(), true),
            ("10.0.0.1:5000", format!("127.0.0.1:{}", here.port()), true),
            ("127.0.0.1:5000", format!("localhost:{}", here.port()), false),
        ] {
            let http = Http::new(own, own, &TlsOptions::default(), &Proxies::default(), None, &Cancel::default());
            let http = Http { idle: Duration::from_millis(300), ..http };
            let url = Origin::of_host(&asked, false).unwrap().url("/").unwrap();
            let request = Request { method: Method::GET, url, headers: Vec::new(), body: Body::None };
            let error = http.exchange(request).unwrap_err();
            let is_refusal = matches!(&error, ExchangeError::Lasting { reason, .. } if reason.contains("inside"));
            assert_eq!(is_refusal, refused, "{asked} from {own}: {error:?}");
            assert_eq!(listener.accept().is_err(), refused, "{asked} from {own}");
        }
    }
}
