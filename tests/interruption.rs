//! Ctrl-C while a registry keeps us waiting: it is heard at once, wherever that is.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests stand outside of test functions

#[path = "support/registry/mod.rs"]
mod registry;
#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use registry::{Auth, FakeRegistry, Options, Rule};
use rustix::process::{Pid, Signal, kill_process};
use support::image::{Images, Layer, named};

/// How long the registry keeps us waiting; nobody waits for that in the end.
const STALL: Duration = Duration::from_secs(20);
/// A person calls this at once.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Starts barge in a directory, with nobody's settings.
fn barge(directory: &Path, words: &[String]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barge"));
    command.args(words).current_dir(directory).env_clear().env("HOME", directory);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the registry is asked something, gives it time to fall silent, and presses Ctrl-C.
fn interrupt(child: Child, registry: &FakeRegistry, method: &str, path: &str) -> (Output, Duration) {
    let began = Instant::now();
    while registry.count(method, path) == 0 {
        assert!(began.elapsed() < STALL, "nobody asked for {method} {path}");
        sleep(Duration::from_millis(10));
    }
    sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let sent = Instant::now();
    let output = child.wait_with_output().unwrap();
    (output, sent.elapsed())
}

/// An image whose layer is larger than what a connection keeps under way, in a layout `source` of a directory.
fn image(directory: &Path) {
    let bytes: Vec<u8> = (0..16 << 20).map(|at: u32| (at ^ (at >> 7)) as u8).collect();
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[Layer::plain(&bytes)]);
    images.root(named(image, "v1"));
    images.layout(&directory.join("source"));
}

fn words(pulls: bool, registry: &FakeRegistry) -> Vec<String> {
    let place = format!("{}/app:v1", registry.host());
    let own = if pulls { ["pull", "-o", "pulled", &place] } else { ["push", "--keep-going", "source", &place] };
    own.into_iter().chain(["--plain-http", "--creds", "me:secret"]).map(str::to_owned).collect()
}

#[test]
fn ctrl_c_is_heard_wherever_a_registry_falls_silent() {
    let directory = tempfile::tempdir().unwrap();
    image(directory.path());
    let stalled = |method: &str, path: &str| Rule::on(method, path).stall(STALL);
    let cases: [(bool, &str, &str, Rule); 10] = [
        (false, "GET", "/v2/", stalled("GET", "/v2/").before_auth()),
        (false, "GET", "/token*", stalled("GET", "/token*").before_auth()),
        (false, "HEAD", "/v2/app/blobs/*", stalled("HEAD", "/v2/app/blobs/*")),
        (false, "POST", "/v2/app/blobs/uploads/", stalled("POST", "/v2/app/blobs/uploads/")),
        (
            false,
            "PUT",
            "/v2/app/blobs/uploads/*",
            Rule::on("PUT", "/v2/app/blobs/uploads/*").stall_reading_after(100_000, STALL),
        ),
        (false, "PUT", "/v2/app/blobs/uploads/*", stalled("PUT", "/v2/app/blobs/uploads/*")),
        (false, "PUT", "/v2/app/manifests/v1", stalled("PUT", "/v2/app/manifests/v1")),
        (true, "GET", "/v2/app/manifests/*", stalled("GET", "/v2/app/manifests/*")),
        (true, "GET", "/v2/app/blobs/*", stalled("GET", "/v2/app/blobs/*")),
        (true, "GET", "/v2/app/blobs/*", Rule::on("GET", "/v2/app/blobs/*").body_stall_after(1_000_000, STALL)),
    ];
    // what there is to pull
    let full = FakeRegistry::with(options());
    let pushed = barge(directory.path(), &words(false, &full)).wait_with_output().unwrap();
    assert!(pushed.status.success(), "{pushed:?}");
    for (at, (pulls, method, path, rule)) in cases.into_iter().enumerate() {
        let registry = if pulls { FakeRegistry::sharing(&full, options()) } else { FakeRegistry::with(options()) };
        registry.script([rule]);
        let child = barge(directory.path(), &words(pulls, &registry));
        let (output, took) = interrupt(child, &registry, method, path);
        let said = String::from_utf8_lossy(&output.stderr);
        let case = format!("case {at}, {method} {path}: {} after {took:?}: {said}", output.status);
        assert_eq!(output.status.code(), Some(130), "{case}");
        assert!(took < AT_ONCE, "{case}");
        assert!(!said.contains("trying again"), "{case}");
    }
    assert!(!directory.path().join("pulled/index.json").exists());
}

fn options() -> Options {
    Options { auth: Auth::bearer("me", "secret"), ..Options::default() }
}
