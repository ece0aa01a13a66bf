//! Talk on standard error: progress, warnings, what happens.
//!
//! Those who work only count, on the [`board`]; a thread of its own looks at it now and then and shows what it sees, so
//! that a slow terminal holds nobody up and a standstill shows.

mod board;
mod draw;
mod frame;

use std::io::IsTerminal as _;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use barge::content::Content;
use barge::store::Location;
use barge::text::{escaped, human_size};
use barge::transfer::{Event, Observer, Outcome};
use serde_json::{Value, json};

use self::board::{Board, Snapshot};
use self::frame::Frame;
use super::report::{failure, safe_json};
use super::terminal::{self, Ink, Surface};
use super::write::count;

/// How often what is under way is looked at.
const BEAT: Duration = Duration::from_millis(250);
/// How often a plain log gets a line.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
/// How often a program that reads JSON hears of progress, at most.
const JSON_INTERVAL: Duration = Duration::from_millis(500);

/// How progress is shown.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Bars on a terminal, lines elsewhere
    Auto,
    /// A bar for everything, and a line for each large piece under way
    Tty,
    /// A line every ten seconds, and one at the end of what took longer
    Plain,
    /// JSON objects, one on a line
    Json,
    /// Nothing
    None,
}

/// Hears of events and shows them.
#[derive(Debug)]
pub(crate) struct Ui {
    quiet: bool,
    verbose: bool,
    shared: Arc<Shared>,
    warnings: Mutex<Vec<String>>,
    /// What looks at the board while something is under way.
    ticker: Mutex<Option<Ticker>>,
}

#[derive(Debug)]
struct Shared {
    progress: Progress,
    command: &'static str,
    /// Held for a moment only: those who work wait for it.
    board: Mutex<Board>,
    /// Held while something is written.
    screen: Mutex<Screen>,
}

#[derive(Debug)]
struct Screen {
    frame: Frame,
    last: Instant,
}

#[derive(Debug)]
struct Ticker {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ui {
    pub(crate) fn new(progress: Progress, quiet: bool, verbose: bool, command: &'static str) -> Self {
        let redraws = std::io::stderr().is_terminal() && !terminal::is_dumb();
        let progress = match progress {
            _ if quiet => Progress::None,
            Progress::Auto | Progress::Tty if redraws => Progress::Tty,
            Progress::Auto | Progress::Tty => Progress::Plain,
            other => other,
        };
        let now = Instant::now();
        let (board, screen) = (Mutex::new(Board::new(now)), Mutex::new(Screen { frame: Frame::default(), last: now }));
        let shared = Arc::new(Shared { progress, command, board, screen });
        Self { quiet, verbose, shared, warnings: Mutex::default(), ticker: Mutex::default() }
    }

    /// Says something to the user; nothing with `--quiet`. On a terminal long lines are broken at spaces.
    pub(crate) fn say(&self, text: &str) {
        self.show(&Surface::err().fold(text, 2));
    }

    /// Says something that keeps its lines: a table, or commands to be copied; nothing with `--quiet`.
    pub(crate) fn show(&self, text: &str) {
        if !self.quiet {
            self.shared.line(text.trim_end());
        }
    }

    /// Says what failed when the rest goes on.
    pub(crate) fn complain(&self, error: &barge::ops::Error) {
        self.shared.line(&failure(Surface::err(), &error.to_string(), &error.causes()));
    }

    /// Takes the bars away: nothing is under way any more.
    pub(crate) fn finish(&self) {
        let Some(ticker) = lock(&self.ticker).take() else { return };
        drop(ticker.stop);
        // it does not panic, and if it did there would be nothing to do about it
        let _ = ticker.thread.join();
        let seen = std::mem::replace(&mut *lock(&self.shared.board), Board::new(Instant::now())).look(Instant::now());
        match self.shared.progress {
            Progress::Json => self.shared.json(&draw::progress_json(&seen)[..1]),
            // of what has failed an error tells
            Progress::Plain if seen.took >= PLAIN_INTERVAL && seen.all.done == seen.all.total => {
                self.shared.line(&draw::plain_end(self.shared.command, &seen));
            }
            _ => {}
        }
        lock(&self.shared.screen).frame.clear();
    }

    /// Returns the warnings so far, for the report.
    pub(crate) fn warnings(&self) -> Vec<String> {
        lock(&self.warnings).clone()
    }

    /// Returns the warnings since the last time, for a command that reports more than once.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.warnings))
    }

