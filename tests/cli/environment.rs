//! The program under test, in a directory of its own: nothing of the machine around it shows.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use barge::digest::{Algorithm, Digest};
use rustix::fs::SeekFrom;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// No command here needs as long as this, in seconds: one that does hangs.
const HANGS: Duration = Duration::from_secs(60);

/// A working directory, a home beside it, and the program.
pub(crate) struct Barge {
    temp: tempfile::TempDir,
}

impl Barge {
    pub(crate) fn new() -> Self {
        let temp = tempfile::Builder::new().prefix("barge-cli-").tempdir().unwrap();
        for directory in ["work", "home"] {
            fs::create_dir(temp.path().join(directory)).unwrap();
        }
        Self { temp }
    }

    /// Returns the path of something in the working directory.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.temp.path().join("work").join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Copies fixtures into the working directory, and returns their names.
    pub(crate) fn fixtures<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        for name in names {
            copy(&fixture(name), &self.path(name));
        }
        names.to_vec()
    }

    /// Returns the program, to be started otherwise than by [`Self::run`].
    pub(crate) fn command(&self) -> Command {
        self.around(env!("CARGO_BIN_EXE_barge"))
    }

    /// Returns another program, in the same surroundings.
    pub(crate) fn around(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path(""))
            .env("HOME", self.temp.path().join("home"))
            .env("NO_COLOR", "1")
            .env_remove("BARGE_LAYOUT")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program with these words.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Output {
        let mut command = self.command();
        command.args(words);
        self.finish(&mut command)
    }

    /// Runs a command line in which nothing needs quoting.
    pub(crate) fn line(&self, line: &str) -> Output {
        self.run(line.split_whitespace())
    }

    /// Starts a command line of the program on a terminal of that size, with colours unless `NO_COLOR` is among the variables; what it
    /// prints to standard output and standard error comes as standard output. Needs `script` of util-linux.
    #[allow(dead_code)] // not every test file looks at a terminal
    pub(crate) fn on_terminal(
        &self,
        line: &str,
        (columns, rows): (usize, usize),
        variables: &[(&str, &str)],
    ) -> Running {
        let line = format!("stty cols {columns} rows {rows}; exec {} {line}", env!("CARGO_BIN_EXE_barge"));
        let mut command = self.around("script");
        command.args(["-q", "-e", "-c", &line, "/dev/null"]).env_remove("NO_COLOR").env_remove("COLUMNS");
        command.env("TERM", "xterm").env("LC_ALL", "C.UTF-8").envs(variables.iter().copied());
        // a keyboard on which nobody types: the end of it would show as ^D
        Running::start(command.stdin(Stdio::piped()))
    }

    /// Runs a prepared command to its end.
    pub(crate) fn finish(&self, command: &mut Command) -> Output {
        Running::start(command).output(self)
    }

    fn shown(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.replace(self.path("").to_str().unwrap().trim_end_matches('/'), "[DIR]")
    }
}

/// A process under way.
pub(crate) struct Running {
    child: Child,
    words: String,
    pipes: Option<Pipes>,
}

/// What collects standard output and standard error.
type Pipes = (thread::JoinHandle<Vec<u8>>, thread::JoinHandle<Vec<u8>>);

