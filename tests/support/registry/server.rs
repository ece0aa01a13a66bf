//! The listener and its connections: a thread each, and all of them end when the registry is dropped.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::Options;
use super::auth::{self, Tokens};
use super::log::{Entry, Log, lock};
use super::routes::Target;
use super::script::{Answer, Effects, Script};
use super::send::{Then, send, spoil};
use super::store::Store;
use super::token::{self, TokenRequest};
use super::wire::{Body, Framing, NoRequest, Request, Wire};

/// A peer that is silent for so long is given up, so that nothing hangs for ever.
const SILENCE: Duration = Duration::from_secs(20);
/// How long a connection that is to be closed waits for the other side to close it first.
const LINGER: Duration = Duration::from_secs(2);
/// How long after an answer that came too early the connection is reset.
const EARLY: Duration = Duration::from_millis(100);

/// What all the connections share.
pub struct Server {
    pub options: Options,
    /// `127.0.0.1:PORT`.
    pub host: String,
    pub store: Arc<Mutex<Store>>,
    pub log: Log,
    pub script: Mutex<Script>,
    pub tokens: Mutex<Tokens>,
    pub token_log: Mutex<Vec<TokenRequest>>,
    pub closing: AtomicBool,
    open: Mutex<HashMap<usize, Arc<TcpStream>>>,
}

impl Server {
    pub fn new(options: Options, host: String, store: Arc<Mutex<Store>>) -> Self {
        Self {
            options,
            host,
            store,
            log: Log::default(),
            script: Mutex::default(),
            tokens: Mutex::default(),
            token_log: Mutex::default(),
            closing: AtomicBool::new(false),
            open: Mutex::default(),
        }
    }

    /// Takes connections until the registry is dropped.
    pub fn listen(&self, listener: &TcpListener) {
        thread::scope(|scope| {
            for connection in 0.. {
                let stream = listener.accept();
                if self.closing.load(Ordering::SeqCst) {
                    break;
                }
                let Ok((stream, _)) = stream else {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                };
                let stream = Arc::new(stream);
                lock(&self.open).insert(connection, Arc::clone(&stream));
                scope.spawn(move || self.connection(stream, connection));
            }
            for stream in lock(&self.open).values() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }

    /// Waits, unless the registry ends: then the answer is false.
    pub fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            if self.closing.load(Ordering::SeqCst) {
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(Duration::from_millis(20)));
        }
    }

