//! What was done, in numbers: Prometheus' text (exposition format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;

use crate::ops::serve::answer::Answer;
use crate::ops::serve::event::Access;

/// The upper ends of the histogram's buckets: a manifest takes a millisecond, a large layer minutes.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 300.0, 1800.0];

/// The methods that are told apart. What strangers may send without end is no label.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Counters.
#[derive(Default)]
pub(super) struct Metrics {
    connections: AtomicU64,
    connections_total: AtomicU64,
    in_flight: AtomicU64,
    bytes: AtomicU64,
    cut: AtomicU64,
    hashed: AtomicU64,
    wrong: AtomicU64,
    requests: Mutex<Requests>,
}

#[derive(Default)]
struct Requests {
    /// By method and status.
    counts: BTreeMap<(&'static str, u16), u64>,
    /// How many took no longer than each bucket's end, and longer than that before it.
    buckets: [u64; BUCKETS.len()],
    count: u64,
    time: Duration,
}

impl Metrics {
    /// A connection was accepted.
    pub(super) fn connection_begins(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connections_total.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed.
    pub(super) fn connection_ends(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request has come.
    pub(super) fn request_begins(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered, or was not.
    pub(super) fn request_ends(&self, access: &Access<'_>) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_add(access.bytes, Ordering::Relaxed);
        self.cut.fetch_add(u64::from(access.cut), Ordering::Relaxed);
        let method = METHODS.into_iter().find(|method| *method == access.method).unwrap_or("other");
        let seconds = access.time.as_secs_f64();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.counts.entry((method, access.status)).or_default() += 1;
        if let Some(bucket) = BUCKETS.iter().position(|end| seconds <= *end) {
            requests.buckets[bucket] += 1;
        }
        requests.count += 1;
        requests.time += access.time;
    }

    /// A blob was hashed before it was served.
    pub(super) fn hashed(&self, wrong: bool) {
        self.hashed.fetch_add(1, Ordering::Relaxed);
        self.wrong.fetch_add(u64::from(wrong), Ordering::Relaxed);
    }

    /// Answers with all of it.
    pub(super) fn answer(&self) -> Answer {
        Answer::of(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", self.text())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let version = env!("CARGO_PKG_VERSION");
        head(&mut text, "barge_build_info", "gauge", "The program, by its version.");
        let _ = writeln!(text, "barge_build_info{{version=\"{version}\"}} 1");
        for (name, kind, help, value) in [
            ("barge_connections", "gauge", "Connections that are open.", &self.connections),
            ("barge_connections_total", "counter", "Connections that were accepted.", &self.connections_total),
            ("barge_requests_in_flight", "gauge", "Requests that are being answered.", &self.in_flight),
            ("barge_sent_bytes_total", "counter", "Bytes of bodies that were sent.", &self.bytes),
            ("barge_cut_answers_total", "counter", "Answers that did not reach their end.", &self.cut),
            ("barge_hashed_blobs_total", "counter", "Blobs that were hashed before they were served.", &self.hashed),
            ("barge_wrong_blobs_total", "counter", "Blobs that were hashed and found wrong.", &self.wrong),
        ] {
            head(&mut text, name, kind, help);
            let _ = writeln!(text, "{name} {}", value.load(Ordering::Relaxed));
        }
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        head(&mut text, "barge_requests_total", "counter", "Requests, by method and status of the answer.");
        for ((method, status), count) in &requests.counts {
            let _ = writeln!(text, "barge_requests_total{{method=\"{method}\",status=\"{status}\"}} {count}");
        }
        let name = "barge_request_duration_seconds";
        head(&mut text, name, "histogram", "How long answers took, from the end of the request to their own.");
        let mut below = 0;
        for (end, count) in BUCKETS.iter().zip(&requests.buckets) {
            below += count;
            let _ = writeln!(text, "{name}_bucket{{le=\"{end}\"}} {below}");
        }
        let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {}", requests.count);
        let _ = writeln!(text, "{name}_sum {}", requests.time.as_secs_f64());
        let _ = writeln!(text, "{name}_count {}", requests.count);
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}
