//! containerd and dockerd on sockets of their own, which end with the test.

use std::fs::{self, File};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::work::Work;

/// Daemons share the machine's cgroups and network name spaces. nextest runs such tests one at a time by their path
/// (`.config/nextest.toml`); this does it for the threads of `cargo test`.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A process that is ended when this goes away, or after five minutes if that never happens.
struct Daemon(Child);

impl Daemon {
    fn start(work: &Work, line: &str, log: &str, is_ready: &str) -> Self {
        let log_file = File::create(work.path(log)).unwrap();
        let mut command = Command::new("timeout");
        // in the foreground, so that what ends the test's process group ends it too
        command.args(["--foreground", "--kill-after=10", "300"]).args(line.split_whitespace());
        work.isolate(&mut command);
        command.stdout(log_file.try_clone().unwrap()).stderr(log_file);
        let mut daemon = Self(command.spawn().unwrap());
        let began = Instant::now();
        while !work.output(is_ready).status.success() {
            let ended = daemon.0.try_wait().unwrap();
            if ended.is_some() || began.elapsed() > Duration::from_secs(30) {
                let said = fs::read_to_string(work.path(log)).unwrap();
                panic!("{line} is not ready after {:?} ({ended:?}):\n{said}", began.elapsed());
            }
            thread::sleep(Duration::from_millis(50));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // `timeout` hands the signal on, and kills when that is not enough
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

/// containerd, and dockerd where it is asked for: the later one ends first.
pub(crate) struct Daemons {
    _docker: Option<Daemon>,
    _containerd: Daemon,
    _turn: MutexGuard<'static, ()>,
}

/// Waits until no other test of this process has daemons.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    // a test that failed while it held the lock has ended its daemons on the way out
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn containerd(work: &Work) -> Daemons {
    let turn = turn();
    let root = work.root().display();
    // without these, containerd writes outside of the directory; the plugin of Kubernetes is not needed
    work.write(
        "containerd.toml",
        &format!(
            r#"version = 2
root = "{root}/containerd/root"
state = "{root}/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{root}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/containerd/opt"
"#
        ),
    );
    let containerd = Daemon::start(work, "containerd --config containerd.toml", "containerd.log", "ctr version");
    Daemons { _docker: None, _containerd: containerd, _turn: turn }
}

pub(crate) fn docker(work: &Work) -> Daemons {
    docker_with(work, json!({}))
}

/// Starts dockerd with what `daemon.json` says of it.
pub(crate) fn docker_with(work: &Work, mut settings: Value) -> Daemons {
    let daemons = containerd(work);
    let root = work.root().display();
    // a setting without a flag: the key would else be written below /etc
    settings["deprecated-key-path"] = json!(format!("{root}/docker/key.json"));
    work.write("daemon.json", &settings.to_string());
    let line = format!(
        "dockerd --config-file {root}/daemon.json --containerd {root}/containerd.sock --storage-driver vfs \
         --iptables=false --ip6tables=false --bridge none --data-root {root}/docker/data \
         --exec-root {root}/docker/exec --host unix://{root}/docker.sock --pidfile {root}/docker.pid"
    );
    let docker = Daemon::start(work, &line, "docker.log", "docker version");
    Daemons { _docker: Some(docker), ..daemons }
}
