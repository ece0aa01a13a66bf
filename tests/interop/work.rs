//! A place where programs run and leave nothing behind, and what to do when one is not installed.

use std::env;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// No command here takes more than a second or two; what hangs is ended.
const SECONDS: &str = "120";

/// A directory to work in, with settings of its own.
pub(crate) struct Work {
    /// Always there until the end.
    directory: Option<tempfile::TempDir>,
    path_variable: String,
}

/// Opens a place to work in when this machine has every program, and `root` where that is among the needs. Else the
/// test fails in CI, and elsewhere says that it is skipped.
pub(crate) fn work(needs: &[&str]) -> Option<Work> {
    // daemons live where only root looks for programs
    let path_variable = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
    let there = |program: &str| env::split_paths(&path_variable).any(|directory| directory.join(program).is_file());
    let absent = needs.iter().find(|need| match **need {
        "root" => !rustix::process::geteuid().is_root(),
        program => !there(program),
    });
    if let Some(absent) = absent {
        assert!(env::var_os("CI").is_none(), "CI must have {absent}");
        skip(&format!("no {absent}"));
        return None;
    }
    Some(Work::new(path_variable))
}

/// Says why a test does nothing, past the harness, which would keep it from whoever reads the summary.
pub(crate) fn skip(reason: &str) {
    std::io::stderr().write_all(format!("skipped: {reason}\n").as_bytes()).unwrap();
}

impl Work {
    fn new(path_variable: String) -> Self {
        let work = Self { directory: Some(tempfile::tempdir().unwrap()), path_variable };
        for directory in ["home/.config/containers", "tmp", "run"] {
            fs::create_dir_all(work.path(directory)).unwrap();
        }
        // skopeo, podman and buildah refuse to read anything without a policy
        let policy = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
        fs::write(work.path("home/.config/containers/policy.json"), policy).unwrap();
        // podman's locks would else be those of the machine, and a fresh state directory frees them all
        fs::write(work.path("containers.conf"), "[engine]\nlock_type = \"file\"\n").unwrap();
        // buildah refuses a directory that is named and lacks it
        fs::write(work.path("home/config.json"), "{}").unwrap();
        symlink(crate::support::digests::fixtures(), work.path("fixtures")).unwrap();
        work
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.as_ref().unwrap().path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn absolute(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Makes a command of a line of words, with a time limit and nobody's settings.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap();
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", SECONDS]);
        match program {
            "barge" => command.arg(env!("CARGO_BIN_EXE_barge")),
            // a newer client may come first in the path
            "docker" if Path::new("/usr/bin/docker").exists() => command.arg("/usr/bin/docker"),
            "podman" | "buildah" => command.args([program, "--storage-driver", "vfs"]).args([
                "--root",
                &self.absolute("storage"),
                "--runroot",
                &self.absolute("run/storage"),
            ]),
            _ => command.arg(program),
        };
        if program == "podman" {
            command.args(["--tmpdir", &self.absolute("run/libpod")]);
        }
        command.args(words);
        self.isolate(&mut command);
        command
    }

    /// Gives a command this directory, and an environment where nothing is the user's.
    pub(crate) fn isolate(&self, command: &mut Command) {
        command.current_dir(self.root()).stdin(Stdio::null()).env_clear();
        command.env("PATH", &self.path_variable).env("LC_ALL", "C").env("TZ", "UTC");
        for (variable, name) in [
            ("HOME", "home"),
            ("DOCKER_CONFIG", "home"),
            ("TMPDIR", "tmp"),
            ("XDG_RUNTIME_DIR", "run"),
            ("CONTAINERS_CONF", "containers.conf"),
            ("CONTAINERD_ADDRESS", "containerd.sock"),
        ] {
            command.env(variable, self.path(name));
        }
        command.env("DOCKER_HOST", format!("unix://{}", self.absolute("docker.sock")));
        // the one that works on every file system
        command.env("CONTAINERD_NAMESPACE", "test").env("CONTAINERD_SNAPSHOTTER", "native");
    }

    pub(crate) fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs a command that must succeed, and returns the bytes on its standard output.
    pub(crate) fn bytes(&self, line: &str) -> Vec<u8> {
        let output = self.output(line);
        assert!(output.status.success(), "{line}: {}\n{}", output.status, both(&output));
        output.stdout
    }

    /// Runs a command that must succeed, and returns its standard output without the line end.
    pub(crate) fn run(&self, line: &str) -> String {
        String::from_utf8(self.bytes(line)).unwrap().trim_end().to_owned()
    }

    /// Runs a command that must succeed, and returns the lines of its standard output.
    pub(crate) fn lines(&self, line: &str) -> Vec<String> {
        self.run(line).lines().map(str::to_owned).collect()
    }

    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_slice(&self.bytes(line)).unwrap()
    }

    /// Runs a command that must fail, and returns what it said.
    pub(crate) fn fails(&self, line: &str) -> String {
        let output = self.output(line);
        assert!(!output.status.success(), "{line} succeeded\n{}", both(&output));
        both(&output)
    }

    /// Makes a file to be put into an image.
    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let closed = self.directory.take().map(tempfile::TempDir::close);
        // what cannot be removed is still mounted or still written: a program that did not end as it should
        assert!(matches!(closed, Some(Ok(()))) || std::thread::panicking(), "{closed:?}");
    }
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