impl Running {
    /// Starts a command; what it prints is collected.
    pub(crate) fn start(command: &mut Command) -> Self {
        let words = format!("{command:?}");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let out = thread::spawn(move || collect(&mut out));
        let err = thread::spawn(move || collect(&mut err));
        Self { child, words, pipes: Some((out, err)) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the pipe to its standard input; who takes it closes it.
    #[allow(dead_code)] // not every test file feeds a program
    pub(crate) fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it would hear a request to stop, unless it has ended: one that comes before ends it without a word.
    #[allow(dead_code)] // not every test file stops a program
    pub(crate) fn listens(&mut self) {
        until("a process that listens", || self.has_ended() || catches_signals(self.id()));
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < HANGS, "hangs: {}", self.words);
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn output(mut self, barge: &Barge) -> Output {
        let status = self.wait();
        let (out, err) = self.pipes.take().unwrap();
        let raw = out.join().unwrap();
        let stderr = barge.shown(&err.join().unwrap());
        Output { words: self.words.clone(), status, stdout: barge.shown(&raw), raw, stderr }
    }
}

/// Returns whether a process catches SIGINT and SIGTERM (proc_pid_status(5), `SigCgt`).
#[allow(dead_code)] // not every test file stops a program
pub(crate) fn catches_signals(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    [Signal::INT, Signal::TERM].iter().all(|signal| caught >> (signal.as_raw() - 1) & 1 == 1)
}

/// A test that fails leaves no process behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: &mut dyn std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}

/// What a run came to; the working directory is `[DIR]` in it.
#[must_use = "check the exit code or the whole output"]
pub(crate) struct Output {
    words: String,
    status: ExitStatus,
    raw: Vec<u8>,
    stdout: String,
    stderr: String,
}

impl Output {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Checked {
        assert_eq!(self.status.code(), Some(code), "{}", self.whole());
        assert!(!self.stderr.contains("panicked"), "{}", self.whole());
        Checked(self)
    }

    /// Checks that it was done, or that SIGKILL ended it.
    #[track_caller]
    pub(crate) fn ends_or_was_killed(self) {
        let killed = self.status.signal() == Some(Signal::KILL.as_raw());
        assert!(killed || self.status.success(), "{}", self.whole());
    }

    /// Returns the exit code when all that matters is that it ended by itself.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        let code = self.status.code().unwrap_or_else(|| panic!("{}", self.whole()));
        assert_ne!(code, 101, "{}", self.whole());
        code
    }

    /// Returns the exit code, standard output and standard error, whatever they are: who asks has to check them.
    #[allow(dead_code)] // not every test file collects what is wrong
    pub(crate) fn parts(&self) -> (Option<i32>, &str, &str) {
        (self.status.code(), &self.stdout, &self.stderr)
    }

    /// Checks the whole output, word for word.
    #[track_caller]
    pub(crate) fn shows(self, expected: &str) {
        let code = self.status.code().map_or_else(|| self.status.to_string(), |code| code.to_string());
        let mut shown = format!("exit: {code}\n");
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                shown.push_str(&format!("--- {name}\n{text}"));
            }
        }
        assert_eq!(shown.trim_end(), expected.trim(), "\n{shown}");
    }

    fn whole(&self) -> String {
        format!("{}\n{}\n--- stdout\n{}--- stderr\n{}", self.words, self.status, self.stdout, self.stderr)
    }
}

/// An output with the right exit code.
pub(crate) struct Checked(Output);

