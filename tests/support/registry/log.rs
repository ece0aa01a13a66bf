//! What was asked and what was answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::script::matches;
use super::wire::{Request, find, parameters};

/// Locks; a thread that panicked has spoiled nothing here.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request and its answer. Requests stand in the log in the order in which their heads arrived.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When the head of the request had arrived.
    pub at: Instant,
    /// When the answer was ready, just before its first byte was sent.
    pub answered: Option<Instant>,
    pub method: String,
    /// Percent-decoded, without the query.
    pub path: String,
    /// As it was sent.
    pub query: String,
    pub headers: Vec<(String, String)>,
    /// How much of the request's body has arrived.
    pub body_bytes: u64,
    /// 0: there was no answer, or not yet.
    pub status: u16,
    /// The length of the answer's body, before a rule has spoilt it.
    pub answer_bytes: u64,
    pub authorization: Option<String>,
    /// Counts the connections of this registry from 0: equal numbers mean that a connection was used again.
    pub connection: usize,
    /// Whether a rule had its hand in this.
    pub scripted: bool,
}

impl Exchange {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Returns the first value of a parameter of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameters(&self.query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether method and path match these patterns, as those of a rule do.
    pub fn is(&self, method: &str, path: &str) -> bool {
        matches_request(method, path, &self.method, &self.path, &self.query)
    }
}

/// Whether patterns for method and path match; a pattern with a question mark is matched with the query.
pub fn matches_request(method_pattern: &str, pattern: &str, method: &str, path: &str, query: &str) -> bool {
    let path_matches =
        if pattern.contains('?') { matches(pattern, &format!("{path}?{query}")) } else { matches(pattern, path) };
    matches(method_pattern, method) && path_matches
}

/// The whole log.
#[derive(Default)]
pub struct Log {
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    /// So many from the first on are forgotten; they keep their place for entries under way.
    forgotten: AtomicUsize,
}

impl Log {
    pub fn begin(&self, request: &Request, at: Instant, connection: usize) -> Entry {
        let mut exchanges = lock(&self.exchanges);
        exchanges.push(Exchange {
            at,
            answered: None,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            body_bytes: 0,
            status: 0,
            answer_bytes: 0,
            authorization: request.header("authorization").map(str::to_owned),
            connection,
            scripted: false,
        });
        Entry { exchanges: Arc::clone(&self.exchanges), at: exchanges.len() - 1 }
    }

    pub fn all(&self) -> Vec<Exchange> {
        lock(&self.exchanges).iter().skip(self.forgotten.load(Ordering::Relaxed)).cloned().collect()
    }

    pub fn clear(&self) {
        self.forgotten.store(lock(&self.exchanges).len(), Ordering::Relaxed);
    }
}

/// The place of one exchange in the log.
pub struct Entry {
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    at: usize,
}

impl Entry {
    fn change(&self, change: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = lock(&self.exchanges).get_mut(self.at) {
            change(exchange);
        }
    }

    pub fn received(&self, count: u64) {
        self.change(|exchange| exchange.body_bytes += count);
    }

    pub fn scripted(&self) {
        self.change(|exchange| exchange.scripted = true);
    }

    pub fn answered(&self, status: u16, answer_bytes: u64) {
        self.change(|exchange| {
            exchange.status = status;
            exchange.answer_bytes = answer_bytes;
            exchange.answered = Some(Instant::now());
        });
    }
}
