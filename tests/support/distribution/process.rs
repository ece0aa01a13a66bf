//! A process that ends with the value that stands for it, and with the test's own process however that ends.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What the registry says, in the directory where it runs.
pub(super) const LOG: &str = "log";

const PATIENCE: Duration = Duration::from_secs(20);

/// Kills the registry when its standard input ends: on purpose, or since whoever held the other end is gone. Nothing
/// else ends it, so that no signal to the group can leave a registry behind.
const GUARD: &str = r#"trap '' HUP INT TERM
docker-registry serve config.yml </dev/null & read -r line
kill -KILL $!
wait $!"#;

/// Why a registry did not start.
#[derive(Debug)]
pub(super) enum Ended {
    PortTaken,
    Said(String),
}

/// A running registry.
pub(super) struct Process(Child);

impl Process {
    /// Starts a registry in a directory with its `config.yml`, and waits until it listens.
    pub(super) fn start(directory: &Path) -> Result<Self, Ended> {
        let path = directory.join(LOG);
        let log = File::options().append(true).create(true).open(&path).unwrap();
        let before = usize::try_from(log.metadata().unwrap().len()).unwrap();
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD]).current_dir(directory).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        guard.env("HOME", directory).stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = Self(guard.spawn().unwrap());
        let began = Instant::now();
        loop {
            let said = String::from_utf8_lossy(&fs::read(&path).unwrap()[before..]).into_owned();
            if said.contains(r#""msg":"listening on "#) {
                return Ok(process);
            }
            let ended = ["\"level\":\"fatal\"", "panic: ", "configuration error", "not found"];
            if began.elapsed() > PATIENCE || ended.iter().any(|sign| said.contains(sign)) {
                let taken = said.contains("address already in use");
                return Err(if taken { Ended::PortTaken } else { Ended::Said(said) });
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