    fn begin(&self, bytes: u64) {
        let mut ticker = lock(&self.ticker);
        if ticker.is_some() {
            lock(&self.shared.board).begin(bytes);
            return;
        }
        let now = Instant::now();
        let mut board = Board::new(now);
        board.begin(bytes);
        *lock(&self.shared.board) = board;
        if self.shared.progress == Progress::None {
            return;
        }
        lock(&self.shared.screen).last = now;
        let (stop, stopped) = mpsc::channel();
        let shared = Arc::clone(&self.shared);
        let look = move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                shared.beat();
            }
        };
        // where the machine gives no more threads, the work is done without a word
        *ticker = thread::Builder::new().spawn(look).ok().map(|thread| Ticker { stop, thread });
    }

    fn started(&self, content: &Content, about: &str, place: &Location) {
        lock(&self.shared.board).start(content, about, place, Instant::now());
        if self.shared.progress == Progress::Json {
            self.shared.json(&[json!({"event": "started", "digest": content.digest.to_string(), "about": about,
                "place": place.to_string(), "total": content.size})]);
        }
    }

    fn finished(&self, content: &Content, about: &str, place: &Location, outcome: Outcome) {
        let took = lock(&self.shared.board).finish(content, place, Instant::now());
        if self.shared.progress == Progress::Json {
            let rate = took.filter(|_| outcome != Outcome::Failed).and_then(|took| per_second(content.size, took));
            self.shared.json(&[json!({"event": "finished", "digest": content.digest.to_string(), "about": about,
                "place": place.to_string(), "outcome": outcome.word(), "total": content.size, "rate": rate})]);
        }
        // of what has failed an error tells
        if self.verbose && outcome != Outcome::Failed {
            let of_a_registry = matches!(outcome, Outcome::Sent | Outcome::Mounted | Outcome::There);
            let place = if of_a_registry { format!(", {place}") } else { String::new() };
            self.shared.prose(&format!("{} {} ({about}){place}", outcome.word(), content.digest));
        }
    }

    fn made(&self, about: &str, place: &Location, content: Option<&Content>) {
        lock(&self.shared.board).made(about, place);
        if self.shared.progress == Progress::Json {
            let digest = content.map(|content| content.digest.to_string());
            self.shared.json(&[json!({"event": "made", "digest": digest, "about": about,
                "place": place.to_string(), "total": content.map(|content| content.size)})]);
        }
        if let Some(content) = content.filter(|_| self.verbose) {
            self.shared.prose(&format!("made {} ({about}, {})", content.digest, human_size(content.size)));
        }
    }
}

/// Returns a rate in bytes a second.
pub(crate) fn per_second(bytes: u64, took: Duration) -> Option<u64> {
    let rate = (u128::from(bytes) * 1000).checked_div(took.as_millis())?;
    u64::try_from(rate).ok()
}

impl Shared {
    /// Writes a line above the bars.
    fn line(&self, text: &str) {
        lock(&self.screen).frame.line(text);
    }

    /// Writes text above them, broken at spaces where a line is longer than the terminal is wide.
    fn prose(&self, text: &str) {
        self.line(&Surface::err().fold(text, 2));
    }

    fn json(&self, lines: &[Value]) {
        let lines: Vec<String> = lines.iter().map(|line| safe_json(&line.to_string())).collect();
        self.line(&lines.join("\n"));
    }

    /// Looks at the board, and shows it when it is time.
    fn beat(&self) {
        let now = Instant::now();
        let seen: Snapshot = lock(&self.board).look(now);
        match self.progress {
            Progress::Tty => {
                let (columns, rows) = terminal::size();
                lock(&self.screen).frame.draw(&draw::screen(self.command, &seen, columns, rows));
            }
            Progress::Plain if self.is_time(now, PLAIN_INTERVAL) => self.line(&draw::plain(self.command, &seen)),
            Progress::Json if self.is_time(now, JSON_INTERVAL) => self.json(&draw::progress_json(&seen)),
            _ => {}
        }
    }

    fn is_time(&self, now: Instant, interval: Duration) -> bool {
        let mut screen = lock(&self.screen);
        let due = now.saturating_duration_since(screen.last) >= interval;
        if due {
            screen.last = now;
        }
        due
    }
}

impl Observer for Ui {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::Begun { bytes, .. } => self.begin(bytes),
            Event::Started { content, about, place } => self.started(content, about, place),
            Event::Advanced { content, place, bytes } => lock(&self.shared.board).advance(content, place, bytes),
            Event::Skipped { content, place, bytes } => lock(&self.shared.board).skip(content, place, bytes),
            Event::Finished { content, about, place, outcome } => self.finished(content, about, place, outcome),
            Event::Making { about, place, bytes } => {
                lock(&self.shared.board).make(about, place, bytes, Instant::now());
                if self.shared.progress == Progress::Json {
                    self.shared.json(&[
                        json!({"event": "making", "about": about, "place": place.to_string(), "total": bytes}),
                    ]);
                }
            }
            Event::MakingAdvanced { about, place, bytes } => {
                lock(&self.shared.board).advance_making(about, place, bytes);
            }
            Event::Made { about, place, content } => self.made(about, place, content),
            Event::Ended => self.finish(),
            Event::Kept { place, kept } => self.say(&format!(
                "{place} keeps {}, {}: the same command goes on without reading them again",
                count(kept.pieces, "blob"),
                human_size(kept.bytes)
            )),
            Event::Note(text) => {
                if self.verbose {
                    self.shared.prose(&escaped(&text));
                }
            }
            Event::Warning(text) => {
                // a path or a name in it came from outside
                let text = escaped(&text);
                if !self.quiet {
                    self.shared.line(&Surface::err().labelled(Ink::Warning, "warning:", &text));
                }
                lock(&self.warnings).push(text);
            }
            Event::Told(text) => self.say(&escaped(&text)),
        }
    }
}