impl Checked {
    /// Checks that standard error says all of this.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.0.stderr.contains(part), "not said: {part}\n{}", self.0.whole());
        }
        self
    }

    /// Checks that nothing of this is said or printed.
    #[track_caller]
    pub(crate) fn never(self, parts: &[&str]) -> Self {
        for part in parts {
            let whole = format!("{}{}", self.0.stdout, self.0.stderr);
            assert!(!whole.contains(part), "said: {part:?}\n{}", self.0.whole());
        }
        self
    }

    /// Checks that standard output holds all of this.
    #[track_caller]
    pub(crate) fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.0.stdout.contains(part), "not printed: {part}\n{}", self.0.whole());
        }
        self
    }

    /// Checks that nothing was said.
    #[track_caller]
    pub(crate) fn silent(self) -> Self {
        assert_eq!(self.0.stderr, "", "{}", self.0.whole());
        self
    }

    /// Checks that nothing was said but this: no warning.
    #[track_caller]
    pub(crate) fn silent_but(self, parts: &[&str]) -> Self {
        assert!(!self.0.stderr.contains("warning: "), "{}", self.0.whole());
        self.says(parts)
    }

    /// Returns standard output without the last line end.
    pub(crate) fn stdout(&self) -> &str {
        self.0.stdout.trim_end_matches('\n')
    }

    pub(crate) fn stderr(&self) -> &str {
        &self.0.stderr
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.raw
    }

    /// Returns the one JSON object on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.0.stdout.lines().count(), 1, "{}", self.0.whole());
        serde_json::from_str(&self.0.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.0.whole()))
    }
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Copies a file or a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// Returns the digest of everything in a file that is not zero, each with its place: a terabyte that is a hole takes no time.
fn content(file: &File) -> std::io::Result<Digest> {
    let mut hasher = Algorithm::Sha256.hasher();
    let mut block = vec![0; 64 << 10];
    let zeros = vec![0; block.len()];
    let mut at = 0;
    loop {
        at = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            // in whole blocks, wherever the file system says that its data begin
            Ok(data) => data - data % block.len() as u64,
            Err(rustix::io::Errno::NXIO) => return Ok(hasher.finish()),
            Err(error) => return Err(error.into()),
        };
        let length = file.read_at(&mut block, at)?;
        if block[..length] != zeros[..length] {
            hasher.update(&at.to_le_bytes());
            hasher.update(&block[..length]);
        }
        at += block.len() as u64;
    }
}

/// Returns everything at and below a path with what it holds: two listings are equal when nothing at all has changed,
/// neither content nor modes, times or inodes.
pub(crate) fn listing(path: &Path) -> BTreeMap<String, String> {
    fn walk(path: &Path, name: &str, into: &mut BTreeMap<String, String>) {
        let Ok(metadata) = fs::symlink_metadata(path) else { return };
        let mut line = format!("{:o} {} {}", metadata.permissions().mode(), metadata.ino(), metadata.len());
        if metadata.is_dir() {
            line = format!("{:o}", metadata.permissions().mode());
            for entry in fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                walk(&entry.path(), &format!("{name}/{}", entry.file_name().to_string_lossy()), into);
            }
        } else if metadata.is_file()
            && let Ok(content) = File::open(path).and_then(|file| content(&file))
        {
            line.push_str(&format!(" {content} {}", metadata.mtime_nsec()));
        }
        into.insert(name.to_owned(), line);
    }
    let mut into = BTreeMap::new();
    walk(path, ".", &mut into);
    into
}

/// Checks that a place is what it was, but for whole new blobs in a layout, whose names are right.
#[track_caller]
pub(crate) fn assert_unchanged(before: &BTreeMap<String, String>, path: &Path, case: &str) {
    let mut after = listing(path);
    after.retain(|name, _| {
        let new = !before.contains_key(name);
        let hex = name.strip_prefix("./blobs/sha256/").filter(|_| new);
        !hex.is_some_and(|hex| {
            let bytes = fs::read(path.join("blobs/sha256").join(hex)).unwrap();
            Digest::of(&bytes).hex() == hex
        })
    });
    assert_eq!(&after, before, "{case}");
}

/// Returns the names below a directory that only a run under way has. Cheap: it is asked often.
pub(crate) fn temporaries(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains("tmp-") || name.contains(".barge-") {
            found.push(entry.path());
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(temporaries(&entry.path()));
        }
    }
    found
}

/// Makes the leftovers of a dead process as old as those that the next run clears.
pub(crate) fn age_temporaries(path: &Path) {
    for leftover in temporaries(path) {
        let file = File::options().write(true).open(leftover).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }
}

/// Checks that no run left anything behind.
#[track_caller]
pub(crate) fn assert_clean(barge: &Barge, case: &str) {
    let left = temporaries(&barge.path(""));
    assert!(left.is_empty(), "{case}: {left:?}");
}

/// Returns whether a test can be made: in CI it must.
pub(crate) fn available(what: &str, there: bool) -> bool {
    if !there {
        assert!(std::env::var_os("CI").is_none(), "CI must have {what}");
        println!("skipped: no {what}");
    }
    there
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < HANGS, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