    fn connection(&self, stream: Arc<TcpStream>, connection: usize) {
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(SILENCE));
        let _ = stream.set_write_timeout(Some(SILENCE));
        let mut wire = Wire::new(&stream);
        let then = loop {
            let then = match wire.read_request() {
                Ok(request) => self.exchange(&mut wire, &request, connection),
                Err(NoRequest::Gone) => break Then::Close,
                Err(NoRequest::Bad(status)) => self.bad_request(&wire, status, connection),
            };
            match then {
                Ok(Then::KeepAlive) => {}
                Ok(then) => break then,
                Err(_) => break Then::Close, // the peer has gone away
            }
        };
        if then == Then::Reset {
            let _ = rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO));
        } else {
            linger(&stream);
        }
        lock(&self.open).remove(&connection);
        drop((wire, stream)); // the last ones: a reset is sent now
    }

    fn bad_request(&self, wire: &Wire, status: u16, connection: usize) -> io::Result<Then> {
        let request = Request {
            method: "unreadable".to_owned(),
            path: String::new(),
            query: String::new(),
            headers: Vec::new(),
            framing: Framing::Length(0),
            expects_continue: false,
            keep_alive: false,
        };
        self.log.begin(&request, Instant::now(), connection).answered(status, 0);
        send(wire, &Answer::status(status), &Effects::default(), false, Then::Close, &|_| true)
    }

    fn exchange(&self, wire: &mut Wire, request: &Request, connection: usize) -> io::Result<Then> {
        let entry = self.log.begin(request, Instant::now(), connection);
        if !self.sleep(self.options.slow) {
            return Ok(Then::Reset);
        }
        let mut body = Body::new(wire, request, &entry);
        let (answer, effects) = self.answer(request, &mut body, &entry);
        let then = answer.and_then(|answer| Ok((self.take_rest(&answer, &effects, &mut body)?, answer)));
        let was_cut = body.was_cut;
        drop(body);
        let (mut then, mut answer) = match then {
            Ok(done) => done,
            Err(_) if was_cut => return Ok(Then::Reset),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                (Then::Close, Answer::error(400, "UNSUPPORTED", "the body is not chunked as it should be"))
            }
            Err(error) => return Err(error),
        };
        if effects.lose_answer || !self.sleep(effects.stall.unwrap_or_default()) {
            return Ok(Then::Reset);
        }
        if then == Then::KeepAlive && !request.keep_alive {
            then = Then::Close;
        }
        if let Some(warning) = &self.options.warning
            && !answer.raw
        {
            answer.headers.push(("Warning".to_owned(), format!(r#"299 - "{warning}""#)));
        }
        let answer_bytes = answer.sent().len() as u64;
        spoil(&mut answer, &effects);
        entry.answered(answer.status, answer_bytes);
        let early = answer.at_once && then == Then::Reset;
        let then = send(wire, &answer, &effects, request.method == "HEAD", then, &|time| self.sleep(time))?;
        if early {
            self.sleep(EARLY);
        }
        Ok(then)
    }

    /// Returns the answer as rules, authentication and the registry give it, and what rules do to it.
    fn answer<'a>(&'a self, request: &Request, body: &mut Body<'a>, entry: &Entry) -> (io::Result<Answer>, Effects) {
        let target = Target::of(&request.path);
        let mut effects = lock(&self.script).take(request, true);
        if effects.is_none() {
            if self.options.refuse_authorization && request.header("authorization").is_some() {
                let refusal = Answer::error(400, "UNSUPPORTED", "only one way to authenticate is allowed");
                return (Ok(refusal), Effects::default());
            }
            let needs = target.needs(request);
            let refusal = needs.and_then(|needs| {
                auth::refusal(&self.options.auth, &mut lock(&self.tokens), &self.host, request, &needs)
            });
            if let Some(refusal) = refusal {
                return (Ok(refusal), Effects::default());
            }
            effects = lock(&self.script).take(request, false);
        }
        if effects.is_some() {
            entry.scripted();
        }
        let effects = effects.unwrap_or_default();
        body.cut_at(effects.cut_after);
        if let Some((position, time)) = effects.read_pause {
            body.pause_at(position, move || self.sleep(time));
        }
        if !request.has_body() && effects.cut_after.is_some() {
            body.was_cut = true;
            return (Err(io::Error::other("a rule cuts here")), effects);
        }
        let answer = match &effects.answer {
            Some(answer) => Ok(answer.clone()),
            None => self.route(target, request, body),
        };
        (answer, effects)
    }

    /// Decides what becomes of a body that is not wanted.
    fn take_rest(&self, answer: &Answer, effects: &Effects, body: &mut Body<'_>) -> io::Result<Then> {
        if answer.after_body || effects.cut_after.is_some() || effects.read_pause.is_some() {
            body.drain()?;
        }
        if body.at_end() {
            return Ok(Then::KeepAlive);
        }
        // RFC 9110, section 10.1.1: a final answer may stand in for 100 Continue
        if body.owes_continue() {
            return Ok(Then::Close);
        }
        if answer.at_once || self.options.early_refusals {
            return Ok(Then::Reset);
        }
        body.drain()?;
        Ok(Then::KeepAlive)
    }

    fn route(&self, target: Target, request: &Request, body: &mut Body<'_>) -> io::Result<Answer> {
        if let (Target::Token, auth::Auth::Bearer(bearer)) = (&target, &self.options.auth) {
            let (answer, asked) = token::answer(bearer, request, body)?;
            lock(&self.token_log).extend(asked);
            return Ok(answer);
        }
        self.registry(target, request, body)
    }
}

/// Says that nothing more comes, and waits a little until the peer has read that and closed its side: closing with unread
/// bytes would reset the connection, and could take the answer away from the peer.
fn linger(stream: &TcpStream) {
    let end = Instant::now() + LINGER;
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(LINGER));
    let mut buffer = vec![0; 64 * 1024];
    while Instant::now() < end && (&mut &*stream).read(&mut buffer).is_ok_and(|count| count > 0) {}
}
