//! Lines on their way out: whoever has one to write never waits for whoever reads it.
//!
//! A pipe that nobody empties, or a disk that is full, would else hold up every answer. What does not fit is left out, and
//! its number is told when there is room again.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many bytes may wait.
const MOST: usize = 1 << 20;
/// How long the end waits for what has not been written yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines that wait to be written, by a thread of their own.
#[derive(Debug)]
pub(super) struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: String,
    /// How many did not fit.
    lost: u64,
    /// Nothing more comes.
    closed: bool,
    /// Everything is written, or nobody writes.
    done: bool,
}

impl Queue {
    /// Writes whatever is pushed to `out`, each line at once; `missing` says how many were left out.
    pub(super) fn new(mut out: impl Write + Send + 'static, missing: impl Fn(u64) -> String + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let taken = Arc::clone(&shared);
        let writer = thread::Builder::new().name("log".to_owned()).spawn(move || taken.write_to(&mut out, &missing));
        if writer.is_err() {
            // a machine that gives no thread serves nothing either, and says so
            let mut waiting = shared.lock();
            (waiting.closed, waiting.done) = (true, true);
        }
        Self { shared }
    }

    /// Takes lines, each with its end; they are left out when too much waits already.
    pub(super) fn push(&self, lines: &str) {
        let mut waiting = self.shared.lock();
        if waiting.closed {
            return;
        }
        if waiting.lines.len() + lines.len() > MOST {
            waiting.lost += lines.lines().count() as u64;
        } else {
            waiting.lines.push_str(lines);
        }
        drop(waiting);
        self.shared.changed.notify_all();
    }

    /// Takes nothing more, and waits a little until what was taken is written.
    pub(super) fn close(&self) {
        let mut waiting = self.shared.lock();
        waiting.closed = true;
        self.shared.changed.notify_all();
        let waited = self.shared.changed.wait_timeout_while(waiting, PATIENCE, |waiting| !waiting.done);
        drop(waited);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, out: &mut dyn Write, missing: &dyn Fn(u64) -> String) {
        let mut lines = String::new();
        loop {
            let idle = |waiting: &mut Waiting| waiting.lines.is_empty() && waiting.lost == 0 && !waiting.closed;
            let mut waiting = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            if waiting.lines.is_empty() && waiting.lost == 0 {
                waiting.done = true;
                self.changed.notify_all();
                return;
            }
            std::mem::swap(&mut lines, &mut waiting.lines);
            let lost = std::mem::take(&mut waiting.lost);
            drop(waiting);
            for line in lines.split_inclusive('\n') {
                // closed, or full: the next one is tried all the same
                let _ = out.write_all(line.as_bytes());
            }
            if lost > 0 {
                let _ = out.write_all(missing(lost).as_bytes());
            }
            lines.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    use super::*;

    /// A reader that takes a write when it is let to, and then hands it on.
    struct Slow(Receiver<()>, Sender<String>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            let _ = self.1.send(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Queue, Sender<()>, Receiver<String>) {
        let ((let_through, gate), (written, seen)) = (channel(), channel());
        (Queue::new(Slow(gate, written), |lost| format!("{lost} missing\n")), let_through, seen)
    }

    #[test]
    fn each_line_is_one_write_and_the_end_waits_for_all() {
        let (queue, gate, seen) = slow();
        for line in ["one\n", "two\nthree\n"] {
            queue.push(line);
        }
        for _ in 0..3 {
            gate.send(()).unwrap();
        }
        queue.close();
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["one\n", "two\n", "three\n"]);
        queue.push("too late\n");
    }

    #[test]
    fn who_writes_does_not_wait_for_who_reads() {
        let (queue, gate, seen) = slow();
        let line = format!("{}\n", "x".repeat(1023));
        let begun = Instant::now();
        queue.push(&line);
        // from here on the writer holds this one, and nobody takes it
        while !queue.shared.lock().lines.is_empty() {
            thread::yield_now();
        }
        for _ in 1..5000 {
            queue.push(&line);
        }
        assert_eq!(queue.shared.lock().lines.len(), MOST);
        assert_eq!(queue.shared.lock().lost, 4999 - 1024);
        queue.close();
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());

        // there is room again
        let letting = thread::spawn(move || (0..5001).try_for_each(|_| gate.send(())));
        let all: Vec<String> = seen.iter().collect();
        drop(queue);
        let told: u64 = all.iter().filter_map(|it| it.strip_suffix(" missing\n")?.parse::<u64>().ok()).sum();
        let written = all.iter().filter(|it| **it == line).count() as u64;
        assert_eq!(told + written, 5000, "{} writes", all.len());
        let _ = letting.join().unwrap();
    }

    #[test]
    fn a_closed_pipe_stops_nothing() {
        let (queue, gate, seen) = slow();
        drop(gate);
        queue.push("one\n");
        queue.push("two\n");
        queue.close();
        assert!(queue.shared.lock().done);
        assert_eq!(seen.iter().count(), 0);
    }
}
