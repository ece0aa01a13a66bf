//! One request and what became of its answer: told once, when the last byte has left or the connection is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hyper::Method;
use hyper::StatusCode;
use hyper::header::USER_AGENT;
use hyper::http::request::Parts;

use super::metrics::Metrics;
use crate::ops::serve::event::{Access, Event, Observer};

/// What a client that left before there was an answer is told by: the number that nginx gave it.
const CLIENT_LEFT: u16 = 499;

/// A request that is being answered. Dropping it tells of it.
pub(super) struct Record {
    observer: Arc<dyn Observer>,
    metrics: Arc<Metrics>,
    peer: SocketAddr,
    user: Option<Arc<str>>,
    method: Method,
    target: String,
    agent: Option<String>,
    began: Instant,
    status: u16,
    bytes: u64,
    sent: bool,
}

impl Record {
    /// Begins one when the head of a request is there.
    pub(super) fn begin(observer: &Arc<dyn Observer>, metrics: &Arc<Metrics>, peer: SocketAddr, head: &Parts) -> Self {
        metrics.request_begins();
        let agent = head.headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
        Self {
            observer: Arc::clone(observer),
            metrics: Arc::clone(metrics),
            peer,
            user: None,
            method: head.method.clone(),
            target: head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string),
            agent,
            began: Instant::now(),
            status: CLIENT_LEFT,
            bytes: 0,
            sent: false,
        }
    }

    /// Notes who asks.
    pub(super) fn is_by(&mut self, user: Option<Arc<str>>) {
        self.user = user;
    }

    /// Notes what is answered.
    pub(super) fn gets(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// Notes that some of the body was handed to the connection.
    pub(super) fn passed(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Ends it: all of the answer has left.
    fn has_left(mut self) {
        self.sent = true;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let access = Access {
            peer: self.peer,
            user: self.user.as_deref(),
            method: self.method.as_str(),
            target: &self.target,
            status: self.status,
            bytes: self.bytes,
            cut: !self.sent,
            time: self.began.elapsed(),
            agent: self.agent.as_deref(),
        };
        self.metrics.request_ends(&access);
        self.observer.hear(Event::Answered(&access));
    }
}

/// What the two ends of a connection know of each other: what reads and writes its bytes, and what answers its requests.
#[derive(Default)]
pub(super) struct Pulse {
    requests: AtomicU64,
    busy: AtomicBool,
    unread: AtomicBool,
    leaving: Mutex<Option<Record>>,
}

impl Pulse {
    /// A request has come.
    pub(super) fn request_came(&self) {
        self.busy.store(true, Ordering::SeqCst);
        self.requests.fetch_add(1, Ordering::SeqCst);
    }

    /// The client sends something that nobody reads.
    pub(super) fn is_sent_more(&self) {
        self.unread.store(true, Ordering::SeqCst);
    }

    /// All of an answer was handed over, and is to be written.
    pub(super) fn handed_over(&self, record: Record) {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
    }

    /// All that was handed over was written.
    pub(super) fn written(&self) {
        let record = self.leaving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(record) = record {
            self.busy.store(false, Ordering::SeqCst);
            record.has_left();
        }
    }

    /// Returns how many requests have come.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Returns whether an answer is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::SeqCst)
    }

    /// Returns whether the client sends something that nobody reads.
    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::SeqCst)
    }
}
