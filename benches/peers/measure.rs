//! One run of one command.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::contests::{Contender, Contest};
use crate::memory::Memory;
use crate::server::Server;

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Seconds on the clock.
    pub(crate) seconds: f64,
    /// Seconds of processor, in user and system mode, of all processes.
    pub(crate) processor: f64,
    /// The most memory that one process had resident, in KiB.
    pub(crate) peak: u64,
}

/// Where commands run.
#[derive(Debug)]
pub(crate) struct Bench {
    barge: PathBuf,
    data: PathBuf,
    work: tempfile::TempDir,
    /// What is held for `--hold`.
    memory: Option<RefCell<Memory>>,
}

impl Bench {
    /// Makes a scratch directory where `TMPDIR` says.
    pub(crate) fn new(barge: &Path, data: &Path, hold: bool) -> Result<Self, String> {
        let work = tempfile::tempdir().map_err(|error| format!("cannot make a scratch directory: {error}"))?;
        let memory = hold.then(RefCell::default);
        Ok(Self { barge: barge.to_owned(), data: data.to_owned(), work, memory })
    }

    /// Whether a program is there.
    pub(crate) fn has(&self, program: &str) -> bool {
        let found = Command::new("bash").args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    }

    fn with_memory(&self, change: impl FnOnce(&mut Memory)) {
        if let Some(memory) = &self.memory {
            change(&mut memory.borrow_mut());
        }
    }

    /// Prepares, runs and clears away.
    pub(crate) fn measure(&self, contest: &Contest, contender: &Contender) -> Result<Sample, String> {
        self.with_memory(Memory::release);
        let out = self.work.path().join("out");
        let home = self.work.path().join("home");
        let fresh = || -> io::Result<()> {
            for directory in [&out, &home] {
                if directory.exists() {
                    fs::remove_dir_all(directory)?;
                }
                fs::create_dir(directory)?;
            }
            fs::write(home.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)
        };
        fresh().map_err(|error| format!("cannot clear the scratch directory: {error}"))?;
        let server = if contest.wants_registry { Some(Server::start(self.work.path())?) } else { None };
        let registry = server.as_ref().map_or("", |server| &server.address);
        let command = |line: &str| {
            let mut command = Command::new("bash");
            command.args(["-euo", "pipefail", "-c", line]).current_dir(&out).stdin(Stdio::null()).stdout(Stdio::null());
            command.env("BARGE", &self.barge).env("DATA", &self.data).env("REGISTRY", registry).env("HOME", &home);
            command
                .env("OUT", &out)
                .env("XDG_RUNTIME_DIR", &home)
                .env("XDG_CONFIG_HOME", &home)
                .env("XDG_DATA_HOME", &home);
            command.env("STORAGE_DRIVER", "vfs").env("BUILDAH_ISOLATION", "chroot");
            command
        };
        let failed = |line: &str, why: String| format!("{} by {}: {why}: {line}", contest.name, contender.name);
        let log = self.work.path().join("log");
        for line in [contest.prepare, contender.prepare].into_iter().filter(|line| !line.is_empty()) {
            let file = fs::File::create(&log).map_err(|error| failed(line, error.to_string()))?;
            if !command(line).stderr(file).status().is_ok_and(|status| status.success()) {
                return Err(failed(line, fs::read_to_string(&log).unwrap_or_default()));
            }
        }
        // what earlier runs left to be written is not this one's burden
        let _ = Command::new("sync").status();
        if !contest.reads.is_empty() {
            let names: Vec<String> = contest.reads.split(' ').map(|name| format!("$DATA/{name}")).collect();
            let line = format!("find {} -type f -exec cat {{}} + >/dev/null", names.join(" "));
            if !command(&line).status().is_ok_and(|status| status.success()) {
                return Err(failed(&line, "the data cannot be read".to_owned()));
            }
        }
        self.with_memory(Memory::renew);
        let times = self.work.path().join("times");
        let file = fs::File::create(&log).map_err(|error| failed(contender.command, error.to_string()))?;
        let inner = command(contender.command);
        let mut outer = Command::new("/usr/bin/time");
        outer.arg("-q").arg("-o").arg(&times).args(["-f", "%U %S %M"]).arg("bash").args(inner.get_args());
        outer.current_dir(&out).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        outer.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let began = Instant::now();
        let status = outer.status();
        let seconds = began.elapsed().as_secs_f64();
        if !status.is_ok_and(|status| status.success()) {
            return Err(failed(contender.command, fs::read_to_string(&log).unwrap_or_default()));
        }
        let times = fs::read_to_string(&times).unwrap_or_default();
        let [user, system, peak] = times.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(failed(contender.command, format!("GNU time said {times:?}")));
        };
        let number = |text: &str| text.parse::<f64>().unwrap_or_default();
        Ok(Sample { seconds, processor: number(user) + number(system), peak: peak.parse().unwrap_or_default() })
    }
}
