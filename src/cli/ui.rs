//! Talk on standard error: progress, warnings, what happens.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use barge::text::{escaped, human_size};
use barge::transfer::{Event, Observer, Outcome};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

/// How often a plain log gets a line, at most.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);
/// How often a program that reads JSON hears of progress, at most.
const JSON_INTERVAL: Duration = Duration::from_millis(500);

/// How progress is shown.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A bar on a terminal, lines elsewhere
    Auto,
    /// A bar
    Tty,
    /// A line now and then
    Plain,
    /// A JSON object on a line now and then
    Json,
    /// Nothing
    None,
}

/// Hears of events and shows them.
#[derive(Debug)]
pub(crate) struct Ui {
    progress: Progress,
    quiet: bool,
    verbose: bool,
    command: &'static str,
    done: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bar: Option<ProgressBar>,
    total: u64,
    last: Instant,
    warnings: Vec<String>,
}

impl Ui {
    pub(crate) fn new(progress: Progress, quiet: bool, verbose: bool, command: &'static str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let progress = match progress {
            _ if quiet => Progress::None,
            Progress::Auto if terminal => Progress::Tty,
            Progress::Auto => Progress::Plain,
            other => other,
        };
        let state = State { bar: None, total: 0, last: Instant::now(), warnings: Vec::new() };
        Self { progress, quiet, verbose, command, done: AtomicU64::new(0), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something to the user; nothing with `--quiet`.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.line(&self.state(), text);
        }
    }

    /// Writes a line above the bar. A closed standard error is no reason to stop.
    #[allow(clippy::unused_self)]
    fn line(&self, state: &State, text: &str) {
        let write = || {
            let _ = writeln!(std::io::stderr(), "{text}");
        };
        match &state.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Says what failed when the rest goes on.
    pub(crate) fn complain(&self, error: &barge::ops::Error) {
        let mut text = format!("error: {error}");
        for cause in error.causes() {
            text.push_str(&format!("\n  caused by: {cause}"));
        }
        self.line(&self.state(), &text);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = self.state().bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Returns the warnings so far, for the report.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.state().warnings.clone()
    }

    fn begin(&self, bytes: u64) {
        let mut state = self.state();
        self.done.store(0, Ordering::Relaxed);
        state.total = bytes;
        state.last = Instant::now();
        if self.progress == Progress::Tty {
            let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(10));
            // as wide as the terminal, whatever that is
            let template = "{prefix} [{wide_bar}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(self.command);
            state.bar = Some(bar);
        }
    }

    fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let interval = match self.progress {
            Progress::Plain => PLAIN_INTERVAL,
            Progress::Json => JSON_INTERVAL,
            Progress::Tty => {
                // the bar draws ten times a second whatever it is told; a lane does not wait for another one here
                if let Ok(state) = self.state.try_lock()
                    && let Some(bar) = &state.bar
                {
                    bar.set_position(done);
                }
                return;
            }
            Progress::Auto | Progress::None => return,
        };
        let Ok(mut state) = self.state.try_lock() else { return };
        if state.last.elapsed() < interval {
            return;
        }
        state.last = Instant::now();
        let total = state.total;
        let text = match self.progress {
            Progress::Json => json!({"event": "progress", "bytes": done, "total": total}).to_string(),
            _ => format!("{}: {} of {}", self.command, human_size(done), human_size(total)),
        };
        self.line(&state, &text);
    }
}

impl Observer for Ui {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::Begun { bytes, .. } => self.begin(bytes),
            Event::Advanced { bytes } => self.advance(bytes),
            Event::Ended => self.finish(),
            Event::Finished { content, about, outcome } if self.verbose => {
                let done = match outcome {
                    Outcome::Written => "wrote",
                    Outcome::Present => "found",
                    Outcome::Replaced => "replaced",
                    Outcome::Checked => "checked",
                };
                self.line(&self.state(), &format!("{done} {} ({about})", content.digest));
            }
            Event::Finished { .. } => {}
            Event::Warning(text) => {
                let mut state = self.state();
                // a path or a name in it came from outside
                let text = escaped(&text);
                if !self.quiet {
                    self.line(&state, &format!("warning: {text}"));
                }
                state.warnings.push(text);
            }
        }
    }
}
