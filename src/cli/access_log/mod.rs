//! What a server says while it serves: a line for each request, and what else happens, on standard error.

mod line;
mod queue;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use barge::ops::serve::Access;
use jiff::Timestamp;
use serde_json::Value;

use self::line::{Kind, message_as_json, message_as_text, request_as_json, request_as_text};
use self::queue::Queue;
use super::report::safe_json;

/// How requests are logged.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object on a line
    Json,
    /// Not at all
    None,
}

/// The log of a server. It may be written to from many threads, and none of them waits for it.
#[derive(Debug)]
pub(crate) struct AccessLog {
    format: LogFormat,
    /// Whether nothing is said but what the log is for.
    quiet: bool,
    queue: Queue,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl AccessLog {
    /// Opens the log on standard error.
    pub(crate) fn new(format: LogFormat, quiet: bool) -> Self {
        let missing = move |lost: u64| {
            let text = format!("{lost} lines of this log are missing: they were not taken fast enough");
            message(format, Kind::Warning, &text)
        };
        let queue = Queue::new(io::stderr(), missing);
        Self { format, quiet, queue, requests: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    /// Logs one request.
    pub(crate) fn request(&self, access: &Access<'_>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(access.bytes, Ordering::Relaxed);
        match self.format {
            LogFormat::Text => self.queue.push(&request_as_text(access, Timestamp::now())),
            LogFormat::Json => self.queue.push(&request_as_json(access, Timestamp::now())),
            LogFormat::None => {}
        }
    }

    /// Logs that something is not as it should be.
    pub(crate) fn warning(&self, text: &str) {
        if !self.quiet || self.format != LogFormat::None {
            self.queue.push(&message(self.format, Kind::Warning, text));
        }
    }

    /// Logs what people like to know.
    pub(crate) fn told(&self, text: &str) {
        if !self.quiet {
            self.queue.push(&message(self.format, Kind::Told, text));
        }
    }

    /// Says something in both forms: lines for people, or fields of an object. Nothing with `--quiet`.
    pub(crate) fn say(&self, event: &str, lines: &[String], fields: Value) {
        if self.quiet {
            return;
        }
        if self.format == LogFormat::Json {
            let mut object = serde_json::json!({"time": format!("{:.3}", Timestamp::now()), "event": event});
            if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
                object.extend(fields);
            }
            self.queue.push(&format!("{}\n", safe_json(&object.to_string())));
        } else {
            self.queue.push(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
    }

    /// Returns how many requests there were, and how many bytes were sent for them.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Ends the log: waits a little until all of it is written.
    pub(crate) fn close(&self) {
        self.queue.close();
    }
}

fn message(format: LogFormat, kind: Kind, text: &str) -> String {
    match format {
        LogFormat::Json => message_as_json(kind, text, Timestamp::now()),
        LogFormat::Text | LogFormat::None => message_as_text(kind, text, Timestamp::now()),
    }
}
